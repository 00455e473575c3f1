"""Every table comes back from its file as it was, on either database, and a file that is not whole brings nothing."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from app.ledger import audit_log, table_files, users
from app.ledger.audit_log import AuditFilter
from app.ledger.database import Database, open_database
from app.ledger.migrations.step_files import steps
from app.ledger.table_files import CONTENT, BadFile, NotEmpty
from tests.lane.world import confirm, hold, make_world

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 5, 1, 11, 0, 0, 123_456, tzinfo=UTC)


@pytest.fixture
async def db(redis: Redis, ledger: Database) -> Database:
    """A store with something of many kinds in it."""
    world = await make_world(redis, ledger)
    (held,) = await world.do(hold("a", [3, 4]))
    assert held.reservation is not None
    await world.do(hold("b", [5], holder="ben"), confirm("c", held.reservation.id))
    await users.create(
        ledger, user_id="u1", email="ann@example.com", name="안", password="p" * 12, role="buyer", now=NOW
    )
    await say_something(ledger)
    return ledger


async def say_something(db: Database) -> int:
    change = {"rate": 5.5, "message": "곧 시작합니다"}
    return await audit_log.record(
        db, who="ann@cli", action="room.change", subject="gig", event_id="gig", change=change, now=NOW
    )


def nobody_looks(*_: object) -> None: ...


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


def counts(tx: Connection) -> dict[str, int]:
    return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in CONTENT}


async def test_a_database_of_the_other_kind_or_the_same_has_every_row_afterwards(db: Database, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        folder.mkdir()
    step, rows = await table_files.dump(db, first, nobody_looks)
    assert step == steps()[-1]
    assert rows == await db.look(counts)
    assert {name for name, count in rows.items() if count} >= {"events", "seats", "reservations", "users", "trail"}
    other = open_database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    await other.create_all()
    await table_files.load(other, first, rows, 0, nobody_looks)
    await table_files.dump(other, again, nobody_looks)
    assert contents(again) == contents(first)
    with pytest.raises(NotEmpty):
        await table_files.load(other, first, rows, 0, nobody_looks)
    await other.close()


async def test_it_tells_how_far_it_is_of_all_rows(db: Database, tmp_path: Path) -> None:
    written: list[tuple[int, int]] = []
    read: list[tuple[int, int]] = []
    _, rows = await table_files.dump(db, tmp_path, lambda done, total: written.append((done, total)))
    other = open_database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    await other.create_all()
    await table_files.load(other, tmp_path, rows, 0, lambda done, total: read.append((done, total)))
    await other.close()
    total = sum(rows.values())
    for told in (written, read):
        assert told == sorted(told)
        assert {each[1] for each in told} == {total}
        assert told[-1] == (total, total)


async def test_ids_go_on_behind_those_that_came_back(db: Database, tmp_path: Path) -> None:
    _, rows = await table_files.dump(db, tmp_path, nobody_looks)

    def emptied(tx: Connection) -> None:
        for table in reversed(CONTENT):
            tx.execute(table.delete())

    await db.run(emptied)
    await table_files.load(db, tmp_path, rows, 0, nobody_looks)
    before = [entry.id for entry in await audit_log.listed(db, AuditFilter(), 10)]
    assert await say_something(db) > max(before)


@pytest.mark.parametrize("harm", ["cut", "gone", "other", "huge"])
async def test_a_file_that_is_not_whole_brings_nothing(db: Database, tmp_path: Path, harm: str) -> None:
    _, rows = await table_files.dump(db, tmp_path, nobody_looks)
    file = tmp_path / "seats.gz"
    raw = gzip.decompress(file.read_bytes())
    match harm:
        case "cut":
            file.write_bytes(gzip.compress(raw[:-4]))
        case "gone":
            file.unlink()
        case "other":
            file.write_bytes(b"not a file of ours")
        case "huge":
            file.write_bytes(gzip.compress(b"\xff\xff\xff\xff" + raw))
    other = open_database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    await other.create_all()
    with pytest.raises(BadFile, match="seats"):
        await table_files.load(other, tmp_path, rows, 0, nobody_looks)
    assert not any((await other.look(counts)).values())
    await other.close()
