"""What a web process counts, and how it becomes readings: joins, requests, streams, sockets, waits for the lane."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from redis.asyncio import Redis

from app.cache.cache import Cache
from app.connections import running
from app.histogram import SECONDS, HistogramsByKey
from app.lane.stream import Lane
from app.ledger.database import Database
from app.metrics.eta import Forecasts
from app.metrics.metrics import Metrics
from app.metrics.readings import Reading, read_counts, read_histogram
from app.metrics.stores import Stores
from app.room.follow import Rooms
from app.room.joiner import PENDING_MAX, Joiner
from config.settings import Settings

ROUTES_MAX = 1_000  # of (method, route, status)

Counts = dict[tuple[str, ...], int]


class Meters:
    """What requests add to. Every poll adds to `polls`, so it is a plain attribute."""

    __slots__ = ("claims", "polls", "refusals", "requests")

    def __init__(self) -> None:
        self.polls = 0
        self.claims: Counts = {}
        self.refusals: Counts = {}
        self.requests: HistogramsByKey[tuple[str, str, str]] = HistogramsByKey(SECONDS, ROUTES_MAX, ("", "other", ""))

    def claimed(self, event_id: str, status: str) -> None:
        """Count an answer to somebody who takes up their turn."""
        self.claims[event_id, status] = self.claims.get((event_id, status), 0) + 1

    def refused(self, code: str) -> None:
        """Count a refused request."""
        self.refusals[code,] = self.refusals.get((code,), 0) + 1


class StreamCounts(Protocol):
    """What is read of the open event streams of this process."""

    opened: int
    messages: int
    dropped: int

    @property
    def streams_max(self) -> int: ...

    @property
    def streams(self) -> Sized: ...


class SocketCounts(Protocol):
    """What is read of the open WebSockets of this process."""

    written: int
    dropped: int

    @property
    def sockets_max(self) -> int: ...

    @property
    def sockets(self) -> Sized: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSources:
    """The objects of a web process whose counts are its metrics."""

    meters: Meters
    joiner: Joiner
    streams: StreamCounts
    sockets: SocketCounts
    lane: Lane
    cache: Cache


class WebMetrics(Metrics):
    """A web process knows the rooms as well: it also reads the stores, and compares predicted waits with real ones."""

    def __init__(
        self,
        settings: Settings,
        process: str,
        redis: Redis,
        db: Database,
        rooms: Rooms,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(settings, process, db, now)
        self.stores = Stores(redis, db, rooms, settings.data_dir, now)
        self.forecasts = Forecasts(time.monotonic)
        self.shared = self.stores.readings
        rooms.on_change(self.forecasts.look)

    @asynccontextmanager
    async def published_for(self, web: WebSources) -> AsyncIterator[None]:
        """Publish the readings of this process and of the stores while the block runs."""
        self.sources.append(lambda: [*web_readings(web), *self._own_readings()])
        async with running(stores=self.stores.run()), self.published():
            yield

    def _own_readings(self) -> Iterator[Reading]:
        yield read_histogram("tiketi_redis_ping_seconds", self.stores.pings_s)
        yield from read_counts("tiketi_eta_forecasts", self.forecasts.verdicts)
        yield read_histogram("tiketi_wait_seconds", self.forecasts.waits)
        yield read_histogram("tiketi_wait_over_predicted_ratio", self.forecasts.ratios)


def web_readings(web: WebSources) -> Iterator[Reading]:
    """Everything a web process counts, as readings."""
    yield from _requests(web.meters)
    yield from _joins(web.joiner)
    yield from _streams(web.streams)
    yield from _sockets(web.sockets)
    yield from _lane(web.lane)
    yield Reading("tiketi_cache_hits", (), web.cache.hits)
    yield Reading("tiketi_cache_misses", (), web.cache.misses)
    yield Reading("tiketi_cache_shared", (), web.cache.shared)


def _requests(meters: Meters) -> Iterator[Reading]:
    yield Reading("tiketi_polls", (), meters.polls)
    yield from read_counts("tiketi_claims", meters.claims)
    yield from read_counts("tiketi_refusals", meters.refusals)
    for labels, times in list(meters.requests.by_key.items()):
        yield read_histogram("tiketi_request_seconds", times, *labels)


def _joins(joiner: Joiner) -> Iterator[Reading]:
    yield from read_counts("tiketi_joins", joiner.answers)
    yield read_histogram("tiketi_join_batch_people", joiner.batches)
    yield read_histogram("tiketi_join_call_seconds", joiner.calls_s)
    yield Reading("tiketi_join_pending", (), joiner.pending)
    yield Reading("tiketi_join_pending_max", (), PENDING_MAX)


def _streams(hub: StreamCounts) -> Iterator[Reading]:
    yield Reading("tiketi_streams_open", (), len(hub.streams))
    yield Reading("tiketi_streams_max", (), hub.streams_max)
    yield Reading("tiketi_streams_opened", (), hub.opened)
    yield Reading("tiketi_stream_messages", (), hub.messages)
    yield Reading("tiketi_streams_dropped", (), hub.dropped)


def _sockets(live: SocketCounts) -> Iterator[Reading]:
    yield Reading("tiketi_sockets_open", (), len(live.sockets))
    yield Reading("tiketi_sockets_max", (), live.sockets_max)
    yield Reading("tiketi_socket_messages", (), live.written)
    yield Reading("tiketi_sockets_dropped", (), live.dropped)


def _lane(lane: Lane) -> Iterator[Reading]:
    yield Reading("tiketi_lane_busy", (), lane.busy)
    for command, waits in list(lane.waits_s.by_key.items()):
        yield read_histogram("tiketi_lane_wait_seconds", waits, command)
