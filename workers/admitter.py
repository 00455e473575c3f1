"""Lets the lines in: one tick of each room every `tick_ms`, by the worker whose room it is.

The rooms are divided among the workers (app/room/division.py), and each of them ticks all of its own in one round trip.
Where nobody waits it looks whether somebody came, and ticks now and then for what ends by the clock. The closed ones
cost nothing until they are opened again, and those far from their opening nothing until it is near. Rate, capacity and
order are kept by admit.lua, atomically, whoever ticks: when a worker dies the others go on without admitting anyone
twice. Every worker ticks every room once when it learns of it, so that it can vouch for the time that has passed since
when it takes the room over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from heapq import nsmallest
from math import ceil
from typing import NamedTuple

import structlog

from app.domain.line import RoomState
from app.jobs import Wake, WakeUpFailed
from app.metrics.work import Work
from app.outages import REDIS, Outages
from app.room.answers import NoRoom, Tick
from app.room.division import Division
from app.room.errors import RoomUnavailable
from app.room.live_rooms import LiveRoomsReader, any_opened_since
from app.room.record import read_numbers
from app.room.scripts import RoomScripts, TickCall

REFRESH_S = 1.0  # how often all rooms are looked at; one that is made or opened is told of before
CALL_TIMEOUT_S = 2.0
ROOMS_PER_CALL = 100  # ticked in one round trip: about 10 ms of Redis
QUIET = frozenset({RoomState.open, RoomState.draining, RoomState.paused})  # nothing begins by the clock
TELL_ABSENT_S = 5.0  # how often those who follow a room in which people wait are told who is absent
TOLD_MAX = 20  # rooms that are told in one round
QUIET_ROUNDS = 5  # a room where nobody waits and nobody comes is ticked once in so many rounds

log = structlog.get_logger()


class _Ticked(NamedTuple):
    """A room as of its last tick: when we called, by our clock, its `refilled_ms` and the last number that was given.
    `waits`: whether somebody does; `is_quiet`: nobody does, and nothing begins by the clock."""

    called_s: float
    refilled_ms: float
    number: int
    waits: bool
    is_quiet: bool


class Admitter:
    """`wake` wakes the allocator when something was put on a lane: wishes, or what turns that ended leave behind.
    `division` says which rooms are this worker's; without it all are."""

    def __init__(
        self,
        scripts: RoomScripts,
        wake: Wake,
        tick_ms: int,
        work: Work | None = None,
        outages: Outages | None = None,
        division: Division | None = None,
    ) -> None:
        self._scripts = scripts
        self._reader = LiveRoomsReader(scripts.redis)
        self._division = division
        self._wake = wake
        self._work = work or Work()
        self._outages = outages or Outages()
        self._tick_s = tick_ms / 1000
        self._epochs: dict[str, int] = {}  # of the rooms that are neither closed nor far from their opening
        self._opened_id = b"0-0"  # the last entry of `opened` that was read
        self._last: dict[str, _Ticked] = {}
        self._told_s: dict[str, float] = {}  # when who is absent was told, of rooms in which people wait

    async def run(self) -> None:
        """Tick until cancelled. A late tick is not made up for: its time is in the next one's grant."""
        try:
            await self._run()
        finally:
            if self._division is not None:
                await self._try(self._division.leave())

    async def _run(self) -> None:
        next_s = refreshed_s = time.monotonic()
        await self._try(self.refresh())
        while True:
            now_s = time.monotonic()
            if now_s - refreshed_s >= REFRESH_S:
                await self._try(self.refresh())
                refreshed_s = now_s
            if self._division is not None:
                await self._try(self._division.beat())
            self._work.tick_late_s.add(max(0.0, now_s - next_s))
            await self._try(self.tick())
            self._work.tick_s.add(time.monotonic() - now_s)
            next_s = max(next_s + self._tick_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    async def _try(self, step: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await step
        except (RoomUnavailable, WakeUpFailed, TimeoutError) as error:
            self._work.ticks_failed += 1
            self._outages.failed(REDIS, "admitter", error)
        else:
            self._outages.worked("admitter")

    async def refresh(self) -> None:
        """Learn which rooms are to be ticked and their epochs, in two calls however many there are."""
        rooms = await self._reader.read()
        self._opened_id = rooms.opened_id
        for event_id in rooms.far.keys() & self._epochs.keys():  # its sale was moved
            del self._epochs[event_id]
            self._last.pop(event_id, None)
        for event_id, epoch in rooms.epochs.items():
            if self._epochs.get(event_id) != epoch:
                self._epochs[event_id] = epoch
                self._last.pop(event_id, None)

    async def tick(self) -> None:
        """One tick of every room of ours. All have ended when it returns, however it does."""
        errors: list[Exception] = []
        try:
            await self._look_for_opened()
        except RoomUnavailable as error:  # of a cluster, perhaps only that node is away
            errors.append(error)
        rooms = await self._rooms_to_tick()
        parts = (self._tick_rooms(rooms[at : at + ROOMS_PER_CALL]) for at in range(0, len(rooms), ROOMS_PER_CALL))
        errors += [error for part in parts for error in await part]
        await self._tell_absent(rooms)
        if errors:
            raise errors[0]

    async def _look_for_opened(self) -> None:
        """Learn of a room that was made or opened a moment ago."""
        if await any_opened_since(self._scripts.redis, self._opened_id):
            await self.refresh()

    async def _tell_absent(self, rooms: Sequence[str]) -> None:
        """Where people wait, tell who is absent, in the rooms that were told least lately."""
        now_s = time.monotonic()
        waiting = [event_id for event_id in rooms if event_id in self._last and self._last[event_id].waits]
        self._told_s = {event_id: self._told_s.get(event_id, now_s) for event_id in waiting}
        for event_id in nsmallest(TOLD_MAX, waiting, key=self._told_s.__getitem__):
            if now_s - self._told_s[event_id] >= TELL_ABSENT_S:
                self._told_s[event_id] = now_s
                await self._scripts.tell_absent(event_id, self._epochs[event_id])

    async def _rooms_to_tick(self) -> list[str]:
        """Those of ours where somebody waits or came since their last tick, and some of the others: each has its turn
        within `QUIET_ROUNDS` rounds."""
        ours = [event_id for event_id in self._epochs if self._is_ours(event_id)]
        quiet = [event_id for event_id in ours if event_id in self._last and self._last[event_id].is_quiet]
        numbers = await read_numbers(self._scripts.redis, quiet)
        turns = nsmallest(ceil(len(quiet) / QUIET_ROUNDS), quiet, key=lambda event_id: self._last[event_id].called_s)
        rest = {
            event_id for event_id in quiet if numbers.get(event_id) in (None, self._last[event_id].number)
        }.difference(turns)
        return [event_id for event_id in ours if event_id not in rest]

    def _is_ours(self, event_id: str) -> bool:
        return self._division is None or event_id not in self._last or self._division.owns(event_id)

    async def _tick_rooms(self, rooms: Sequence[str]) -> list[Exception]:
        """Tick these rooms; what went wrong in some of them."""
        now_s = time.monotonic()
        calls = [self._call_of(event_id, now_s) for event_id in rooms]
        try:
            ticks = await self._scripts.tick_all(calls)
        except RoomUnavailable as error:
            return [error]
        errors: list[Exception] = [tick for tick in ticks if isinstance(tick, RoomUnavailable)]
        ticked = [(call.event_id, tick) for call, tick in zip(calls, ticks, strict=True) if isinstance(tick, Tick)]
        wakes = [
            self._wake(event_id, f"tick-{tick.cursor}-{tick.number}-{int(now_s * 1000)}")
            for event_id, tick in ticked
            if self._note(event_id, tick, now_s)
        ]
        answers = await asyncio.gather(*wakes, return_exceptions=True)
        return errors + [error for error in answers if isinstance(error, Exception)]

    def _call_of(self, event_id: str, now_s: float) -> TickCall:
        last = self._last.get(event_id)
        if last is None:
            return TickCall(event_id, self._epochs[event_id], 0.0)
        return TickCall(event_id, self._epochs[event_id], (now_s - last.called_s) * 1000, last.refilled_ms)

    def _note(self, event_id: str, tick: Tick, now_s: float) -> bool:
        """Keep what a tick has told, and say it; whether something was put on a lane."""
        is_quiet = not tick.waits and tick.room in QUIET
        self._last[event_id] = _Ticked(now_s, tick.refilled_ms, tick.number, tick.waits, is_quiet)
        if isinstance(tick.room, NoRoom) or tick.room is RoomState.closed:
            del self._epochs[event_id], self._last[event_id]
        if isinstance(tick.room, NoRoom):
            return False
        self._work.ticked(event_id, tick.admitted, tick.turns_ended, tick.wishes_sent)
        if tick.turns_ended:
            log.info("turns_ended", event_id=event_id, people=tick.turns_ended)
        if tick.admitted:
            log.info(
                "admitted",
                event_id=event_id,
                people=tick.admitted,
                wishes=tick.wishes_sent,
                cursor=tick.cursor,
                number=tick.number,
            )
        return bool(tick.wishes_sent or tick.turns_ended)
