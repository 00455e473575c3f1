"""Readings of what all processes share: Redis, the rooms, the lanes, the database and the disk.

However often they are read, the stores are asked at most once in `KEPT_S` seconds, in two round trips and one
transaction, and only for events whose waiting room is not closed. A store that does not answer is reported as down, and
its readings are left out instead of repeated.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog

from app import redis_keys
from app.domain.line import RoomState
from app.domain.samples import oldest_wait_s, read_samples
from app.histogram import SECONDS, Histogram
from app.lane.scripts import COMMANDS_MAX
from app.ledger import figures
from app.ledger.figures import UNREADABLE
from app.metrics.readings import Reading
from app.metrics.status import CODES, Report, StatusCheck
from app.redis_nodes import execute_each, nodes_of
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.memory import fullest
from app.room.record import RoomRecord, record_of, request_record
from app.room.samples import request_samples
from app.room.view import LineView

KEPT_S = 2.0
PART_S = 2.0  # what one store gets to answer
PING_EVERY_S = 1.0

log = structlog.get_logger()


class Stores:
    """Read with `readings`; `run` measures how long Redis takes to answer."""

    def __init__(self, status: StatusCheck) -> None:
        self.pings_s = Histogram(SECONDS)
        self._status = status
        self._redis = status.redis
        self._db = status.db
        self._rooms = status.rooms
        self._data_dir = status.data_dir
        self._now = status.now
        self._asking = asyncio.Lock()
        self._asked_s = float("-inf")
        self._known: list[Reading] = []

    async def run(self) -> None:
        """Time one PING a second, until cancelled."""
        while True:
            began_s = time.monotonic()
            with suppress(RoomUnavailable), as_room_unavailable():  # whoever follows the lines says it in the log
                async with asyncio.timeout(PART_S):
                    await self._redis.ping()
            self.pings_s.add(time.monotonic() - began_s)
            await asyncio.sleep(PING_EVERY_S)

    async def readings(self) -> list[Reading]:
        """What the stores answered, at most KEPT_S seconds ago."""
        async with self._asking:
            if time.monotonic() - self._asked_s >= KEPT_S:
                self._known = await self._ask()
                self._asked_s = time.monotonic()
        return self._known

    def forget(self) -> None:
        """Let the next `readings` ask the stores again."""
        self._asked_s = float("-inf")

    async def _ask(self) -> list[Reading]:
        views = [view for view in self._rooms.views.values() if view.state is not RoomState.closed]
        redis, sql, disk, report = await asyncio.gather(
            _asked("tiketi_redis_up", lambda: self._redis_readings(views)),
            _asked("tiketi_sql_up", lambda: self._books(views)),
            asyncio.to_thread(self._disk),
            self._status.report(),
        )
        return [*redis, *sql, *disk, *_status(report), *self._room_readings(views)]

    async def _redis_readings(self, views: list[LineView]) -> Iterable[Reading]:
        pipe = self._redis.pipeline(transaction=False)
        for view in views:
            request_record(pipe, view.event_id)
            request_samples(pipe, view.event_id, view.epoch, whole=view.waiting > 0)
            pipe.xlen(redis_keys.lane(view.event_id))
            pipe.exists(redis_keys.door_pressed(view.event_id, view.epoch))
        with as_room_unavailable():
            infos = [await node.info() for node in await nodes_of(self._redis)]
            answers = await execute_each(pipe)
        now_ms = int(self._now().timestamp() * 1000)
        found = list(_info(infos))
        found.append(Reading("tiketi_lane_backlog_max", (), COMMANDS_MAX))
        parts = (answers[at::4] for at in range(4))
        for view, *of_room in zip(views, *parts, strict=True):
            if any(isinstance(answer, Exception) for answer in of_room):
                continue  # its node is away
            room, samples, backlog, pressed = of_room
            found += _room(view, record_of(room), samples, backlog, now_ms)
            found.append(Reading("tiketi_room_pressed", (view.event_id,), pressed))
        return found

    async def _books(self, views: list[LineView]) -> Iterable[Reading]:
        return list(_books(await figures.read(self._db, [view.event_id for view in views])))

    def _room_readings(self, views: list[LineView]) -> Iterator[Reading]:
        for view in views:
            at = (view.event_id,)
            yield Reading("tiketi_room_open", (view.event_id, view.state.value), int(view.state is RoomState.open))
            yield Reading("tiketi_room_waiting", at, view.waiting)
            yield Reading("tiketi_room_admitted", at, len(view.admitted))
            yield Reading("tiketi_room_active", at, len(view.active))
            yield Reading("tiketi_room_capacity", at, view.max_active)
            yield Reading("tiketi_room_rate_per_second", at, view.rate_per_s)
            yield Reading("tiketi_room_cursor", at, view.cursor)
            eta_s = view.position(view.number + 1).eta_s
            for edge, seconds in zip(("low", "high"), eta_s or (), strict=False):
                yield Reading("tiketi_room_eta_seconds", (view.event_id, edge), seconds)

    def _disk(self) -> list[Reading]:
        """Of the data folder; a machine whose stores are elsewhere has none."""
        if not self._data_dir.exists():
            return []
        disk = shutil.disk_usage(self._data_dir)
        return [Reading("tiketi_disk_free_bytes", (), disk.free), Reading("tiketi_disk_bytes", (), disk.total)]


def _status(report: Report) -> Iterator[Reading]:
    found = {problem.code for problem in report.problems}
    for code in CODES:
        yield Reading("tiketi_problem", (code,), int(code in found))
    yield Reading("tiketi_workers_seen", (), report.live_workers)


async def _asked(up: str, ask: Callable[[], Awaitable[Iterable[Reading]]]) -> list[Reading]:
    """A store's readings and `up` as 1; only `up` as 0 if it does not answer in time."""
    try:
        async with asyncio.timeout(PART_S):
            return [Reading(up, (), 1), *await ask()]
    except (RoomUnavailable, TimeoutError, *UNREADABLE) as error:
        log.debug("store_not_reached", metric=up, error=f"{type(error).__name__}: {error}")
        return [Reading(up, (), 0)]


