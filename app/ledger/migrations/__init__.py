"""The steps that made the tables, and the only code that changes them.

`migrate` brings a database to the newest step; any number of processes may call it at once. `behind` says in a sentence
what is wrong with a database that is not there, for processes that refuse to start.

Until the first release there is one step, written anew by `make migration` whenever the tables change; its name holds a
digest of them, so a database made from other tables is noticed. From the first release on that file is never touched
again: the next step is a file beside it, begun with `python -m app.ledger.migrations.make "what changes"`, then read,
completed and tried on both databases by a person.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from app.ledger.migrations.step_files import steps

TABLE = "alembic_version"


class SchemaError(Exception):
    """The tables are not those of this program; the message says what to do."""


def step_of(tx: Connection) -> str | None:
    """The step that this database is at, or None if it has none."""
    if not inspect(tx).has_table(TABLE):
        return None
    found = tx.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608  # a constant
    return None if found is None else str(found)


def behind(tx: Connection) -> str:
    """What is wrong with the tables and what to do about it; empty if they are up to date."""
    at = step_of(tx)
    if at == steps()[-1]:
        return ""
    if at is None:
        return "The database has no tables of ours yet. Run `tiketi migrate` first."
    if at in steps():
        return f"The database is at step {at} and this program needs {steps()[-1]}. Run `tiketi migrate` first."
    return _stranger(at)


def migrate(tx: Connection) -> list[str]:
    """Make every missing step in this transaction and return their names. Raises SchemaError.

    The caller keeps other processes from doing the same meanwhile.
    """
    from app.ledger.migrations import alembic

    at = step_of(tx)
    if at is None and inspect(tx).has_table("events"):
        _adopt(tx)
        return []
    if at is not None and at not in steps():
        raise SchemaError(_stranger(at))
    missing = steps()[steps().index(at) + 1 :] if at else steps()
    if missing:
        alembic.upgrade(tx)
    return list(missing)


def mark(tx: Connection) -> None:
    """Mark tables that were created directly as being at the newest step."""
    if step_of(tx) is None:
        tx.execute(text(f"CREATE TABLE {TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        tx.execute(text(f"INSERT INTO {TABLE} VALUES (:step)"), {"step": steps()[-1]})  # noqa: S608  # a constant


def _adopt(tx: Connection) -> None:
    """Take over a database whose tables were made before there were steps, if they are just those of the newest."""
    from app.ledger.migrations import alembic

    differences = alembic.differences(tx)
    if differences:
        raise SchemaError(
            f"The database was made by an earlier, unreleased Tiketi ({differences[0]}). There is no way from there to "
            "here: forget it with `tiketi clean-data`, or name another one in DATABASE_URL."
        )
    mark(tx)


def _stranger(at: str) -> str:
    return (
        f"The database is at step {at}, which this program does not know (its newest is {steps()[-1]}). Run the Tiketi "
        "that made it or a newer one; if it was an unreleased one, forget its data with `tiketi clean-data`."
    )
