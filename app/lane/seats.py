"""Each web process's own copy of the seat maps, kept true by what the allocators publish.

A view is a snapshot at a version; every published batch brings it to the next. A gap in the versions, or an
allocator that says so, makes it read the snapshot anew. Reads are answered from bytes in memory: no SQL, no Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import structlog
from redis.asyncio import Redis

from app.domain.reservation import Reservation, SeatSnapshot
from app.lane.commands import Outcome, Published
from app.lane.errors import LaneUnavailable
from app.lane.outcomes import Outcomes
from app.lane.streams import LaneStreams, PublishedEntry
from app.lane.view import SeatView

BLOCK_MS = 1000
RETRY_S = 0.2  # between attempts while Redis or SQL is away
RETRY_MS = int(RETRY_S * 1000)
IDLE_S = 300.0  # a view asked for within it may still be in somebody's hands, and is not given up

Load = Callable[[str], Awaitable[tuple[SeatSnapshot, list[Reservation]] | None]]  # with the live reservations
log = structlog.get_logger()


class UnknownEvent(LookupError):
    """There is no event of this id."""


class SeatViews:
    """The views of all events that somebody asked for. While `run` runs they follow what the allocators publish."""

    def __init__(self, redis: Redis, load: Load, outcomes: Outcomes) -> None:
        self.read_s = float("inf")  # when Redis last answered, by a steady clock, from the first view on
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
        """Call `watcher` with every view that has a new version or was read from SQL again. It must not block."""
        self._watchers.append(watcher)

    def get(self, event_id: str) -> SeatView | None:
        """The view, if it is open already."""
        return self._views.get(event_id)

    @property
    def event_ids(self) -> list[str]:
        """The events whose map is open here."""
        return sorted(self._views)

    @property
    def stale(self) -> list[str]:
        """Events whose map could not be read from SQL again: their views may be out of date."""
        return sorted(self._stale)

    async def open(self, event_id: str) -> SeatView:
        """The view of an event, read on first use and followed from then on. Raises UnknownEvent."""
        view = self._views.get(event_id)
        if view is not None:
            self._asked_s[event_id] = time.monotonic()
            return view
        async with self._opening:
            if event_id not in self._views:
                # The position first: whatever is published while the snapshot is read is then seen again, never missed.
                newest = await self._streams.newest_published(event_id)
                loaded = await self._load(event_id)
                if loaded is None:
                    raise UnknownEvent(event_id)
                self._views[event_id] = await asyncio.to_thread(SeatView, *loaded)  # a large map takes a while
                self._positions[event_id] = b"0-0" if newest is None else newest.entry_id
                self.read_s = min(self.read_s, time.monotonic())
                self._opened.set()
            self._asked_s[event_id] = time.monotonic()
        return self._views[event_id]

    def keep_only(self, event_ids: Collection[str]) -> None:
        """Close every other view that nobody asked for within IDLE_S. It is read again when somebody asks for it."""
        self._unwanted = self._views.keys() - set(event_ids)

    def _give_up(self) -> None:
        """Only between two reads of the follower, which relies on its views being there."""
        idle_since_s = time.monotonic() - IDLE_S
        for event_id in self._unwanted:
            if self._asked_s.get(event_id, 0.0) <= idle_since_s:
                for kept in (self._views, self._positions, self._asked_s):
                    kept.pop(event_id, None)
                self._stale.discard(event_id)
        self._unwanted = set()
        if not self._views:
            self.read_s = float("inf")  # nothing is read, so nothing is late

    async def renew(self, event_id: str) -> None:
        """Read an open view from SQL again: this process replaced its map and must not show the old one from now on."""
        view, loaded = self._views.get(event_id), await self._load(event_id)
        if view is not None and loaded is not None:
            newer = await asyncio.to_thread(SeatView, *loaded, view)
            if newer.version > view.version:  # else the follower was faster, and may have seen more since
                view.become(newer)
                self._tell(view)

    async def run(self) -> None:
        """Keep every open view up to date, until cancelled. While Redis or SQL is away the views stay as they are."""
        while True:
            try:
                self._give_up()
                await self._reload_stale()
                await self._follow()
            except LaneUnavailable as error:
                log.warning("seat_views_waiting", error=repr(error))
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Wait for the next entries of any view, or for a view to be opened."""
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
                self.read_s = time.monotonic()
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
            self._tell(view)
        for outcome in published.outcomes:
            view.remember(outcome)
            for listener in self._listeners:
                listener(event_id, outcome)
            self._outcomes.resolve(event_id, outcome)

    async def _reload_stale(self) -> None:
        for event_id in sorted(self._stale):
            await self._reload(event_id)

    async def _reload(self, event_id: str) -> None:
        """Read the snapshot anew. If that fails the view stays as it is and is tried again; answers still flow."""
        self._stale.add(event_id)
        try:
            loaded = await self._load(event_id)
        except Exception as error:
            log.warning("seat_view_not_reloaded", event_id=event_id, error=repr(error))
            return
        if loaded is not None:
            view = self._views[event_id]
            view.become(await asyncio.to_thread(SeatView, *loaded, view))  # a large map takes a while
            self._tell(view)
        self._stale.discard(event_id)

    def _tell(self, view: SeatView) -> None:
        for watcher in self._watchers:
            watcher(view)
