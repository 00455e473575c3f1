"""What only PostgreSQL does: several writers at once, waits with an end, a server that goes away and comes back."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from app.ledger import events, room_windows, seats, users
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, again, open_database
from app.ledger.errors import StoreAway, StoreBusy, StoreUnusable, ValueRefused
from app.ledger.statements import as_json, insert_rows
from app.ledger.tables.events import events as events_table
from app.ledger.tables.lane import lanes
from app.ledger.tables.reservations import reservation_seats
from app.ledger.tables.rooms import rooms as rooms_table
from tests.lane.world import EVENT, START, spec
from tests.ledger.test_ledger import Decided, holding, reservation
from tests.postgres import NoPostgresError, Postgres, make
from tests.waiting import wait_until

WAIT_S = 30.0
PATIENT = ConnectionLimits(connections_max=8, connect_s=WAIT_S, statement_s=2 * WAIT_S, lock_s=WAIT_S)
SHORT = ConnectionLimits(connections_max=2, statement_s=2.0, lock_s=0.5)


@pytest.fixture
async def store(postgres: Postgres) -> AsyncIterator[Database]:
    """An empty store, watched as in every process."""
    url = await postgres.create()
    db = open_database(url, PATIENT)
    yield db
    await db.close()
    await postgres.drop(url)


@pytest.fixture
async def hasty(store: Database) -> AsyncIterator[Database]:
    """Another process at that store, with short limits."""
    db = open_database(store.url, SHORT)
    yield db
    await db.close()


@pytest.fixture
async def others(store: Database) -> AsyncIterator[list[Database]]:
    """As many more processes."""
    opened = [open_database(store.url, PATIENT) for _ in range(4)]
    yield opened
    for db in opened:
        await db.close()


async def test_of_many_who_register_one_email_at_once_one_does(others: list[Database]) -> None:
    made = await asyncio.gather(
        *[
            users.create(db, user_id=f"u{n}", email="ann@tiketi.gg", name="n", password="pw", role="buyer", now=START)
            for n, db in enumerate(others)
        ]
    )
    assert sum(user is not None for user in made) == 1


async def test_of_many_who_write_a_batch_for_one_version_one_does(store: Database, others: list[Database]) -> None:
    await events.create(store, spec(), START)
    fenced = await seats.take_fence(store, EVENT)
    assert fenced is not None
    known: list[int] = []

    async def write(n: int, db: Database) -> bool:
        def decide(_: object) -> Decided:
            known.append(n)
            return Decided(holding(1, reservation(f"r{n}", n)))

        return await seats.apply(db, fenced, EVENT, [], [], decide, START) is not None

    assert sum(await asyncio.gather(*[write(n, db) for n, db in enumerate(others)])) == 1
    assert len(known) == 1, "the others had not even decided"


async def test_writes_about_different_things_do_not_wait_for_each_other(hasty: Database) -> None:
    async with hasty.write(about="ann"):
        async with hasty.write(about="ben"):
            pass
        with pytest.raises(StoreBusy):
            async with hasty.write(about="ann"):
                pass
        with pytest.raises(StoreBusy):
            async with hasty.write():
                pass
    async with hasty.write():
        with pytest.raises(StoreBusy):
            async with hasty.write(about="ben"):
                pass


async def test_lanes_of_two_events_are_written_at_once(
    store: Database, hasty: Database, others: list[Database]
) -> None:
    """A batch that takes long holds up no other lane, no reader and no writer of something else."""
    for event_id in (EVENT, "other"):
        await events.create(store, spec(event_id), START)
    before = await seats.take_fence(store, EVENT)
    other = await seats.take_fence(store, "other")
    assert before is not None
    assert other is not None
    async with others[0].write() as tx:
        await tx.execute(select(lanes).where(lanes.c.event_id == EVENT).with_for_update())
        done = await seats.apply(store, other, "other", [], [], lambda _: Decided(holding(0)), START)
        assert done is not None
        assert await events.seat_snapshot(store, EVENT) is not None
        with pytest.raises(StoreBusy):
            await seats.apply(hasty, before, EVENT, [], [], lambda _: Decided(holding(0)), START)


async def test_a_deadlock_is_tried_again(store: Database, others: list[Database]) -> None:
    for event_id in ("left", "right"):
        await events.create(store, spec(event_id), START)
    both_hold_one = threading.Barrier(2)
    attempts: list[str] = []

    def cross(first: str, second: str) -> Callable[[Connection], None]:
        def work(tx: Connection) -> None:
            attempts.append(first)
            tx.execute(update(rooms_table).where(rooms_table.c.event_id == first).values(cursor=1))
            if attempts.count(first) == 1:
                both_hold_one.wait(WAIT_S)
            tx.execute(update(rooms_table).where(rooms_table.c.event_id == second).values(cursor=1))

        return work

    await asyncio.gather(
        others[0].run(cross("left", "right"), repeatable=True),
        others[1].run(cross("right", "left"), repeatable=True),
    )
    assert len(attempts) > 2, "one of them had to begin again, or both"


async def test_work_that_must_not_be_repeated_is_told_of_the_deadlock(postgres: Postgres) -> None:
    tried = []

    async def attempt() -> None:
        tried.append(1)
        raise StoreBusy("a lock took too long")

    with pytest.raises(StoreBusy):
        await again(attempt)
    assert len(tried) == 1, "only what may go well the next time is tried again"


async def test_a_statement_that_takes_too_long_is_ended(hasty: Database) -> None:
    with pytest.raises(StoreBusy):
        async with hasty.read() as tx:
            await tx.execute(text("SELECT pg_sleep(60)"))
    with pytest.raises(StoreBusy):
        await hasty.look(lambda tx: tx.execute(text("SELECT pg_sleep(60)")))
    assert await room_windows.with_room(hasty, START) == set()


async def test_who_finds_every_connection_in_use_is_told_so(hasty: Database) -> None:
    async with hasty.read(), hasty.read():
        with pytest.raises(StoreBusy, match="Every connection"):
            async with hasty.read():
                pass


async def test_a_reading_transaction_cannot_write(store: Database) -> None:
    with pytest.raises(StoreAway, match="takes no writes"):
        async with store.read() as tx:
            await tx.execute(text("DELETE FROM events"))


async def test_a_read_is_of_one_moment(store: Database) -> None:
    async with store.read() as tx:
        before = (await tx.execute(select(events_table.c.id))).all()
        await events.create(store, spec(), START)
        assert (await tx.execute(select(events_table.c.id))).all() == before == []


@pytest.mark.parametrize(
    "changed", [{"title": "a\0b"}, {"id": "x" * 41}, {"grades": [events.GradeSpec(name="R", price=2**40)]}]
)
async def test_a_value_that_does_not_fit_is_refused_as_that(store: Database, changed: dict[str, Any]) -> None:
    with pytest.raises(ValueRefused):
        await events.create(store, replace(spec(), **changed), START)
    assert await room_windows.with_room(store, START) == set()


@pytest.mark.parametrize("rows", [[("r" * 23, EVENT, 0, True)], [("r\0", EVENT, 0, True)], [("r", EVENT, 2**40, True)]])
async def test_a_row_that_does_not_fit_is_not_cut_to_size(store: Database, rows: list[Any]) -> None:
    many = insert_rows(reservation_seats, "reservation_id", "event_id", "idx", "live")
    with pytest.raises(ValueRefused):
        await store.run(lambda tx: tx.execute(many, {"rows": as_json(rows)}))


async def test_a_server_that_goes_away_comes_back() -> None:
    with tempfile.TemporaryDirectory(prefix="tiketi-pg-") as folder:
        try:
            server = await asyncio.to_thread(make, Path(folder), synchronous_commit="on")
        except NoPostgresError as error:
            pytest.skip(f"no PostgreSQL server can be run here: {error}")
        db = open_database(await server.create("shop", "template0"))
        await db.migrate()
        await events.create(db, spec(), START)
        server.kill()
        for question in (
            room_windows.with_room(db, START),
            events.seat_snapshot(db, EVENT),
            events.create(db, spec("new"), START),
        ):
            with pytest.raises(StoreAway) as refused:
                await question
            assert folder not in str(refused.value)
        await asyncio.to_thread(server.start)
        assert await room_windows.with_room(db, START) == {EVENT}
        assert await events.seat_snapshot(db, EVENT) is not None
        assert await events.create(db, spec("new"), START)
        await db.close()
        server.kill()


async def test_a_connection_that_breaks_within_a_transaction_is_said(store: Database, others: list[Database]) -> None:
    mine, end_it = text("SELECT pg_backend_pid()"), text("SELECT pg_terminate_backend(:pid)")
    loop = asyncio.get_running_loop()

    async def end(pid: int) -> None:
        async with others[0].read() as another:
            await another.execute(end_it, {"pid": pid})

    async def write() -> None:
        async with store.write() as tx:
            await end((await tx.execute(mine)).scalar_one())
            await tx.execute(mine)

    def in_thread(tx: Connection) -> None:
        asyncio.run_coroutine_threadsafe(end(tx.execute(mine).scalar_one()), loop).result(WAIT_S)
        tx.execute(mine)

    for broken in (write(), store.run(in_thread), store.look(in_thread)):
        with pytest.raises(StoreAway):
            await broken
    assert await room_windows.with_room(store, START) == set()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("read_only_sql_transaction", StoreAway),
        ("disk_full", StoreUnusable),
        ("io_error", StoreUnusable),
        ("out_of_memory", StoreBusy),
    ],
)
async def test_a_server_that_cannot_write_is_no_bug_of_ours(store: Database, code: str, told: type[Exception]) -> None:
    """The server's own code for it, raised by the server."""
    fail = text(f"DO $$ BEGIN RAISE EXCEPTION 'cannot extend file' USING ERRCODE = '{code}'; END $$")

    async def write() -> None:
        async with store.write() as tx:
            await tx.execute(fail)

    for failing in (write(), store.run(lambda tx: tx.execute(fail))):
        with pytest.raises(told):
            await failing
    assert await room_windows.with_room(store, START) == set()


