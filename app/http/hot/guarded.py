"""One HTTP connection with the limits that httptools and uvicorn do not have: the size of a head, the time that a
request and an answer may take, connections per address.

Built on the inside of uvicorn's protocol, whose minor version is pinned. fast.py adds the fast path to it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http.hot.connections import KEPT_FOR, UNTAKEN_BYTES, UNTAKEN_S, Connections, Progress
from app.http.hot.front import with_security
from app.http.kit.cookies import block
from app.http.kit.problems import Problem, problem_response
from app.http.origins.check import PEER
from app.http.state import State

LINGER_S = 2.0
HEAD_BYTES_MAX = 65_536  # the request line and all headers
HEADERS_MAX = 128  # of one request: each costs a hundred bytes more than it has, and a stream keeps its own
PIPELINED_MAX = 32  # requests that wait on one connection; 64 kB of them would be 6 MB of waiting requests

Headers = list[tuple[bytes, bytes]]


class SentAlways:
    """The headers of every answer as they are sent: uvicorn makes new ones each second."""

    __slots__ = ("_block", "_of")

    def __init__(self) -> None:
        self._of: Headers = []
        self._block = b""

    def block(self, headers: Headers) -> bytes:
        if headers is not self._of:
            self._of, self._block = headers, block(headers)
        return self._block


class GuardedProtocol(HttpToolsProtocol):
    """`_parsing` from a request's first byte to its last, `_in_head` to the end of its head; `_served` is with the
    application now, where `cycle` is the last one parsed.
    """

    # Slots: of more than thirty attributes Python shares and remembers none, and uvicorn's class has nearly as many.
    __slots__ = (
        "_address",
        "_completed",
        "_head_bytes",
        "_in_head",
        "_is_late",
        "_lingers_until_s",
        "_parsing",
        "_progress",
        "_refused",
        "_served",
        "_size",
        "_untaken",
    )
    app_state: State  # type: ignore[assignment]  # what the lifespan made
    _sent_always = SentAlways()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address: str | None = None  # what the connection is counted by; None: it is not
        self._is_late = False  # it has one of the last descriptors, which are not for everybody
        self._refused = False
        self._lingers_until_s = 0.0  # once refused: until then what still comes is read and thrown away
        self._parsing = False
        self._in_head = False
        self._head_bytes = 0  # of a head that has not ended: what came of it before these bytes
        self._size = 0  # of the bytes that are being parsed
        self._completed = False  # whether a request ended in them
        self._progress: Progress | None = None  # of a request that has not come whole
        self._untaken: tuple[float, int] | None = None  # since when an answer waits, and how much of it did then
        self._served: RequestResponseCycle | None = None

    @property
    def _connections(self) -> Connections:
        return self.app_state["connections"]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self._connections.enter(self.client[0] if self.client else "")
        if self._address is None:
            self._refuse(Problem("connections_full"), in_head=True)
            return
        self._progress = Progress(self.loop.time(), self.loop.time())
        self._connections.watched[self] = None
        if self._connections.is_full:
            self._is_late = True
            self._connections.keep_for_request(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the last request only; the one being served would write to nobody, which raises."""
        self.leave()
        self.pipeline.clear()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def leave(self) -> None:
        """The connection is over, or is a WebSocket's from now on, which leaves by this too."""
        self._connections.watched.pop(self, None)
        self._connections.silent.pop(self, None)
        if self._address is not None:
            self._connections.leave(self._address)
            self._address = None

    def handle_websocket_upgrade(self) -> None:
        if self._refused:
            return
        address, self._address = self._address, None
        self.leave()
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        protocol.on_lost = lambda: self._connections.leave(address) if address is not None else None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._size, self._completed = len(data), False
        super().data_received(data)
        if not self._parsing:
            self._came_whole()
            return
        now_s = self.loop.time()
        if self._progress is None or self._completed:
            self._progress = Progress(now_s, now_s)
        self._progress.add(now_s, len(data))
        self._connections.watched[self] = None
        if self._in_head and not self._completed:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(Problem("head_too_large", limit=HEAD_BYTES_MAX), in_head=True)

    def _came_whole(self) -> None:
        """Nothing of a request is missing."""
        if self._progress is not None:
            self._progress = None
            if self._untaken is None:
                self._connections.watched.pop(self, None)

    def on_message_begin(self) -> None:
        self._parsing = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()
        self.scope[PEER] = self.client[0] if self.client else ""  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._refused:
            return
        if self._is_late:
            self._connections.silent.pop(self, None)
        if self._head_bytes + self._size > HEAD_BYTES_MAX and self._head_size() > HEAD_BYTES_MAX:
            self._refuse(Problem("head_too_large", limit=HEAD_BYTES_MAX), in_head=True)
        elif len(self.headers) > HEADERS_MAX:
            self._refuse(Problem("head_too_large.headers", limit=HEADERS_MAX), in_head=True)
        elif len(self.pipeline) >= PIPELINED_MAX:
            self._refused = True
            self.transport.abort()  # what else was sent together with it is parsed, and dropped
        elif self._is_late and self._connections.is_full and not self.url.startswith(_KEPT_FOR):
            self._connections.refused["full",] += 1
            self._refuse(Problem("server_full"), in_head=True)
        else:
            super().on_headers_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._parsing, self._completed = False, True
        if not self._refused:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, without_chunks(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.time(), self.transport.get_write_buffer_size()
        self._connections.watched[self] = None

    def resume_writing(self) -> None:
        super().resume_writing()
        self._untaken = None
        if self._progress is None:
            self._connections.watched.pop(self, None)

    def end_if_slow(self, now_s: float) -> None:
        """Asked once a second while a request has not come whole, or an answer waits to be taken."""
        if self._refused:
            if now_s >= self._lingers_until_s:
                self.transport.abort()
            return
        if self._untaken is not None and now_s - self._untaken[0] > UNTAKEN_S:
            left = self.transport.get_write_buffer_size()
            if self._untaken[1] - left < UNTAKEN_BYTES:
                self._connections.refused["slow_reader",] += 1
                self.transport.abort()
                return
            self._untaken = now_s, left
        if self._progress is None:
            return
        if self.flow.read_paused:  # what came is not taken by us
            self._progress.last_s = now_s
        elif self._progress.is_late(now_s, head=self._in_head or not self._parsing):
            self._connections.refused["slow_request",] += 1
            self._refuse(Problem("request_too_slow"), in_head=self._in_head or not self._parsing)

    def end_now(self) -> None:
        self._refused = True
        self._connections.silent.pop(self, None)
        self.transport.abort()

    def _refuse(self, problem: Problem, *, in_head: bool) -> None:
        """Say why and end the connection; without a word where another answer is under way or comes first."""
        self._refused = True
        cycle = self.cycle
        is_first = cycle is None or cycle.response_complete
        if not in_head:  # it is being answered already, though its body has not come
            is_first = self._served is cycle and not cycle.response_started
        if not is_first:
            self.transport.abort()
            return
        status, headers, body = parts(problem_response(problem))
        self._write(status, block([*headers, (b"connection", b"close")]), body)
        if self._address is None or self._is_late:  # no descriptor waits for a client to have read this
            self.transport.close()
            return
        self.transport.write_eof()  # closed with bytes unread, it would be reset, and the client not see why
        self._lingers_until_s = self.loop.time() + LINGER_S
        self._connections.watched[self] = None

    def _write(self, status: int, head: bytes, body: bytes) -> None:
        sent_always = self._sent_always.block(self.server_state.default_headers)
        self.transport.write(b"%s%s%s\r\n%s" % (STATUS_LINE[status], sent_always, head, body))


def without_chunks(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """The application for a client of HTTP/1.0, which knows no chunks: an answer without a length ends with the
    connection, which uvicorn closes behind it (RFC 9112, 6.1 and 6.3).
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        has_length = True

        async def send_plain(message: Any) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                cycle.chunked_encoding = None if has_length else False
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return serve


_KEPT_FOR = tuple(path.encode() for path in KEPT_FOR)


def parts(response: Response) -> tuple[int, Headers, bytes]:
    return response.status_code, with_security(list(response.raw_headers)), bytes(response.body)
