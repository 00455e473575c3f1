"""Live seats: one WebSocket channel per event, `/ws/seats/{eventId}?since=version`, told by one pump for all sockets.

Every message says what changed after `since` up to `version`, so a client whose version lies between them misses
nothing, and one whose version is before `since` knows that it did. A message is encoded once and its bytes are shared
by every socket; nothing waits for a slow reader: past its backlog it is closed with a reason. A socket's own coroutine
only waits for its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app.domain.reservation import SeatStatus, seat_id
from app.http.hot.connections import Shares
from app.http.hot.sockets import PING, WIRE, SocketProtocol, text_frame
from app.http.kit.hosts import check_host
from app.http.kit.problems import Problem, problem_response, stores_refused
from app.lane.seats import SeatViews, UnknownEvent
from app.lane.view import SeatView

PATH = re.compile(r"/ws/seats/([^/]+)")
PORTION = 300  # sockets written to between two yields: about 2 ms
PUMP_GAP_S = 0.1  # what happens within it is told in one message
IDLE_S = 1.0
PING_S = 25.0  # proxies keep the connection; who has not answered by the next one is gone
SEATS_TOLD_MAX = 5_000  # about 45 kB; who missed more reads the map
CATCH_UPS_KEPT = 200  # per channel and version
RECONNECT_AFTER_MS = 2_000

GOING = (1001, "reconnect")  # its life is over: connect again, with since
ONLY_TELLS = (1003, "nothing_is_read_here")
SLOW = (4000, "slow_reader")
SILENT = (4001, "no_pong")

log = structlog.get_logger()


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """`version` of the seat map that this message belongs to."""

    version: int


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The first message: which channel this is, and the version its process is at."""

    channel: str


class SeatLocked(Message, frozen=True, kw_only=True, tag="seat-locked"):
    """These seats are held now."""

    since: int
    seat_ids: list[str]


class SeatReleased(Message, frozen=True, kw_only=True, tag="seat-released"):
    """These seats are free now."""

    since: int
    seat_ids: list[str]


class TicketUpdated(Message, frozen=True, kw_only=True, tag="ticket-updated", omit_defaults=True):
    """The last message of every version that is told: free seats per grade, seats that are sold now, and seats that are
    not on sale any more."""

    since: int
    available: dict[str, int]
    sold: list[str]
    blocked: list[str] = []


class Reload(Message, frozen=True, kw_only=True, tag="reload"):
    """Too much changed to be told here: read GET /api/seats/events/{eventId}?since=your version, and stay."""


class Reconnect(Message, frozen=True, kw_only=True, tag="reconnect"):
    """The socket's life is over: connect again after about so long."""

    after_ms: int


def frame(message: Message) -> bytes:
    return text_frame(msgspec.json.encode(message))


def news(view: SeatView, since: int) -> bytes:
    """What changed after `since`, as frames; or `reload`."""
    changed = view.changed(since)
    if changed is None or len(changed) > SEATS_TOLD_MAX:
        return frame(Reload(version=view.version))
    now: Mapping[int, list[str]] = {status: [] for status in SeatStatus}
    for idx, status in sorted(changed.items()):
        now[status].append(seat_id(idx))
    version = view.version
    told: list[Message] = []
    if locked := now[SeatStatus.held]:
        told.append(SeatLocked(since=since, version=version, seat_ids=locked))
    if released := now[SeatStatus.available]:
        told.append(SeatReleased(since=since, version=version, seat_ids=released))
    sold, blocked = now[SeatStatus.sold], now[SeatStatus.blocked]
    told.append(TicketUpdated(since=since, version=version, available=view.left(), sold=sold, blocked=blocked))
    return b"".join(map(frame, told))


class Channel:
    """All sockets of one event in this process. `told`: the version every one of them has been told, or more."""

    __slots__ = ("_catch_ups", "_caught_up_to", "resets", "sockets", "told", "view")

    def __init__(self, view: SeatView) -> None:
        self.view = view
        self.sockets: dict[Socket, None] = {}
        self.told = view.version
        self.resets = view.resets
        self._catch_ups: dict[int, bytes] = {}
        self._caught_up_to = (-1, -1)

    def take(self) -> bytes:
        """What is to be told now; from here on it counts as told."""
        view = self.view
        was_reset = view.resets != self.resets
        frames = frame(Reload(version=view.version)) if was_reset else news(view, self.told)
        self.told, self.resets = view.version, view.resets
        return frames

    def welcome(self, since: int | None) -> bytes:
        """`hello`, and what was missed; encoded once however many come back at once."""
        view = self.view
        now = (view.resets, view.version)
        if self._caught_up_to != now or len(self._catch_ups) >= CATCH_UPS_KEPT:
            self._catch_ups.clear()
            self._caught_up_to = now
        known = view.version if since is None else since
        if known not in self._catch_ups:
            hello = Hello(version=view.version, channel=f"seats:{view.event_id}")
            self._catch_ups[known] = frame(hello) + news(view, known)
        return self._catch_ups[known]


class Socket:
    __slots__ = ("channel", "ends_s", "looked_s", "wire")

    def __init__(self, wire: SocketProtocol, channel: Channel, now_s: float, ends_s: float) -> None:
        self.wire = wire
        self.channel = channel
        self.looked_s = now_s
        self.ends_s = ends_s


