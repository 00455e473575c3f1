"""Server-Sent Events for everyone who waits: one pump writes to all streams, none of them keeps a task busy.

A stream's own coroutine only waits for the client to go. The pump writes in portions and yields between them, so polls
are answered meanwhile. A message replaces the one before it, so nothing is queued for a slow reader: it is skipped, and
dropped once it has taken nothing for `SLOW_S`. Every stream ends after its life with `reconnect`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from starlette.types import Receive, Send

from app.domain.announcement import Messages
from app.domain.line import Place, RoomState
from app.domain.ticket import Ticket
from app.http.hot.connections import Shares
from app.http.line.position import Extra, message_members, position_members
from app.lane.commands import Outcome
from app.room.follow import Rooms
from app.room.presence import People
from app.room.view import LineView

PORTION = 100  # messages between two yields: about 2 ms
PUMP_GAP_S = 0.1
IDLE_S = 1.0
HEARTBEAT_S = 15.0  # a position goes out at least this often, so that proxies keep the connection
SLOW_S = 30.0
STREAMS_PER_TICKET_MAX = 4
NEAR = 50  # people ahead up to which every move is told
FAR_S = 2.0  # further back, at most one message in this time
RETRY_MS = 2_000
NOTHING_SAID = b'"message":""'

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
log = structlog.get_logger()


class Stream:
    __slots__ = (
        "dropped",
        "ends_s",
        "epoch",
        "holder",
        "next_s",
        "number",
        "place",
        "reservation",
        "rev",
        "said",
        "send",
        "taken_s",
        "task",
        "view",
    )

    def __init__(
        self, view: LineView, ticket: Ticket, send: Send, reservation: Extra, now_s: float, life_s: float
    ) -> None:
        self.view = view
        self.epoch = ticket.epoch
        self.number = ticket.number
        self.holder = ticket.holder
        self.send = send
        self.reservation = reservation
        self.place = Place.unknown
        self.said: tuple[str, Messages] = "", {}
        self.rev = -1
        self.next_s = 0.0
        self.taken_s = now_s
        self.ends_s = now_s + life_s
        self.task = asyncio.current_task()
        self.dropped = False


class Hub:
    def __init__(self, rooms: Rooms, life_s: int, streams_max: int, shares: Shares) -> None:
        self.streams: dict[Stream, None] = {}
        self.streams_max = streams_max
        self.shares = shares
        self.opened = self.messages = self.dropped = 0
        self._of_ticket: dict[tuple[str, int], list[Stream]] = {}
        self._rooms = rooms
        self._life_s = life_s
        self._changed = asyncio.Event()
        rooms.on_change(lambda _view: self._changed.set())

    def has_place(self, view: LineView, number: int) -> bool:
        """Whether one more stream may open, in this process and for this ticket."""
        of_ticket = self._of_ticket.get((view.event_id, number), ())
        return len(self.streams) < self.streams_max and len(of_ticket) < STREAMS_PER_TICKET_MAX

    def poke(self) -> None:
        """Write to every stream in the next round."""
        for stream in self.streams:
            stream.next_s = 0.0
        self._changed.set()

    def answered(self, event_id: str, outcome: Outcome) -> None:
        """The lane has news of a place in line: tell its buyer, whose position shows the reservation."""
        if outcome.number is None:
            return
        for stream in self._of_ticket.get((event_id, outcome.number), ()):
            stream.next_s = 0.0
            self._changed.set()

    async def serve(self, view: LineView, ticket: Ticket, receive: Receive, send: Send, *, reservation: Extra) -> None:
        """One stream, from its first message until the client goes or its life ends. `reservation`: what may be told
        now of what is reserved for the place."""
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        stream = Stream(view, ticket, send, reservation, time.monotonic(), self._life_s)
        key = (view.event_id, ticket.number)
        self._of_ticket.setdefault(key, []).append(stream)
        self.streams[stream] = None
        self.opened += 1
        try:
            text = self._text(stream, time.monotonic())
            over = self._is_final(stream)
            await send(_chunk(b"retry: %d\n\n" % RETRY_MS + text, more=not over))
            while not over and (await receive())["type"] != "http.disconnect":
                continue
        except asyncio.CancelledError:
            if not stream.dropped:
                raise  # the server stops; a slow reader's cancellation ends here, and with it the connection
        finally:
            self.streams.pop(stream, None)
            self._of_ticket[key].remove(stream)
            if not self._of_ticket[key]:
                del self._of_ticket[key]

    def here(self) -> Iterable[tuple[LineView, People]]:
        """Everyone with an open stream, for presence."""
        people: dict[LineView, dict[int, bytes]] = {}
        for stream in self.streams:
            if stream.epoch == stream.view.epoch:
                people.setdefault(stream.view, {})[stream.number] = stream.holder
        return people.items()

    async def run(self) -> None:
        """Write to whoever there is news for, until cancelled."""
        while True:
            with suppress(TimeoutError):  # heartbeats and ends of life are looked at even if nothing moved
                async with asyncio.timeout(IDLE_S):
                    await self._changed.wait()
            self._changed.clear()
            await self.pump()
            await asyncio.sleep(PUMP_GAP_S)

    async def pump(self) -> None:
        """One round over every stream."""
        written = 0
        now_s = time.monotonic()
        for index, stream in enumerate(list(self.streams)):
            if stream in self.streams and self._is_due(stream, now_s):
                self._write(stream, now_s)
                self.messages += 1
                written += 1
            if written == PORTION or index % 5_000 == 4_999:
                written = 0
                await asyncio.sleep(0)
                now_s = time.monotonic()

    def _is_due(self, stream: Stream, now_s: float) -> bool:
        view = stream.view
        if now_s >= stream.ends_s or now_s - stream.taken_s >= HEARTBEAT_S or stream.epoch != view.epoch:
            return True
        if stream.rev == view.rev and stream.next_s > 0.0:
            return False
        if view.is_taken(stream.number, stream.holder):  # this browser has another ticket now, or nobody is here
            return True
        if stream.said != (view.message, view.messages) or view.state is RoomState.closed:
            return True
        number = stream.number
        if stream.place is Place.lobby and not view.in_lobby(number):
            return True
        if view.rank_of(number) <= view.cursor or number in view.ended:
            return stream.next_s == 0.0 or view.place(number) is not stream.place
        return now_s >= stream.next_s

    def _write(self, stream: Stream, now_s: float) -> None:
        over = now_s >= stream.ends_s or stream.view.is_taken(stream.number, stream.holder)
        told = stream.place, stream.said, stream.rev
        text = b"event: reconnect\ndata: {}\n\n" if over else self._text(stream, now_s)
        closing = over or self._is_final(stream)
        if _send_now(stream.send(_chunk(text, more=not closing))):
            stream.taken_s = now_s
        elif closing or now_s - stream.taken_s > SLOW_S:  # it would not take its last word either
            log.info("stream_dropped", reason="slow_reader", number=stream.number)
            self.dropped += 1
            closing = stream.dropped = True
            if stream.task is not None:
                stream.task.cancel()
        else:  # nothing was told: the next round says it again
            stream.place, stream.said, stream.rev = told
        if closing:
            self.streams.pop(stream, None)

    def _is_final(self, stream: Stream) -> bool:
        view = stream.view
        return (
            stream.epoch != view.epoch or view.state is RoomState.closed or stream.place in (Place.left, Place.lapsed)
        )

    def _why(self, stream: Stream) -> bytes:
        """Why the room is closed, to whom, with what is reserved for them: that can still be paid."""
        view = stream.view
        if stream.epoch != view.epoch:
            return b'{"reason":"room_closed"}'
        said = message_members(view)
        said += stream.reservation(view.event_id, stream.epoch, stream.number)
        return b'{"reason":"%s"%s}' % (view.reason.encode() or b"room_closed", said)

    def _text(self, stream: Stream, now_s: float) -> bytes:
        """What this buyer needs to be told now, as event-stream text; notes that it was."""
        view, number = stream.view, stream.number
        if stream.epoch != view.epoch or view.state is RoomState.closed:
            return b"event: closed\ndata: %s\n\n" % self._why(stream)
        position = view.position(number)
        body = position_members(view, number, position, stream.reservation)
        turned = position.place is Place.admitted and stream.place is not Place.admitted
        text = b"id: %d\nevent: %s\ndata: {%s}\n\n" % (view.rev, b"admitted" if turned else b"position", body)
        if view.drawn and stream.place is Place.lobby and position.place is not Place.lobby:
            text = b"event: drawn\ndata: {%s}\n\n" % body + text
        said = view.message, view.messages
        if stream.said != said and stream.place is not Place.unknown:
            text += b"event: message\ndata: {%s}\n\n" % (message_members(view)[1:] or NOTHING_SAID)
        if position.place in (Place.left, Place.lapsed):
            text += b'event: closed\ndata: {"reason":"%s"}\n\n' % position.place.encode()
        stream.place, stream.said, stream.rev = position.place, said, view.rev
        stream.next_s = now_s + (FAR_S if position.ahead > NEAR or position.place is Place.lobby else PUMP_GAP_S / 2)
        return text


def _chunk(text: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


def _send_now(sending: Awaitable[None]) -> bool:
    """Run an ASGI send that should not have to wait. False, and nothing written, if the client reads too slowly."""
    step = sending.__await__()
    try:
        next(step)
    except StopIteration:
        return True
    if hasattr(sending, "close"):
        sending.close()
    return False