@pytest.fixture
async def read_only(store: Database, postgres: Postgres) -> AsyncIterator[None]:
    """The whole server is made read-only, with the sessions that it has, as by a keeper whose disk is full."""
    assert await store.takes_writes()
    await postgres.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    await postgres.ask("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await postgres.ask("ALTER SYSTEM RESET default_transaction_read_only")
        await postgres.ask("SELECT pg_reload_conf()")

        async def takes_writes() -> bool:
            return await store.takes_writes()

        await wait_until(takes_writes, description="it can be written again")


@pytest.mark.usefixtures("read_only")
async def test_a_server_that_takes_no_writes_is_known_and_still_read(store: Database) -> None:
    async def takes_none() -> bool:
        return not await store.takes_writes()

    await wait_until(takes_none, description="it is known")

    async def write() -> None:
        async with store.write() as tx:
            await tx.execute(text("CREATE TABLE more (x int)"))

    with pytest.raises(StoreAway, match="takes no writes"):
        await write()
    assert await room_windows.with_room(store, START) == set()


async def test_a_database_that_is_not_there_is_a_setting_to_change(postgres: Postgres) -> None:
    db = open_database(postgres.url("nothing_here"))
    with pytest.raises(StoreUnusable, match="DATABASE_URL"):
        await room_windows.with_room(db, START)
    await db.close()
