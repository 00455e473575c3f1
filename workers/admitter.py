"""Lets the lines in: one tick every `tick_ms` on every worker.

All workers tick all rooms but the closed ones, which cost nothing until they are opened again. Rate, capacity and order
are kept by admit.lua, atomically, so a second worker adds nothing but safety: when one dies the others go on without a
gap and without admitting anyone twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import structlog

from app.domain.line import RoomState
from app.jobs import Wake, WakeUpFailed
from app.metrics.work import Work
from app.room.answers import NoRoom
from app.room.errors import RoomUnavailable
from app.room.live_rooms import any_opened_since, read_live_rooms
from app.room.scripts import RoomScripts

REFRESH_S = 1.0  # how often all rooms are looked at; one that is made or opened is told of before
CALL_TIMEOUT_S = 2.0

log = structlog.get_logger()


class Admitter:
    """`wake` wakes the allocator when something was put on a lane: wishes, or what turns that ended leave behind."""

    def __init__(self, scripts: RoomScripts, wake: Wake, tick_ms: int, work: Work | None = None) -> None:
        self._scripts = scripts
        self._wake = wake
        self._work = work or Work()
        self._tick_s = tick_ms / 1000
        self._epochs: dict[str, int] = {}  # of the rooms that are not closed
        self._opened_id = b"0-0"  # the last entry of `opened` that was read
        self._last: dict[str, tuple[float, float]] = {}  # when it was called, by our clock, and its refilled_ms

    async def run(self) -> None:
        """Tick until cancelled. A late tick is not made up for: its time is in the next one's grant."""
        next_s = refreshed_s = time.monotonic()
        await self._try(self.refresh())
        while True:
            now_s = time.monotonic()
            if now_s - refreshed_s >= REFRESH_S:
                await self._try(self.refresh())
                refreshed_s = now_s
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
            log.warning("tick_failed", error=f"{type(error).__name__}: {error}")

    async def refresh(self) -> None:
        """Learn which rooms are not closed and their epochs, in two calls however many there are."""
        rooms = await read_live_rooms(self._scripts.redis)
        self._opened_id = rooms.opened_id
        for event_id, epoch in rooms.epochs.items():
            if self._epochs.get(event_id) != epoch:
                self._epochs[event_id] = epoch
                self._last.pop(event_id, None)

    async def tick(self) -> None:
        """One tick of every room that is not closed. All of them have ended when it returns, however it does."""
        if await any_opened_since(self._scripts.redis, self._opened_id):
            await self.refresh()
        ticks = (self._tick_room(event_id, epoch) for event_id, epoch in list(self._epochs.items()))
        for error in await asyncio.gather(*ticks, return_exceptions=True):
            if error is not None:
                raise error

    async def _tick_room(self, event_id: str, epoch: int) -> None:
        now_s = time.monotonic()
        called_s, since_ms = self._last.get(event_id, (now_s, None))
        tick = await self._scripts.tick(event_id, epoch, (now_s - called_s) * 1000, since_ms=since_ms)
        self._last[event_id] = now_s, tick.refilled_ms
        if isinstance(tick.room, NoRoom) or tick.room is RoomState.closed:
            del self._epochs[event_id], self._last[event_id]
        if isinstance(tick.room, NoRoom):
            return
        self._work.ticked(event_id, tick.admitted, tick.turns_ended, tick.wishes_sent)
        if tick.wishes_sent or tick.turns_ended:
            await self._wake(event_id, f"tick-{tick.cursor}-{tick.number}-{int(now_s * 1000)}")
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
