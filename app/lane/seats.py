"""A web process's copies of the seat maps, kept up to date by the batches that the allocators publish.

A view is a snapshot from SQL at one version; each published batch advances it to the next version. If a version is
missing, or a batch has `reload` set, the view is read from SQL again. Requests read from memory: no SQL, no Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from redis.asyncio import Redis

from app.domain.reservation import Reservation, SeatSnapshot
from app.lane.commands import Outcome, Published
from app.lane.errors import LaneUnavailable
from app.lane.outcomes import Outcomes
from app.lane.streams import LaneStreams, PublishedEntry
from app.lane.view import SEAT_BYTES, SeatView
from app.outages import DATABASE, REDIS, Outages

BLOCK_MS = 1000
RETRY_S = 0.2  # between attempts while Redis or SQL cannot be reached
RETRY_MS = int(RETRY_S * 1000)
BUSY_S = 30.0  # a request that opened a view, or waits for its lane, is answered within this time
IDLE_S = 300.0  # a view requested within this time may still be in use, so it is not closed

Load = Callable[[str], Awaitable[tuple[SeatSnapshot, list[Reservation]] | None]]  # (event_id) → map, live reservations


class UnknownEvent(LookupError):
    """There is no event of this id."""


class SeatViews:
    """The views of events that were requested. They are updated while `run` runs.

    While they take more than `memory_bytes_max` together, those that were requested longest ago are closed, except what
    was requested within BUSY_S and what is watched.
    """

    def __init__(
        self, redis: Redis, load: Load, outcomes: Outcomes, memory_bytes_max: int, outages: Outages | None = None
    ) -> None:
        self.memory_bytes_max = memory_bytes_max
        self.watched: Callable[[], Collection[str]] = tuple  # the events whose views are in use, however long ago
        # monotonic time of the last read of Redis, however it ended; infinite while no view is open
        self.turned_s = float("inf")
        self._outages = outages or Outages()
        self._streams = LaneStreams(redis)
        self._load = load
        self._outcomes = outcomes
        self._views: dict[str, SeatView] = {}
        self._positions: dict[str, bytes] = {}  # last entry of lane:out that was applied
        self._stale: set[str] = set()
        self._asked_s: dict[str, float] = {}  # when a view was opened or asked for again
        self._unwanted: set[str] = set()
        self._opening = asyncio.Lock()
        self._opened = asyncio.Event()
        self._listeners: list[Callable[[str, Outcome], None]] = []
        self._watchers: list[Callable[[SeatView], None]] = []

    def on_outcome(self, listener: Callable[[str, Outcome], None]) -> None:
        """Call `listener` with (event id, outcome) for every outcome of an open view. It must not block."""
        self._listeners.append(listener)

    def on_change(self, watcher: Callable[[SeatView], None]) -> None:
        """Call `watcher` with each view when it has a new version or was read from SQL again. It must not block."""
        self._watchers.append(watcher)

    def get(self, event_id: str) -> SeatView | None:
        """The view, if it is open already."""
        return self._views.get(event_id)

    @property
    def event_ids(self) -> list[str]:
        """The events that have an open view in this process."""
        return sorted(self._views)

    @property
    def memory_bytes(self) -> int:
        """About how much memory the open views take."""
        return sum(view.memory_bytes for view in self._views.values())

    @property
    def stale(self) -> list[str]:
        """Events whose map could not be read from SQL again: their views may be out of date."""
        return sorted(self._stale)

    async def open(self, event_id: str) -> SeatView:
        """The view of an event, read from SQL on first use and kept up to date afterwards. Raises UnknownEvent."""
        view = self._views.get(event_id)
        if view is not None:
            self._asked_s[event_id] = time.monotonic()
            return view
        async with self._opening:
            if event_id not in self._views:
                # The position is read first: a batch published while SQL is read is then applied again, never missed.
                newest = await self._streams.newest_published(event_id)
                loaded = await self._load(event_id)
                if loaded is None:
                    raise UnknownEvent(event_id)
                self._views[event_id] = await asyncio.to_thread(SeatView, *loaded)  # a large map takes a while
                self._positions[event_id] = b"0-0" if newest is None else newest.entry_id
                self.turned_s = min(self.turned_s, time.monotonic())
                self._opened.set()
            self._asked_s[event_id] = time.monotonic()
        return self._views[event_id]

    def has_room_for(self, seats_total: int) -> bool:
        """Whether a map of so many seats fits into memory beside those that are open."""
        return self.memory_bytes + SEAT_BYTES * seats_total <= self.memory_bytes_max

    def keep_only(self, event_ids: Collection[str]) -> None:
        """Close every other view that was not requested within IDLE_S. It is opened again when it is requested."""
        self._unwanted = self._views.keys() - set(event_ids)

    def _close_idle(self) -> None:
        """Close the unwanted views that are idle, and what memory is too small for. Called only between two reads of
        the streams, because a read needs its views to stay open."""
        idle_since_s = time.monotonic() - IDLE_S
        for event_id in self._unwanted:
            if self._asked_s.get(event_id, 0.0) <= idle_since_s:
                self._close(event_id)
        self._unwanted = set()
        self._close_oldest()
        if not self._views:
            self.turned_s = float("inf")

    def _close_oldest(self) -> None:
        too_much = self.memory_bytes - self.memory_bytes_max
        if too_much <= 0:
            return
        busy_since_s, watched = time.monotonic() - BUSY_S, set(self.watched())
        for event_id in sorted(self._views, key=lambda name: self._asked_s.get(name, 0.0)):
            if too_much <= 0 or self._asked_s.get(event_id, 0.0) > busy_since_s:
                return
            if event_id not in watched:
                too_much -= self._views[event_id].memory_bytes
                self._close(event_id)

    def _close(self, event_id: str) -> None:
        for kept in (self._views, self._positions, self._asked_s):
            kept.pop(event_id, None)
        self._stale.discard(event_id)

    async def renew(self, event_id: str) -> None:
        """Read an open view from SQL again, after this process has replaced its map: it must not show the old one."""
        view, loaded = self._views.get(event_id), await self._load(event_id)
        if view is not None and loaded is not None:
            newer = await asyncio.to_thread(SeatView, *loaded, view)
            if newer.version > view.version:  # else `run` has updated the view meanwhile, perhaps further
                view.become(newer)
                self._notify(view)

    async def run(self) -> None:
        """Keep every open view up to date, until cancelled. If Redis or SQL cannot be reached, views stay unchanged."""
        while True:
            try:
                self._close_idle()
                await self._reload_stale()
                await self._follow()
            except LaneUnavailable as error:
                self.turned_s = time.monotonic() if self._views else self.turned_s
                self._outages.failed(REDIS, "seats", error)
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Wait for the next published entries of the open views and apply them; return when a view is opened."""
        self._opened.clear()
        opened = asyncio.create_task(self._opened.wait())
        tasks: set[asyncio.Task[Any]] = {opened}
        reading = None
        if self._positions:
            block_ms = RETRY_MS if self._stale else BLOCK_MS
            reading = asyncio.create_task(self._streams.published_after(dict(self._positions), block_ms))
            tasks.add(reading)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading.done():
                await self._take(reading.result())
                self.turned_s = time.monotonic()
                self._outages.worked("seats")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, entries: list[PublishedEntry]) -> None:
        for entry in entries:
            await self._apply(entry.event_id, entry.unpack())
            self._positions[entry.event_id] = entry.entry_id

    async def _apply(self, event_id: str, published: Published) -> None:
        view = self._views[event_id]
        version = view.version
        if not view.apply(published) and event_id not in self._stale:
            await self._reload(event_id)
        elif view.version != version:
            self._notify(view)
        for outcome in published.outcomes:
            view.remember(outcome)
            for listener in self._listeners:
                listener(event_id, outcome)
            self._outcomes.resolve(event_id, outcome)

    async def _reload_stale(self) -> None:
        for event_id in sorted(self._stale):
            await self._reload(event_id)

    async def _reload(self, event_id: str) -> None:
        """Read a view from SQL again. If that fails it stays stale, which means that `run` tries again."""
        self._stale.add(event_id)
        try:
            loaded = await self._load(event_id)
        except Exception as error:
            self._outages.failed(DATABASE, "seat_maps", error)
            return
        self._outages.worked("seat_maps")
        if loaded is not None:
            view = self._views[event_id]
            view.become(await asyncio.to_thread(SeatView, *loaded, view))  # a large map takes a while
            self._notify(view)
        self._stale.discard(event_id)

    def _notify(self, view: SeatView) -> None:
        for watcher in self._watchers:
            watcher(view)