class LiveSeats:
    """Of one process. `written` (messages) and `dropped` (slow readers) only grow. `run` must be running."""

    def __init__(
        self,
        seats: SeatViews,
        *,
        life_s: float,
        sockets_max: int,
        shares: Shares,
        origins: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        self.written = 0
        self.dropped = 0
        self.sockets: dict[Socket, None] = {}  # the one looked at longest ago is first
        self._seats = seats
        self._life_s = life_s
        self.sockets_max = sockets_max
        self.shares = shares
        self._origins = origins
        self._clock = clock
        self._opened = 0
        self._channels: dict[str, Channel] = {}
        self._dirty: set[Channel] = set()
        self._changed = asyncio.Event()
        seats.on_change(self._on_change)

    @property
    def watched(self) -> list[str]:
        """The events whose seats somebody watches."""
        return list(self._channels)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end, or its refusal."""
        await receive()  # the request to connect
        try:
            check_host(scope["headers"], scope["state"]["settings"].public_url)
            event_id = _event_of(scope["path"])
            since = self._asked(scope)
            view = await self._view(event_id)
            if len(self.sockets) >= self.sockets_max:
                raise Problem("sockets_full")
            client = scope.get("client")
            address = self.shares.take(client[0] if client else "")
            if address is None:
                raise Problem("sockets_full.address")
        except Problem as problem:
            await refuse(problem, send)
            return
        try:
            await self._tell(scope["extensions"][WIRE], view, since, receive, send)
        finally:
            self.shares.give(address)

    async def _tell(
        self, wire: SocketProtocol, view: SeatView, since: int | None, receive: Receive, send: Send
    ) -> None:
        await send({"type": "websocket.accept"})
        socket = self._join(wire, view, since)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                socket.wire.end(*ONLY_TELLS)
        finally:
            self._leave(socket)

    def _asked(self, scope: Scope) -> int | None:
        """The version the client says it has. Raises Problem for a page of another site, and for what is no version.

        Browsers do not hold WebSockets to the same origin, so we do; programs send no origin.
        """
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and origin.partition("://")[2] != headers.get("host"):
            raise Problem("cross_site.socket")
        since = QueryParams(scope["query_string"]).get("since")
        if since is None:
            return None
        if not (since.isascii() and since.isdecimal()) or len(since) > 18:
            raise Problem("payload_invalid", why=f"since={since[:20]!r} is not a version of the seat map")
        return int(since)

    async def _view(self, event_id: str) -> SeatView:
        try:
            with stores_refused():
                return await self._seats.open(event_id)
        except UnknownEvent:
            raise Problem("event_unknown", event_id=event_id) from None

    async def run(self) -> None:
        """Tell whoever watches, until cancelled."""
        while True:
            with suppress(TimeoutError):  # pings and ends of life are looked at even if nothing changed
                async with asyncio.timeout(IDLE_S):
                    await self._changed.wait()
            self._changed.clear()
            await self._pump()
            self._tend()
            await asyncio.sleep(PUMP_GAP_S)

    def _on_change(self, view: SeatView) -> None:
        channel = self._channels.get(view.event_id)
        if channel is not None:
            self._dirty.add(channel)
            self._changed.set()

    def _join(self, wire: SocketProtocol, view: SeatView, since: int | None) -> Socket:
        channel = self._channels.get(view.event_id)
        if channel is None:
            channel = self._channels[view.event_id] = Channel(view)
        now_s = self._clock()
        # Those who came in one moment do not all end, and come back, in one moment.
        life_s = self._life_s * (0.75 + 0.25 * (self._opened % 64) / 64)
        self._opened += 1
        socket = Socket(wire, channel, now_s, now_s + life_s)
        self.sockets[socket] = channel.sockets[socket] = None
        wire.write(channel.welcome(since))
        return socket

    def _leave(self, socket: Socket) -> None:
        self.sockets.pop(socket, None)
        channel = socket.channel
        channel.sockets.pop(socket, None)
        # Whoever comes next begins at the version there is then. Leaving twice must not end a later channel.
        if not channel.sockets and self._channels.get(channel.view.event_id) is channel:
            del self._channels[channel.view.event_id]
            self._dirty.discard(channel)

    async def _pump(self) -> None:
        """One message to every socket of each channel that has news."""
        while self._dirty:
            channel = self._dirty.pop()
            frames = channel.take()
            for at, socket in enumerate(list(channel.sockets)):
                self._write(socket, frames)
                if at % PORTION == PORTION - 1:
                    await asyncio.sleep(0)

    def _write(self, socket: Socket, frames: bytes) -> None:
        if not socket.wire.is_slow:
            socket.wire.write(frames)
            self.written += 1
        elif socket.wire.is_open:
            log.info("socket_dropped", reason=SLOW[1], channel=socket.channel.view.event_id)
            self.dropped += 1
            socket.wire.end(*SLOW)
            self._leave(socket)

    def _tend(self) -> None:
        """Ping those not looked at for a while; end those that are too old or did not answer the last ping."""
        now_s = self._clock()
        for socket in list(self.sockets):
            if now_s - socket.looked_s < min(PING_S, self._life_s):
                return  # they are in the order they were looked at
            del self.sockets[socket]
            if now_s >= socket.ends_s:
                socket.wire.write(frame(Reconnect(version=socket.channel.view.version, after_ms=RECONNECT_AFTER_MS)))
                socket.wire.end(*GOING)
                self._leave(socket)
            elif not socket.wire.received:
                socket.wire.end(*SILENT)
                self._leave(socket)
            else:
                socket.wire.received = False
                socket.looked_s = now_s
                self.sockets[socket] = None
                socket.wire.write(PING)


def _event_of(path: str) -> str:
    found = PATH.fullmatch(path)
    if found is None:
        raise Problem("not_found.socket")
    return found[1]


async def refuse(problem: Problem, send: Send) -> None:
    """Answer the handshake as the API would answer a request."""
    response = problem_response(problem)
    start: dict[str, Any] = {"type": "websocket.http.response.start", "status": response.status_code}
    await send({**start, "headers": response.raw_headers})
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
