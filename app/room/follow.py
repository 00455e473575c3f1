"""Keeps a LineView per room up to date from the room logs, in one task per web process.

Nothing is missed: a gap in a log, a changed setting or a room made again loads a snapshot. The logs of closed rooms are
not read, since there may be hundreds of them: one stream for all rooms announces each that is opened. Listeners are
called in the event loop after every change and must not block.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import RoomState
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.presence import People
from app.room.scripts import RoomScripts
from app.room.view import LineView, place_in_log

BLOCK_MS = 500
READ_TIMEOUT_S = 2.0  # a read that exceeds BLOCK_MS by this much has failed
ENTRIES_PER_READ = 1_000
RETRY_S = 0.2
RECHECK_S = 1.0  # how often everything is compared with what Redis has, whatever was announced
SNAPSHOT_TRIES = 5

log = structlog.get_logger()


class Rooms:
    """The rooms this process knows, by event id in `views`.

    `fresh`: whether the last read of Redis worked; `read_s`: when one last did, by a steady clock.
    """

    def __init__(self, redis: Redis, scripts: RoomScripts) -> None:
        self.views: dict[str, LineView] = {}
        self.scripts = scripts
        self.fresh = False
        self.read_s = time.monotonic()
        self._redis = redis
        self._may_be_behind = False  # whether another Redis may have taken over that knows less
        self._opened_id = b""  # the last entry of `opened` that was taken
        self._listeners: list[Callable[[LineView], None]] = []
        self._finding = asyncio.Lock()

    def on_change(self, listener: Callable[[LineView], None]) -> None:
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow every room until cancelled. While Redis cannot be reached, the views stay as they are."""
        while True:
            try:
                await self._follow()
            except RoomUnavailable as error:
                self.fresh = False
                self._may_be_behind = True
                log.warning("room_log_unreadable", error=repr(error), retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        await self.refresh()
        if self._may_be_behind:
            for view in self._live():
                await self.reload(view.event_id)
            self._may_be_behind = False
        refreshed_s = time.monotonic()
        while True:
            await self._read()
            now_s = time.monotonic()
            for view in self._live():
                view.measure(now_s)
            self.fresh = True
            self.read_s = now_s
            if now_s - refreshed_s >= RECHECK_S:
                await self.refresh()
                refreshed_s = now_s

    def _live(self) -> list[LineView]:
        return [view for view in self.views.values() if view.state is not RoomState.closed]

    async def _read(self) -> None:
        """Apply the next entries of the logs, or return after BLOCK_MS without any. Raises RoomUnavailable."""
        live = {redis_keys.room_log(view.event_id): view for view in self._live()}
        streams: dict[Any, Any] = {name: view.log_id for name, view in live.items()}
        streams[redis_keys.OPENED] = self._opened_id
        with as_room_unavailable():
            async with asyncio.timeout(BLOCK_MS / 1000 + READ_TIMEOUT_S):
                news = await self._redis.xread(streams, count=ENTRIES_PER_READ, block=BLOCK_MS)
        for name, entries in news:
            if name.decode() in live:
                await self._apply(live[name.decode()], entries)
            else:
                for event_id in {entry[b"e"].decode() for _, entry in entries}:
                    await self.reload(event_id)
                self._opened_id = entries[-1][0]

    async def refresh(self) -> None:
        """Learn of every room there is and how it is, also where no entry of a log could have said so.

        Raises RoomUnavailable.
        """
        with as_room_unavailable():
            last = await self._redis.xrevrange(redis_keys.OPENED, count=1)
        last_id = last[0][0] if last else b"0-0"
        if not self._opened_id or place_in_log(last_id) < place_in_log(self._opened_id):
            self._opened_id = last_id  # what comes after it will be read, what came before it is looked at now
        await self.discover()
        await self.recheck()

    async def recheck(self) -> None:
        """Load anew every room whose log in Redis ends before ours, and every closed one that has changed.

        The first happens when a room was made again by a clock that is behind, or when a replica took over that had not
        received everything: new entries then look older than what was read, and no read would return them.
        """
        known = list(self.views.items())  # an event made meanwhile adds one
        with as_room_unavailable():
            async with self._redis.pipeline(transaction=False) as pipe:
                for event_id, _ in known:
                    pipe.hget(redis_keys.room(event_id), "rev")
                    pipe.xrevrange(redis_keys.room_log(event_id), count=1)
                found = await pipe.execute()
        for (event_id, view), rev, last in zip(known, found[::2], found[1::2], strict=True):
            last_id = last[0][0] if last else b"0-0"
            if rev is None or (int(rev) == view.rev and last_id == view.log_id):
                continue
            is_behind = int(rev) < view.rev or place_in_log(last_id) < place_in_log(view.log_id)
            if is_behind or view.state is RoomState.closed:
                await self.reload(event_id)

    def with_people_waiting(self) -> Iterable[tuple[LineView, People]]:
        """The lines that have people waiting, for presence to report on, even if this process sees nobody in them."""
        return [(view, {}) for view in self.views.values() if view.waiting and view.state is not RoomState.closed]

    async def find(self, event_id: str) -> LineView | None:
        """The view of this room; None if there is no such room. Raises RoomUnavailable.

        One that is not known yet may have been made a moment ago, so Redis is asked, one call at a time: requests with
        invented names cost it little.
        """
        if event_id not in self.views:
            async with self._finding:
                if event_id not in self.views:
                    await self.reload(event_id)
        return self.views.get(event_id)

    async def discover(self) -> None:
        """Load every room that is not known yet. Raises RoomUnavailable."""
        with as_room_unavailable():
            members = await self._redis.smembers(redis_keys.ROOMS)  # type: ignore[misc]  # redis-py types it for both clients
        for member in members:
            event_id = member.decode()
            if event_id not in self.views:
                await self.reload(event_id)

    async def _apply(self, view: LineView, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for log_id, entry in entries:
            if not view.apply(log_id, entry):
                await self.reload(view.event_id)
                return
        self._notify(view)

    async def reload(self, event_id: str) -> None:
        """Load a room's snapshot, in whichever epoch the room is by then. Raises RoomUnavailable."""
        for _ in range(SNAPSHOT_TRIES):
            with as_room_unavailable():
                epoch = await self._redis.hget(redis_keys.room(event_id), "epoch")  # type: ignore[misc]
            if epoch is None:
                return
            snapshot = await self.scripts.snapshot(event_id, int(epoch))
            if snapshot is not None and snapshot.record.epoch == int(epoch):
                view = self.views.get(event_id) or LineView(event_id, self.scripts.timing.poll_max_ms)
                view.load(snapshot)
                self.views[event_id] = view
                self._notify(view)
                return

    def _notify(self, view: LineView) -> None:
        for listener in self._listeners:
            listener(view)
