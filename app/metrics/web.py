"""What a web process counts, and how it becomes readings: joins, requests, streams, sockets, waits for the lane."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from app.cache.cache import Cache
from app.connections import running
from app.histogram import SECONDS, WAITS_S, HistogramsByKey
from app.lane.seats import SeatViews
from app.lane.stream import Lane
from app.metrics.eta import Forecasts
from app.metrics.metrics import Metrics
from app.metrics.readings import Reading, read_counts, read_histogram
from app.metrics.sites import CONNECTOR, SiteCounts
from app.metrics.status import StatusCheck
from app.metrics.stores import Stores
from app.processes.shared_clock import SharedClock
from app.room.joiner import PENDING_MAX, Joiner
from config.settings import Settings

ROUTES_MAX = 1_000  # of (method, route, status)
ORIGINS_MAX = 200
CLIENTS_S = 600  # a client whom a connector refused counts for so long
CLIENTS_MAX = 100  # that are counted of an origin and a reason

Counts = dict[tuple[str, ...], int]


class Meters:
    """What requests add to. Every poll adds to `polls`, so it is a plain attribute."""

    __slots__ = (
        *("_steady_s", "accounts", "claims", "connector_clients", "connectors", "door"),
        *("polls", "refusals", "requests", "sites", "stays_s", "visits"),
    )

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self.polls = 0
        self.accounts: Counts = {}
        self.claims: Counts = {}
        self.connectors: Counts = {}
        self.connector_clients: dict[tuple[str, str], deque[float]] = {}
        self.door: Counts = {}
        self.refusals: Counts = {}
        self.sites = SiteCounts()
        self.stays_s: HistogramsByKey[tuple[str]] = HistogramsByKey(WAITS_S, ORIGINS_MAX, ("other",))
        self.visits: Counts = {}
        self.requests: HistogramsByKey[tuple[str, str, str]] = HistogramsByKey(SECONDS, ROUTES_MAX, ("", "other", ""))

    def claimed(self, event_id: str, status: str) -> None:
        """Count an answer to somebody who takes up their turn."""
        self.claims[event_id, status] = self.claims.get((event_id, status), 0) + 1

    def checked(self, origin: str, room: str, outcome: str) -> None:
        """Count a proxy's question, of a room of an origin, or of an event, which is its own origin."""
        self.sites.checked(origin, room, outcome)

    @property
    def checks(self) -> Counts:
        """Proxies' questions by origin and outcome."""
        total: Counts = {}
        for (origin, _, outcome), count in list(self.sites.checks.items()):
            total[origin, outcome] = total.get((origin, outcome), 0) + count
        return total

    def visit_ended(self, origin: str, room: str, stayed_s: float | None) -> None:
        """Count a visit that its site has ended; `stayed_s` is None of a visitor who never came."""
        self.visits[origin,] = self.visits.get((origin,), 0) + 1
        if stayed_s is not None:
            self.stays_s.add((origin,), stayed_s)
            self.sites.stayed(origin, room, stayed_s)

    def connector_refused(self, origin: str, room: str, why: str) -> None:
        """Count a visitor whom a site's connector refused."""
        self.connectors[origin, why] = self.connectors.get((origin, why), 0) + 1
        self.sites.add(origin, room, f"{CONNECTOR}{why}")

    def connector_client(self, origin: str, why: str, ahead_s: float | None) -> None:
        """Count one more client who was refused so, whom nobody has counted for CLIENTS_S. `ahead_s`: the connector's
        clock before ours, where that is known."""
        self.connector_clients.setdefault((origin, why), deque(maxlen=CLIENTS_MAX)).append(self._steady_s())
        if ahead_s is not None:
            self.sites.ahead_s[origin] = ahead_s

    def clients_lately(self) -> Counts:
        """How many clients are counted, by origin and why."""
        since_s = self._steady_s() - CLIENTS_S
        return {key: sum(at_s > since_s for at_s in list(times)) for key, times in list(self.connector_clients.items())}

    def account(self, what: str) -> None:
        """Count a log-in, a failure, a registration."""
        self.accounts[what,] = self.accounts.get((what,), 0) + 1

    def at_door(self, event_id: str, outcome: str) -> None:
        """Count what came of somebody who wanted a new place."""
        self.door[event_id, outcome] = self.door.get((event_id, outcome), 0) + 1

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


class ConnectionCounts(Protocol):
    """What is read of the connections of this process. `refused`: (why,) → how many."""

    open: int
    ordinary_max: int
    refused: Counter[tuple[str, ...]]


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
    connections: ConnectionCounts
    streams: StreamCounts
    sockets: SocketCounts
    lane: Lane
    cache: Cache
    seats: SeatViews


class WebMetrics(Metrics):
    """A web process knows the rooms as well: it also reads the stores, and compares predicted waits with real ones."""

    def __init__(self, settings: Settings, process: str, status: StatusCheck, clock: SharedClock) -> None:
        super().__init__(settings, process, status.db, clock, status.now)
        self.status = status
        self.stores = Stores(status)
        self.forecasts = Forecasts(time.monotonic)
        self.shared = self.stores.readings
        status.rooms.on_change(self.forecasts.look)

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
    yield from _connections(web.connections)
    yield from _streams(web.streams)
    yield from _sockets(web.sockets)
    yield from _lane(web.lane)
    yield Reading("tiketi_seat_maps_bytes", (), web.seats.memory_bytes)
    yield Reading("tiketi_seat_maps_max_bytes", (), web.seats.memory_bytes_max)
    yield Reading("tiketi_cache_hits", (), web.cache.hits)
    yield Reading("tiketi_cache_misses", (), web.cache.misses)
    yield Reading("tiketi_cache_shared", (), web.cache.shared)


def _requests(meters: Meters) -> Iterator[Reading]:
    yield Reading("tiketi_polls", (), meters.polls)
    yield from read_counts("tiketi_claims", meters.claims)
    yield from read_counts("tiketi_checks", meters.checks)
    yield from read_counts("tiketi_visits_ended", meters.visits)
    for origin, stays in list(meters.stays_s.by_key.items()):
        yield read_histogram("tiketi_visit_seconds", stays, *origin)
    yield from read_counts("tiketi_connector_refused", meters.connectors)
    yield from read_counts("tiketi_connector_clients", meters.clients_lately())
    for named, ahead_s in list(meters.sites.ahead_s.items()):
        yield Reading("tiketi_connector_ahead_seconds", (named,), ahead_s)
    yield from read_counts("tiketi_door", meters.door)
    yield from read_counts("tiketi_accounts", meters.accounts)
    yield from read_counts("tiketi_refusals", meters.refusals)
    for labels, times in list(meters.requests.by_key.items()):
        yield read_histogram("tiketi_request_seconds", times, *labels)


def _joins(joiner: Joiner) -> Iterator[Reading]:
    yield from read_counts("tiketi_joins", joiner.answers)
    yield read_histogram("tiketi_join_batch_people", joiner.batches)
    yield read_histogram("tiketi_join_call_seconds", joiner.calls_s)
    yield Reading("tiketi_join_pending", (), joiner.pending)
    yield Reading("tiketi_join_pending_max", (), PENDING_MAX)


def _connections(connections: ConnectionCounts) -> Iterator[Reading]:
    yield Reading("tiketi_connections_open", (), connections.open)
    yield Reading("tiketi_connections_max", (), connections.ordinary_max)
    yield from read_counts("tiketi_connections_refused", connections.refused)


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
