"""Lets the lines in: one tick every `tick_ms` on every worker.

All workers tick all rooms but the closed ones, which cost nothing until they are opened again. Rate, capacity and order
are kept by admit.lua, atomically, so a second worker adds nothing but safety: when one dies the others go on without a
gap and without admitting anyone twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import structlog

from app import redis_keys
from app.domain.line import RoomState
from app.jobs import Wake, WakeUpFailed
from app.metrics.work import Work
from app.room.errors import RoomUnavailable, as_room_unavailable
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
            with as_room_unavailable():
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await step
        except (RoomUnavailable, WakeUpFailed) as error:
            self._work.ticks_failed += 1
            log.warning("tick_failed", error=f"{type(error).__name__}: {error}")

    async def refresh(self) -> None:
        """Learn which rooms are not closed and their epochs, in two calls however many there are."""
        async with self._scripts.redis.pipeline(transaction=False) as pipe:
            pipe.xrevrange(redis_keys.OPENED, count=1)  # first: what comes after it is news
            pipe.smembers(redis_keys.ROOMS)
            last, members = await pipe.execute()
            event_ids = [member.decode() for member in members]
            for event_id in event_ids:
                pipe.hmget(redis_keys.room(event_id), ["epoch", "state"])
            found = await pipe.execute()
        self._opened_id = last[0][0] if last else b"0-0"
        for event_id, (epoch, state) in zip(event_ids, found, strict=True):
            if epoch is not None and state != RoomState.closed.encode() and self._epochs.get(event_id) != int(epoch):
                self._epochs[event_id] = int(epoch)
                self._last.pop(event_id, None)

    async def tick(self) -> None:
        """One tick of every room that is not closed. All of them have ended when it returns, however it does."""
        opened: dict[Any, Any] = {redis_keys.OPENED: self._opened_id}
        if await self._scripts.redis.xread(opened, count=1):
            await self.refresh()
        ticks = (self._tick_room(event_id, epoch) for event_id, epoch in list(self._epochs.items()))
        for error in await asyncio.gather(*ticks, return_exceptions=True):
            if error is not None:
                raise error

    async def _tick_room(self, event_id: str, epoch: int) -> None:
        now_s = time.monotonic()
        called_s, since_ms = self._last.get(event_id, (now_s, None))
        ended, tick = await self._scripts.tick(event_id, epoch, (now_s - called_s) * 1000, since_ms=since_ms)
        self._last[event_id] = now_s, tick.refilled_ms
        if tick.state in ("old_epoch", "missing", RoomState.closed):
            del self._epochs[event_id], self._last[event_id]
        if tick.state in ("old_epoch", "missing"):
            return
        self._work.ticked(event_id, tick.admitted, ended, tick.wished)
        if tick.wished or ended:
            await self._wake(event_id, f"tick-{tick.cursor}-{tick.number}-{int(now_s * 1000)}")
        if ended:
            log.info("turns_ended", event_id=event_id, people=ended)
        if tick.admitted:
            log.info(
                "admitted",
                event_id=event_id,
                people=tick.admitted,
                wishes=tick.wished,
                cursor=tick.cursor,
                number=tick.number,
            )