def _info(infos: Sequence[dict[str, Any]]) -> Iterator[Reading]:
    """Of a cluster, the node that has least memory left; its log is fine if that of each node is."""
    info = fullest(infos)
    for name, field in (
        ("tiketi_redis_memory_bytes", "used_memory"),
        ("tiketi_redis_memory_max_bytes", "maxmemory"),
        ("tiketi_redis_clients", "connected_clients"),
        ("tiketi_redis_clients_max", "maxclients"),
        ("tiketi_redis_commands", "total_commands_processed"),
        ("tiketi_redis_aof_bytes", "aof_current_size"),
        ("tiketi_redis_aof_rewriting", "aof_rewrite_in_progress"),
    ):
        if field in info:
            yield Reading(name, (), float(info[field]))
    durable = all(info.get("aof_enabled") == 1 and info.get("aof_last_write_status") == "ok" for info in infos)
    yield Reading("tiketi_redis_aof_ok", (), int(durable))


def _room(view: LineView, record: RoomRecord | None, raw: list[bytes], backlog: int, now_ms: int) -> Iterator[Reading]:
    at = (view.event_id,)
    yield Reading("tiketi_room_numbers", at, record.number if record else 0)
    yield Reading("tiketi_room_admissions", at, record.admitted_total if record else 0)
    yield Reading("tiketi_room_generation", at, record.generation if record else 0)
    yield Reading("tiketi_room_numbers_left", at, record.bound - record.number if record else 0)
    yield Reading("tiketi_lane_backlog", at, backlog)
    waited_s = oldest_wait_s(read_samples(raw), view.cursor + 1, now_ms) if view.waiting else 0
    yield Reading("tiketi_room_oldest_wait_seconds", at, waited_s)


def _books(found: figures.Figures) -> Iterator[Reading]:
    for labels, total in found.reservations.items():
        yield Reading("tiketi_reservations", labels, total)
    for labels, total in found.seats.items():
        yield Reading("tiketi_seats", labels, total)
    for event_id, won in found.revenue.items():
        yield Reading("tiketi_revenue_won", (event_id,), won)
    for status, total in found.charges.items():
        yield Reading("tiketi_charges", (status,), total)
    for labels, total in found.waitlist.items():
        yield Reading("tiketi_waitlist", labels, total)
    yield Reading("tiketi_refunds_due", (), found.refunds_due)
    yield Reading("tiketi_refunds_failing", (), found.refunds_failing)
