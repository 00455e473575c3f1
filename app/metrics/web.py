"""What a web process counts, and how it is read: people at the door, requests, streams, the wait for the lane."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from app.ledger.database import Database
from app.metrics.eta import Forecasts
from app.metrics.metrics import Metrics
from app.metrics.readings import Reading, read_counts, read_spread
from app.metrics.stores import Stores
from app.process import running
from app.room.follow import Rooms
from app.room.joiner import PENDING_MAX
from app.tally import SECONDS, Spreads
from config.settings import Settings

if TYPE_CHECKING:
    from app.http.live import LiveSeats
    from app.http.state import State

ROUTES_TOLD_MAX = 1_000  # of (method, route, status)

Counts = dict[tuple[str, ...], int]


class Meters:
    """What requests add to. `polls` is touched by every poll, so it is a plain attribute."""

    __slots__ = ("claims", "polls", "refusals", "requests")

    def __init__(self) -> None:
        self.polls = 0
        self.claims: Counts = {}
        self.refusals: Counts = {}
        self.requests: Spreads[tuple[str, str, str]] = Spreads(SECONDS, ROUTES_TOLD_MAX, ("", "other", ""))

    def claimed(self, event_id: str, status: str) -> None:
        self.claims[event_id, status] = self.claims.get((event_id, status), 0) + 1

    def refused(self, code: str) -> None:
        self.refusals[code,] = self.refusals.get((code,), 0) + 1


class WebMetrics(Metrics):
    """A web process also knows the rooms: it asks the stores, and judges what the line was told to expect."""

    def __init__(self, settings: Settings, process: str, redis: Redis, db: Database, rooms: Rooms) -> None:
        super().__init__(settings, process, db)
        self.stores = Stores(redis, db, rooms, settings.data_dir)
        self.forecasts = Forecasts(time.monotonic)
        self.facts = self.stores.facts
        rooms.on_change(self.forecasts.look)

    @asynccontextmanager
    async def told_of(self, state: State) -> AsyncIterator[None]:
        """The numbers of this process and of the stores, told while the block runs."""
        self.sources.append(lambda: web_readings(state))
        async with running(stores=self.stores.run()), self.told():
            yield


def web_readings(state: State) -> Iterator[Reading]:
    yield from _requests(state["meters"])
    yield from _line(state)
    yield from _sockets(state["live"])
    yield from _lane(state)
    yield Reading("tiketi_cache_hits", (), state["cache"].hits)
    yield Reading("tiketi_cache_misses", (), state["cache"].misses)
    yield Reading("tiketi_cache_shared", (), state["cache"].shared)
    yield read_spread("tiketi_redis_ping_seconds", state["metrics"].stores.pings_s)
    forecasts = state["metrics"].forecasts
    yield from read_counts("tiketi_eta_forecasts", forecasts.verdicts)
    yield read_spread("tiketi_wait_seconds", forecasts.waits)
    yield read_spread("tiketi_wait_over_predicted_ratio", forecasts.ratios)


def _requests(meters: Meters) -> Iterator[Reading]:
    yield Reading("tiketi_polls", (), meters.polls)
    yield from read_counts("tiketi_claims", meters.claims)
    yield from read_counts("tiketi_refusals", meters.refusals)
    for labels, spread in list(meters.requests.by_key.items()):
        yield read_spread("tiketi_request_seconds", spread, *labels)


def _line(state: State) -> Iterator[Reading]:
    joiner, hub = state["joiner"], state["hub"]
    yield from read_counts("tiketi_joins", joiner.answers)
    yield read_spread("tiketi_join_batch_people", joiner.batches)
    yield read_spread("tiketi_join_call_seconds", joiner.calls_s)
    yield Reading("tiketi_join_pending", (), joiner.pending)
    yield Reading("tiketi_join_pending_max", (), PENDING_MAX)
    yield Reading("tiketi_streams_open", (), len(hub.streams))
    yield Reading("tiketi_streams_max", (), hub.streams_max)
    yield Reading("tiketi_streams_opened", (), hub.opened)
    yield Reading("tiketi_stream_messages", (), hub.messages)
    yield Reading("tiketi_streams_dropped", (), hub.dropped)


def _sockets(live: LiveSeats) -> Iterator[Reading]:
    yield Reading("tiketi_sockets_open", (), len(live.sockets))
    yield Reading("tiketi_sockets_max", (), live.sockets_max)
    yield Reading("tiketi_socket_messages", (), live.written)
    yield Reading("tiketi_sockets_dropped", (), live.dropped)


def _lane(state: State) -> Iterator[Reading]:
    lane = state["lane"]
    yield Reading("tiketi_lane_busy", (), lane.busy)
    for command, spread in list(lane.waits_s.by_key.items()):
        yield read_spread("tiketi_lane_wait_seconds", spread, command)
