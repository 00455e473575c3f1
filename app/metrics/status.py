"""What is wrong with the system as a whole, for people and alerts: the stores, the processes, how they fit together.

However often it is asked for, everything is looked at once in `KEPT_S` seconds at most. A problem's code is for
programs and never changes; its detail is a sentence that tells no secret.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from app.domain.line import RoomState
from app.lane.errors import LaneUnavailable
from app.lane.seats import SeatViews
from app.lane.streams import LaneStreams
from app.ledger import room_windows
from app.ledger.database import Database
from app.ledger.figures import UNREADABLE
from app.ledger.migrations import SchemaError
from app.outages import DATABASE, REDIS
from app.processes.processes import Processes, Seen
from app.processes.shared_clock import is_off
from app.redis_nodes import nodes_of
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.follow import Rooms

KEPT_S = 2.0
PART_S = 2.0  # what one store gets to answer
DISK_FREE_MIN_BYTES = 64 * 1024 * 1024  # below it, the next rewrite of Redis's log fails
MEMORY_USED_MAX = 0.9  # of what Redis may have

CODES = (
    *("redis_away", "redis_writes_fail", "redis_no_log", "redis_log_fails", "redis_evicts", "redis_memory_short"),
    *("database_away", "database_fails", "tables_differ", "room_unknown", "room_recovering"),
    *("seats_wait", "disk_short"),
    *("workers_none", "process_gone", "keys_differ", "clock_wrong"),
)


class Problem(NamedTuple):
    """`code` is one of CODES."""

    code: str
    detail: str


class Report(NamedTuple):
    """What is wrong now, and the processes that said something within the last minutes."""

    problems: Sequence[Problem]
    processes: Sequence[Seen]

    @property
    def live_workers(self) -> int:
        """How many workers live."""
        return sum(each.is_live and each.told.kind == "worker" for each in self.processes)


@dataclass(kw_only=True, eq=False)
class StatusCheck:
    """Of one web process. `wait_max_s` is how long a request waits for the allocator."""

    redis: Redis
    db: Database
    rooms: Rooms
    seats: SeatViews
    processes: Processes
    wait_max_s: float
    data_dir: Path
    now: Callable[[], datetime]
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _known: tuple[float, Report] | None = field(default=None, init=False)

    async def report(self) -> Report:
        """What was found at most KEPT_S seconds ago."""
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] >= KEPT_S:
                self._known = time.monotonic(), await self._look()
        return self._known[1]

    def forget(self) -> None:
        """Let the next `report` look again."""
        self._known = None

    async def _look(self) -> Report:
        parts = await asyncio.gather(
            _within("redis_away", "Redis", self._ask_redis),
            _within("database_away", "The database", self._ask_database),
            asyncio.to_thread(self._look_at_disk),
        )
        report = Report([problem for part in parts for problem in part], self.processes.seen)
        found = [*report.problems, *self._of_processes(report)]
        return report._replace(problems=sorted(found, key=lambda problem: CODES.index(problem.code)))

    async def _ask_redis(self) -> Iterable[Problem]:
        with as_room_unavailable():
            infos = [await node.info() for node in await nodes_of(self.redis)]
        waited_s = await LaneStreams(self.redis).oldest_wait_s(self.seats.event_ids)
        of_nodes = {problem.code: problem for info in infos for problem in _of_redis(info)}
        return [*of_nodes.values(), *self._of_lanes(waited_s), *self._of_rooms()]

    def _of_lanes(self, waited_s: float) -> Iterator[Problem]:
        if waited_s > self.wait_max_s:
            detail = f"A request for seats has waited for {waited_s:.0f} s, so nothing is sold where it waits."
            yield Problem("seats_wait", detail)

    def _of_rooms(self) -> Iterator[Problem]:
        for view in self.rooms.views.values():
            if view.state is RoomState.recovering:
                detail = (
                    f"Redis may have lost something of the room of {view.event_id}, which lets nobody in for a while."
                )
                yield Problem("room_recovering", detail)

    async def _ask_database(self) -> Iterable[Problem]:
        try:
            await self.db.require_tables()
        except SchemaError as error:
            return [Problem("tables_differ", str(error))]
        takes_writes = await self.db.takes_writes()
        unknown = sorted(await room_windows.with_room(self.db, self.now()) - self.rooms.views.keys())
        unread = self.seats.stale
        return [
            *([] if takes_writes else [Problem("database_fails", "The database takes no writes: it is read-only.")]),
            *(Problem("room_unknown", f"The room of {event_id} is not there.") for event_id in unknown),
            *(Problem("database_fails", f"The seat map of {event_id} cannot be read again.") for event_id in unread),
        ]

    def _look_at_disk(self) -> list[Problem]:
        """The disk of the data folder; a machine whose stores are elsewhere has none."""
        if not self.data_dir.exists():
            return []
        free = shutil.disk_usage(self.data_dir).free
        detail = f"{free // 1_000_000} MB are free on the disk of the data folder."
        return [Problem("disk_short", detail)] if free < DISK_FREE_MIN_BYTES else []

    def _of_processes(self, report: Report) -> Iterator[Problem]:
        if not report.live_workers:
            yield Problem("workers_none", "No worker lives, so nobody is let in and no seats are held.")
        for each in report.processes:
            if not each.is_live:
                yield Problem("process_gone", f"{_name(each)} has said nothing for {each.age_s:.0f} s.")
        if self.processes.other_keys:
            others = ", ".join(self.processes.other_keys)
            yield Problem("keys_differ", f"{others}: other keys than here, so each refuses what the other signed.")
        for each in report.processes:
            if each.is_live and is_off(each.told.clock_off_s):
                yield Problem("clock_wrong", _of_clock(_name(each), each.told.clock_off_s))
        yield from _failing("this process", self.processes.outages.kinds)
        for each in report.processes:
            if each.is_live:
                yield from _failing(_name(each), each.told.failing)


def _name(seen: Seen) -> str:
    return f"{seen.told.name}@{seen.told.host}"


def _of_clock(who: str, off_s: float) -> str:
    how = "ahead of" if off_s > 0 else "behind"
    return f"The clock of {who} is {abs(off_s):.1f} s {how} Redis's. Nothing goes by it, but its log has wrong times."


def _failing(who: str, kinds: Mapping[str, str]) -> Iterator[Problem]:
    for store, code in ((REDIS, "redis_writes_fail"), (DATABASE, "database_fails")):
        if store in kinds:
            yield Problem(code, f"Calls of {who} fail: {kinds[store]}.")


def _of_redis(info: Mapping[str, Any]) -> Iterator[Problem]:
    if info.get("role") != "master":
        yield Problem("redis_writes_fail", "Redis is a replica, which takes no writes.")
    if not info.get("aof_enabled"):
        yield Problem("redis_no_log", "Redis keeps no append-only file (appendonly no): what is answered can be lost.")
    if info.get("aof_last_write_status", "ok") != "ok":
        yield Problem("redis_log_fails", "Redis cannot write its append-only file, so nobody can join.")
    if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
        yield Problem("redis_evicts", f"Redis deletes places when its memory is full (maxmemory-policy {policy}).")
    most = int(info.get("maxmemory", 0))
    if most and int(info["used_memory"]) > most * MEMORY_USED_MAX:
        yield Problem("redis_memory_short", "Redis uses nearly all of its memory, so nobody new is taken into a line.")


async def _within(code: str, what: str, ask: Callable[[], Awaitable[Iterable[Problem]]]) -> Iterable[Problem]:
    """What is found, or only that there was no answer in time."""
    try:
        async with asyncio.timeout(PART_S):
            return await ask()
    except TimeoutError:
        return [Problem(code, f"{what} does not answer within {PART_S:g} s.")]
    except RoomUnavailable as error:
        return [Problem(code, f"{what} does not answer ({error.kind}).")]
    except (LaneUnavailable, *UNREADABLE) as error:
        return [Problem(code, f"{what} does not answer ({type(error).__name__}).")]
