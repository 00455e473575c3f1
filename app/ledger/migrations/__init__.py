"""The migration steps, and the only code that creates or changes tables.

`migrate` brings a database to the newest step; any number of processes may call it at once. `behind` returns the reason
why a database is not at the newest step, for processes that then refuse to start.

Until the first release there is one step, which `make migration` rewrites whenever the tables change. Its name contains
a digest of the tables, so a database with other tables is detected. From the first release on that file never changes:
the next step is a new file, generated with `python -m app.ledger.migrations.make "what changes"`, which a person must
review, complete and try on both databases.

From then on releases expand, then contract: a step that only adds what older programs do not miss says with `runs_from`
which is the oldest step whose program still runs on its tables, and the database remembers it. Such a program starts,
goes on and migrates nothing on tables that are newer than it knows. What it still uses is taken away by a later step,
once no process of it is left.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, inspect, select, text

from app.ledger.migrations.step_files import runs_from, steps
from app.ledger.tables.steps import compatible_steps

TABLE = "alembic_version"


class SchemaError(Exception):
    """The database's tables are not those that this program needs; the message says what to do."""


def step_of(tx: Connection) -> str | None:
    """The step that this database is at, or None if it has none."""
    if not inspect(tx).has_table(TABLE):
        return None
    found = tx.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608  # a constant
    return None if found is None else str(found)


def behind(tx: Connection) -> str:
    """Why the tables are not up to date and what to do about it; empty if they are."""
    at = step_of(tx)
    if at == steps()[-1] or (at and _runs_on(tx, at)):
        return ""
    if at is None:
        return "The database has no Tiketi tables yet. Run `tiketi migrate` first."
    if at in steps():
        return f"The database is at step {at} and this program needs {steps()[-1]}. Run `tiketi migrate` first."
    return _stranger(at)


def migrate(tx: Connection) -> list[str]:
    """Apply every missing step in this transaction and return their names. Raises SchemaError.

    The caller must prevent other processes from doing so at the same time.
    """
    from app.ledger.migrations import alembic

    at = step_of(tx)
    if at is None and inspect(tx).has_table("events"):
        _mark_existing(tx)
        return []
    if at is not None and at not in steps():
        if _runs_on(tx, at):
            return []
        raise SchemaError(_stranger(at))
    missing = steps()[steps().index(at) + 1 :] if at else steps()
    if missing:
        alembic.upgrade(tx)
        _remember_compatible(tx)
    return list(missing)


def mark(tx: Connection) -> None:
    """Record the newest step for tables that were created without the steps."""
    if step_of(tx) is None:
        tx.execute(text(f"CREATE TABLE {TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        tx.execute(text(f"INSERT INTO {TABLE} VALUES (:step)"), {"step": steps()[-1]})  # noqa: S608  # a constant
        _remember_compatible(tx)


def _runs_on(tx: Connection, at: str) -> bool:
    """Whether the database says that our program runs on its tables, which are those of another step."""
    if not inspect(tx).has_table(compatible_steps.name):
        return False
    c = compatible_steps.c
    return tx.execute(select(c.step).where(c.step == steps()[-1], c.tables_step == at)).first() is not None


def _remember_compatible(tx: Connection) -> None:
    """Write down the steps whose programs run on the tables of the newest one."""
    known = steps()[steps().index(runs_from()) :]
    tx.execute(delete(compatible_steps))
    tx.execute(insert(compatible_steps), [{"step": step, "tables_step": steps()[-1]} for step in known])


def _mark_existing(tx: Connection) -> None:
    """Mark a database that was made before there were steps, if its tables equal those of the newest step."""
    from app.ledger.migrations import alembic

    differences = alembic.differences(tx)
    if differences:
        raise SchemaError(
            f"The database was made by an earlier, unreleased Tiketi ({differences[0]}) and cannot be migrated. Delete "
            "its data with `tiketi clean-data`, or name another database in DATABASE_URL."
        )
    mark(tx)


def _stranger(at: str) -> str:
    return (
        f"The database is at step {at}, which this program does not know (its newest is {steps()[-1]}). Run the Tiketi "
        "that made it or a newer one; if that was unreleased, delete its data with `tiketi clean-data`."
    )
