"""The steps make the tables that the program describes, once, on both databases; what does not fit is said in words."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import Connection, text

from app.lane.commands import OutcomeStatus
from app.ledger import migrations
from app.ledger.database import Database, open_database
from app.ledger.migrations import SchemaError, alembic, step_files
from app.ledger.migrations.make import digest, write
from app.ledger.migrations.step_files import VERSIONS, steps
from app.ledger.tables import metadata
from tests.lane.world import hold, make_world
from tests.postgres import Postgres

pytestmark = pytest.mark.both_databases

SQLITE_SHAPE = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
POSTGRES_SHAPES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default "
    "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
)


def shape(tx: Connection) -> list[tuple[object, ...]]:
    """All there is to know of the tables, as the database itself says it."""
    queries = (SQLITE_SHAPE,) if tx.dialect.name == "sqlite" else POSTGRES_SHAPES
    rows = [tuple(row) for query in queries for row in tx.execute(text(query))]
    plain = [tuple(" ".join(part.split()) if isinstance(part, str) else part for part in row) for row in rows]
    return [row for row in plain if migrations.TABLE not in str(row)]


def drop_all(tx: Connection) -> None:
    metadata.drop_all(tx)
    tx.execute(text(f"DROP TABLE IF EXISTS {migrations.TABLE}"))


@pytest.fixture
async def empty(ledger: Database) -> Database:
    await ledger.run(drop_all)
    return ledger


async def test_the_steps_make_the_tables_of_the_schema(ledger: Database) -> None:
    wanted = await ledger.look(shape)
    assert len(wanted) > len(metadata.tables)
    await ledger.run(drop_all)
    assert await ledger.migrate() == list(steps())
    assert await ledger.look(alembic.differences) == [], "run `make migration`"
    assert sorted(map(normal, await ledger.look(shape))) == sorted(map(normal, wanted)), "run `make migration`"


def normal(row: tuple[object, ...]) -> str:
    """Without the order in which a table's constraints are written, which means nothing."""
    return f"{row[0]} {sorted(str(row).replace('(', ' ').replace(')', ' ').replace(',', ' ').split())}"


async def test_steps_are_taken_once(empty: Database) -> None:
    with pytest.raises(SchemaError, match=r"no Tiketi tables yet. Run `tiketi migrate` first"):
        await empty.require_tables()
    assert await empty.migrate() == list(steps())
    assert await empty.migrate() == []
    await empty.require_tables()


async def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty: Database) -> None:
    others = [open_database(empty.url) for _ in range(4)]
    taken = await asyncio.gather(*[db.migrate() for db in (empty, *others)])
    assert sorted(map(len, taken)) == [0, 0, 0, 0, len(steps())]
    for db in others:
        await db.close()


async def test_tables_of_another_version_are_refused_with_what_to_do(empty: Database) -> None:
    await empty.migrate()
    async with empty.write() as tx:
        await tx.execute(text(f"UPDATE {migrations.TABLE} SET version_num = '0999_later'"))
    for question in (empty.require_tables, empty.migrate):
        with pytest.raises(SchemaError, match=r"step 0999_later, which this program does not know.*or a newer one"):
            await question()


ADDS = """    op.add_column("events", sa.Column("subtitle", sa.String(80)))
    op.create_table("labels", sa.Column("id", sa.Integer, primary_key=True))
"""


@contextmanager
def released(folder: Path, *, compatible: bool) -> Iterator[str]:
    """A next release, with one more step that only adds: its revision."""
    versions = shutil.copytree(VERSIONS, folder / "versions", ignore=shutil.ignore_patterns("__pycache__"))
    file = write(versions, "add a subtitle")
    made = file.read_text()
    revision = made.partition('revision = "')[2].partition('"')[0]
    said = made.replace(f'runs_from = "{revision}"', f'runs_from = "{steps()[-1]}"') if compatible else made
    file.write_text(said.replace("    pass\n", ADDS))
    with pytest.MonkeyPatch.context() as patch:
        for module in (step_files, alembic):
            patch.setattr(module, "VERSIONS", versions)
        forget()
        yield revision
    forget()


def forget() -> None:
    for known in (step_files.steps, step_files.runs_from):
        known.cache_clear()


async def test_the_release_before_runs_on_tables_to_which_a_newer_one_added(
    empty: Database, redis: Redis, tmp_path: Path
) -> None:
    """It starts, sells seats, and leaves the newer tables as they are; the newer one finds what it made."""
    await empty.migrate()
    with released(tmp_path, compatible=True) as newer:
        assert await empty.migrate() == [newer]
        await empty.require_tables()
    await empty.require_tables()
    assert await empty.migrate() == []
    shop = await make_world(redis, empty)
    (outcome,) = await shop.do(hold("ann", [3]))
    assert outcome.status is OutcomeStatus.held
    async with empty.read() as tx:
        assert (await tx.execute(text("SELECT subtitle FROM events"))).scalars().all() == [None]
        assert await tx.scalar(text(f"SELECT version_num FROM {migrations.TABLE}")) == newer
    with released(tmp_path / "again", compatible=True):
        assert await empty.migrate() == []


async def test_a_release_before_is_refused_by_tables_that_do_not_say_that_it_runs_on_them(
    empty: Database, tmp_path: Path
) -> None:
    await empty.migrate()
    with released(tmp_path, compatible=False) as newer:
        await empty.migrate()
    for question in (empty.require_tables, empty.migrate):
        with pytest.raises(SchemaError, match=rf"step {newer}, which this program does not know"):
            await question()


async def test_tables_from_before_there_were_steps_are_taken_over_if_they_are_the_same(empty: Database) -> None:
    await empty.run(metadata.create_all)
    assert await empty.migrate() == []
    await empty.require_tables()


async def test_other_tables_from_before_there_were_steps_are_refused(empty: Database) -> None:
    def old(tx: Connection) -> None:
        metadata.create_all(tx)
        tx.execute(text("ALTER TABLE events DROP COLUMN details"))

    await empty.run(old)
    with pytest.raises(SchemaError, match=r"earlier, unreleased Tiketi \(add_column events details\).*clean-data"):
        await empty.migrate()


async def test_a_step_that_fails_leaves_nothing(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tx: Connection) -> None:
        tx.execute(text("CREATE TABLE half (id INTEGER)"))
        raise RuntimeError("any failure")

    monkeypatch.setattr(alembic, "upgrade", fail)
    with pytest.raises(RuntimeError, match="any failure"):
        await empty.migrate()
    assert await empty.look(shape) == []


def test_the_newest_step_is_named_after_the_tables() -> None:
    """Until the first release: so that a database of another day is noticed."""
    assert steps()[-1] == f"0001_{digest()}", "run `make migration`"


def test_what_make_migration_writes_is_what_is_there(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert file.read_text() == (VERSIONS / file.name).read_text(), "run `make migration`"


def test_a_further_step_follows_the_newest(tmp_path: Path) -> None:
    file = write(tmp_path, "keep what is new")
    said = file.read_text()
    assert file.name == "0002_keep_what_is_new.py"
    assert f'down_revision = "{steps()[-1]}"' in said
    assert "    pass" in said


async def test_a_postgres_that_is_away_is_no_schema_of_another_version(postgres: Postgres) -> None:
    db = open_database(postgres.url("nothing_here"))
    with pytest.raises(Exception, match="DATABASE_URL"):
        await db.require_tables()
    await db.close()
