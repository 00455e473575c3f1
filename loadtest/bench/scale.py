"""What a look at the stores costs after years of sales, against the same without them.

The looks are those of requests and rounds, in processor time of this process, with SQLite in it. Look-ups of one event
are compared with a database that has only that event: they take longer in a deeper index, but must not read more rows.
The rounds over all rooms are compared with one that has the same hundred sales that go on, and nothing that was or is
to come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import event

from app.connections import timing
from app.domain.line import RoomState
from app.ledger import charges, events, figures, reservations, seats, waitlist
from app.ledger.database import Database, open_database
from app.room.follow import Rooms
from app.room.record import read_records
from app.room.scripts import RoomScripts
from config.settings import Settings
from loadtest.bench.processes import redis as redis_server
from loadtest.bench.processes import scratch
from loadtest.bench.report import Row, Say
from loadtest.past_sales import Size, Sold, When, fill, holder_id, reservation_id
from workers.admitter import Admitter
from workers.keeper import Keeper

BIG = Sold(when=When.live, events=1, seats=50_000, reservations=50_000, pending=500)
ONE = Size(sold=(BIG,))
OTHERS = Sold(when=When.live, events=99, seats=1_000, reservations=1_000, pending=20)
LIVE = Size(sold=(BIG, OTHERS))
YEARS = Size(
    sold=(
        BIG,
        OTHERS,
        Sold(when=When.past, events=980, seats=600, reservations=850),
        Sold(when=When.past, events=20, seats=20_000, reservations=850),
        Sold(when=When.coming, events=300, seats=500),
    ),
    users=10_000,
    audit_entries=10_000,
)
EVENT = "live-0"
ROUNDS = 30
TIMES_MAX = 1.5

SETTLES = 4  # seconds, until what is over has been made, closed and retired
TOLD_EVERY = 100_000  # reservations

Look = Callable[[Database, datetime], Awaitable[object]]
LOOKS: dict[str, Look] = {
    "a claim's reservation": lambda db, _: reservations.by_number(db, EVENT, 1, 25_000),
    "my reservations": lambda db, _: reservations.by_holders(db, [holder_id(EVENT, 7)]),
    "what I hold of an event": lambda db, _: reservations.live_of(db, EVENT, [holder_id(EVENT, 7)]),
    "seats of a reservation": lambda db, _: reservations.seats_of(db, [reservation_id(EVENT, 7)]),
    "its money": lambda db, _: charges.money_of(db, [reservation_id(EVENT, 7)]),
    "an event": lambda db, _: events.get(db, EVENT),
    "holds that end": lambda db, now: reservations.due(db, now, 5_000),
    "charges that are due": lambda db, now: charges.due(db, now, 50),
    "refunds that are due": lambda db, now: charges.due_refunds(db, now, 50),
    "cancelled events": lambda db, _: reservations.of_cancelled_events(db, 2_000),
    "cancelled events that are empty": lambda db, now: reservations.mark_emptied(db, now),
    "waiting lists": lambda db, _: waitlist.events_waiting(db, "", 50),
    "metrics of an event": lambda db, _: figures.read(db, [EVENT]),
    "a lane's fence": lambda db, _: seats.take_fence(db, EVENT),
}


class Clockwork:
    """What a worker and a web process do each second over all rooms, one of each."""

    def __init__(self, redis: Redis, db: Database, settings: Settings) -> None:
        scripts = RoomScripts(redis, timing(settings))
        self.redis = redis
        self.keeper = Keeper(redis, scripts, db)
        self.admitter = Admitter(scripts, _wake, settings.tick_ms)
        self.rooms = Rooms(redis, scripts, time.time)


Round = Callable[[Clockwork, datetime], Awaitable[object]]
ROUNDS_OF_ALL: dict[str, Round] = {
    "the keeper's second": lambda clockwork, now: clockwork.keeper.round(now, None),
    "a worker's look at all rooms": lambda clockwork, _: clockwork.admitter.refresh(),
    "a tick of all rooms": lambda clockwork, _: clockwork.admitter.tick(),
    "a web process's look at all rooms": lambda clockwork, _: clockwork.rooms.refresh(),
}


def measure(say: Say) -> list[Row]:
    with scratch() as settings, redis_server(settings):
        return asyncio.run(_compare(settings, say))


async def _compare(settings: Settings, say: Say) -> list[Row]:
    now, rows = datetime.now(UTC), []
    async with AsyncExitStack() as stack:
        dbs = {}
        for name, size in (("one", ONE), ("live", LIVE), ("years", YEARS)):
            dbs[name] = await _filled(settings.data_dir / f"{name}.db", size, now, say)
            stack.push_async_callback(dbs[name].close)
        for what, look in LOOKS.items():
            alone_s, years_s = await _times_s(partial(look, dbs["one"], now), partial(look, dbs["years"], now))
            rows.append(_row(what, alone_s, years_s, "with one event"))
        clocks = {}
        for number, name in enumerate(("live", "years")):
            redis = await stack.enter_async_context(Redis(unix_socket_path=str(settings.redis_socket), db=number))
            clocks[name] = await _settled(Clockwork(redis, dbs[name], settings), now)
            say(f"the rooms of {name} are made")
        for what, look_at_all in ROUNDS_OF_ALL.items():
            alone, years = (partial(look_at_all, clocks[name], now) for name in ("live", "years"))
            rows.append(_row(what, *await _times_s(alone, years), "with the same hundred rooms alone"))
        rows.append(_views(clocks["years"].rooms))
    return rows


async def _settled(clockwork: Clockwork, now: datetime) -> Clockwork:
    """Until what is over is retired, and the rooms, which this Redis has never had, have recovered."""
    rounds = 0
    while rounds < SETTLES or await _recovering(clockwork):
        for step in ROUNDS_OF_ALL.values():
            await step(clockwork, now)
        rounds += 1
        await asyncio.sleep(1)
    return clockwork


async def _recovering(clockwork: Clockwork) -> bool:
    records = await read_records(clockwork.redis, clockwork.rooms.views)
    return any(record.state is RoomState.recovering for record in records.values())


def _row(what: str, alone_s: float, years_s: float, than: str) -> Row:
    note = f"{alone_s * 1e6:,.0f} µs {than}"
    return Row(what=f"after years, {what}", value=years_s / alone_s, unit="×", at_most=TIMES_MAX, note=note)


def _views(rooms: Rooms) -> Row:
    expected = sum(sold.events for sold in YEARS.sold if sold.when is not When.past)
    note = "those that are live or to come"
    return Row(what="after years, rooms in a web process", value=len(rooms.views), unit="", at_most=expected, note=note)


async def _wake(_event_id: str, _wake_up: str) -> None:
    """Nobody allocates here."""


async def _filled(path: Path, size: Size, now: datetime, say: Say) -> Database:
    """The database, filled without waiting for the disk, then opened as the product does."""
    address, told = f"sqlite+aiosqlite:///{path}", 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done >= told + TOLD_EVERY:
            told = done
            say(f"{path.stem}: {done:,} of {total:,} reservations")

    db = open_database(address)
    for engine in db.engines:
        event.listen(engine, "connect", _hasten)
    await db.create_all()
    await fill(db, size, now, tell)
    await db.close()
    return open_database(address)


def _hasten(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("synchronous=OFF", "cache_size=-262144"):  # kB
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _times_s(
    alone: Callable[[], Awaitable[object]], years: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """The median of each, taken by turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for look, times in zip((alone, years), found, strict=True):
            began_s = time.process_time()
            await look()
            times.append(time.process_time() - began_s)
    return median(found[0]), median(found[1])
