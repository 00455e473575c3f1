"""Keeps a LineView per room up to date from the room logs, in one task per web process.

Nothing is missed: a gap in a log, a changed setting or a room made again loads a snapshot. The logs of rooms that are
closed or far from their opening are not read, since there may be hundreds of them: one stream for all rooms announces
each of them that is changed. A room that is retired is not kept. Listeners are called in the event loop after every
change and must not block.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from math import inf

from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import Bits, RoomState
from app.outages import REDIS, Outages
from app.redis_nodes import StreamReads, execute_each, parted
from app.room.draws import read_ranks
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.live_rooms import SOON_MS, in_turn
from app.room.presence import People
from app.room.record import RoomRecord
from app.room.scripts import RoomScripts
from app.room.view import LineView, place_in_log

BLOCK_MS = 500
READ_TIMEOUT_S = 2.0  # a read that exceeds BLOCK_MS by this much has failed
ENTRIES_PER_READ = 1_000
RETRY_S = 0.2
RECHECK_S = 1.0  # how often the rooms that are followed are compared with what Redis has, whatever was announced
ASLEEP_PER_RECHECK = 20  # of the others, in turn
SNAPSHOT_TRIES = 5


class Rooms:
    """The rooms this process knows, by event id in `views`.

    `wall_s`: the time, by which rooms open and buyers in a lobby are told when to ask again. Without it no room
    counts as far from its opening.
    `fresh`: whether the last read of Redis worked; `turned_s`: when one last ended, however it did, by a steady clock.
    """

    def __init__(
        self,
        redis: Redis,
        scripts: RoomScripts,
        wall_s: Callable[[], float] | None = None,
        outages: Outages | None = None,
    ) -> None:
        self.views: dict[str, LineView] = {}
        self.scripts = scripts
        self.fresh = False
        self.turned_s = time.monotonic()
        self._outages = outages or Outages()
        self._redis = redis
        self._wall_s = wall_s
        self._behind: set[str] = set()  # rooms that another Redis may have taken over, which knows less
        self._reads = StreamReads(redis)
        self._members: set[str] = set()  # the rooms there are, as of the last look
        self._rechecked = ""  # the last one of those asleep
        self._opened_id = b""  # the last entry of `opened` that was taken
        self._listeners: list[Callable[[LineView], None]] = []
        self._finding = asyncio.Lock()

    def on_change(self, listener: Callable[[LineView], None]) -> None:
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow every room until cancelled. While Redis cannot be reached, the views stay as they are."""
        try:
            while True:
                try:
                    await self._follow()
                except RoomUnavailable as error:
                    self.fresh = False
                    self._behind |= {view.event_id for view in self._live()}
                    self.turned_s = time.monotonic()
                    self._outages.failed(REDIS, "lines", error)
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._reads.close()

    async def _follow(self) -> None:
        await self.refresh()
        await self._catch_up()
        refreshed_s = time.monotonic()
        while True:
            await self._read()
            now_s = time.monotonic()
            for view in self._live():
                view.measure(now_s)
                view.clock_ms = 0 if self._wall_s is None else int(self._wall_s() * 1000)
            self.fresh = True
            self.turned_s = now_s
            self._outages.worked("lines")
            if now_s - refreshed_s >= RECHECK_S:
                await self.refresh()
                await self._catch_up()
                refreshed_s = now_s

    async def _catch_up(self) -> None:
        """Load anew the rooms that may know less than was read of them."""
        for event_id in sorted(self._behind):
            with self._one_by_one(event_id):
                self._behind.discard(event_id)
                await self.reload(event_id)

    @contextmanager
    def _one_by_one(self, event_id: str) -> Iterator[None]:
        """Let a room whose node is away keep no other from being followed; it is loaded anew once the node is back."""
        try:
            yield
        except RoomUnavailable as error:
            self._behind.add(event_id)
            self._outages.failed(REDIS, f"line of {event_id}", error)
        else:
            self._outages.worked(f"line of {event_id}")

    def _live(self) -> list[LineView]:
        """The rooms whose logs are read."""
        soon_ms = inf if self._wall_s is None else self._wall_s() * 1000 + SOON_MS
        return [view for view in self.views.values() if not view.is_asleep(soon_ms)]

    async def _read(self) -> None:
        """Apply the next entries of the logs, or return after BLOCK_MS without any. Raises RoomUnavailable."""
        live = {redis_keys.room_log(view.event_id): view for view in self._live()}
        streams = {name: view.log_id for name, view in live.items()}
        with as_room_unavailable():
            opened = {redis_keys.OPENED: self._opened_id} if self._opened_id else {}
            found = await self._reads.next(streams | opened, ENTRIES_PER_READ, BLOCK_MS, READ_TIMEOUT_S)
        news, failed = parted(found)
        for name, error in failed.items():
            if name in live:
                self._behind.add(live[name].event_id)
            self._outages.failed(REDIS, name, error)
        for name, entries in news.items():
            if name in live:
                with self._one_by_one(live[name].event_id):
                    await self._apply(live[name], entries)
            elif entries:
                for event_id in {entry[b"e"].decode() for _, entry in entries}:
                    with self._one_by_one(event_id):
                        await self.reload(event_id)
                self._opened_id = entries[-1][0]
            self._outages.worked(name)

    async def refresh(self) -> None:
        """Learn of every room there is and how it is, also where no entry of a log could have said so.

        Raises RoomUnavailable if no room answers.
        """
        try:
            await self._look_for_rooms()
        except RoomUnavailable as error:
            if not self.views:
                raise
            self._outages.failed(REDIS, "rooms", error)
        else:
            self._outages.worked("rooms")
        await self.recheck()

    async def _look_for_rooms(self) -> None:
        with as_room_unavailable():
            last = await self._redis.xrevrange(redis_keys.OPENED, count=1)
        last_id = last[0][0] if last else b"0-0"
        if not self._opened_id or place_in_log(last_id) < place_in_log(self._opened_id):
            self._opened_id = last_id  # what comes after it will be read, what came before it is looked at now
        await self.discover()

    async def recheck(self) -> None:
        """Load anew every followed room whose log in Redis ends before ours, and of the others those that have changed:
        they are looked at in turn.

        The first happens when a room was made again by a clock that is behind, or when a replica took over that had not
        received everything: new entries then look older than what was read, and no read would return them.
        """
        followed = {view.event_id: view for view in self._live()}
        known = [*followed.items(), *self._asleep_in_turn(followed.keys())]
        with as_room_unavailable():
            pipe = self._redis.pipeline(transaction=False)
            for event_id, _ in known:
                pipe.hget(redis_keys.room(event_id), "rev")
                pipe.xrevrange(redis_keys.room_log(event_id), count=1)
            found = await execute_each(pipe)
        for (event_id, view), rev, last in zip(known, found[::2], found[1::2], strict=True):
            if isinstance(rev, Exception) or isinstance(last, Exception):
                self._behind.add(event_id)
                continue
            last_id = last[0][0] if last else b"0-0"
            if rev is None or (int(rev) == view.rev and last_id == view.log_id):
                continue
            is_behind = int(rev) < view.rev or place_in_log(last_id) < place_in_log(view.log_id)
            if is_behind or event_id not in followed:
                with self._one_by_one(event_id):
                    await self.reload(event_id)

    def _asleep_in_turn(self, followed: Set[str]) -> list[tuple[str, LineView]]:
        chosen = in_turn(self.views.keys() - followed, self._rechecked, ASLEEP_PER_RECHECK)
        self._rechecked = chosen[-1] if chosen else ""
        return [(event_id, self.views[event_id]) for event_id in chosen]

    def with_people_waiting(self) -> Iterable[tuple[LineView, People]]:
        """The lines that have people waiting, for presence to report on, even if this process sees nobody in them."""
        return [(view, {}) for view in self.views.values() if view.waiting]

    async def find(self, event_id: str) -> LineView | None:
        """The view of this room; None if there is no such room. Raises RoomUnavailable.

        One that is not known yet may have been made a moment ago, or is retired, so Redis is asked, one call at a time:
        requests with invented names cost it little.
        """
        if event_id not in self.views:
            async with self._finding:
                if event_id not in self.views:
                    return await self.reload(event_id)
        return self.views.get(event_id)

    async def discover(self) -> None:
        """Load every room that is not known yet, and forget those that were retired. Raises RoomUnavailable."""
        with as_room_unavailable():
            members = await self._redis.smembers(redis_keys.ROOMS)  # type: ignore[misc]  # redis-py types it for both clients
        self._members = {member.decode() for member in members}
        for event_id in self._members - self.views.keys():
            with self._one_by_one(event_id):
                await self.reload(event_id)
        for event_id in self.views.keys() - self._members:
            if self.views[event_id].state is RoomState.closed:
                del self.views[event_id]

    async def _apply(self, view: LineView, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for log_id, entry in entries:
            if not view.apply(log_id, entry):
                await self.reload(view.event_id)
                return
        if view.absence_is_old:
            view.take_absent(await self._absent(view))
        self._notify(view)

    async def _absent(self, view: LineView) -> Bits:
        with as_room_unavailable():
            return Bits(await self._redis.get(redis_keys.of_epoch(view.event_id, view.epoch, "absent")) or b"")

    async def reload(self, event_id: str) -> LineView | None:
        """Load a room's snapshot, in whichever epoch the room is by then; None if there is none.

        A retired room is not kept. Raises RoomUnavailable.
        """
        timing = self.scripts.timing
        for _ in range(SNAPSHOT_TRIES):
            with as_room_unavailable():
                epoch = await self._redis.hget(redis_keys.room(event_id), "epoch")  # type: ignore[misc]
            if epoch is None:
                return None
            snapshot = await self.scripts.snapshot(event_id, int(epoch))
            if snapshot is not None and snapshot.record.epoch == int(epoch):
                view = self.views.get(event_id) or LineView(
                    event_id, timing.poll_max_ms, timing.draw_ms, timing.first_poll_ms
                )
                ranks = await self._ranks_of(view, snapshot.record)
                view.load(snapshot, ranks)
                if view.state is RoomState.closed and event_id not in self._members | self.views.keys():
                    return view
                self.views[event_id] = view
                self._notify(view)
                return view
        return self.views.get(event_id)

    async def _ranks_of(self, view: LineView, record: RoomRecord) -> array[int]:
        """The ranks of an epoch's draw, which never change. Raises RoomUnavailable."""
        if view.epoch == record.epoch and len(view.ranks) == record.drawn:
            return view.ranks
        return await read_ranks(self._redis, view.event_id, record.epoch, record.drawn)

    def _notify(self, view: LineView) -> None:
        self.scripts.high_water.see(view.event_id, view.number, view.cursor)
        for listener in self._listeners:
            listener(view)
