"""The plainest positions and joins, answered from the bytes as they come, before HTTP parsing, ASGI and routing.

An accelerator, not a second product: it calls the functions the ordinary endpoints call and writes the same bytes, a
test holds both to that, and TIKETI_FAST_PATH=0 switches it off. Plain is a whole request in one piece, spelled as the
pattern says, with no body, on a connection that waits for nothing else and stays open. Everything else goes the
ordinary way, refusals too. Built on the inside of uvicorn's protocol, so pyproject.toml pins uvicorn's minor version.
"""

from __future__ import annotations

import re
from typing import Any, cast

from starlette.responses import Response
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http.accounts.guest_merge import has_guest_place
from app.http.hot.front import HOT_LOGGED_ONE_IN, with_security
from app.http.kit.csrf import is_foreign
from app.http.kit.problems import Problem, crash_response, problem_response
from app.http.line import api as queue
from app.http.state import State
from app.room.view import LineView

# Header names are tokens and values visible ASCII (RFC 9110), so no line is folded, cut short or read another way
# by whoever stands before us.
PLAIN = re.compile(
    rb"(?:GET /api/queue/([a-z0-9-]+)/position|POST /api/queue/([a-z0-9-]+)/join) HTTP/1\.1"
    rb"((?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~]*)*)\r\n\r\n"
)
HEADER = re.compile(rb"\r\n([^:]+):[\t ]*([^\r]*)")
FRAMING = {  # header → the only value with which a request is plain
    b"connection": b"keep-alive",
    b"content-length": b"0",
    b"transfer-encoding": None,
    b"expect": None,
    b"upgrade": None,
}
PIPELINED_MAX = 32  # requests that wait on one connection; 64 kB of them would be 6 MB of waiting requests

Headers = list[tuple[bytes, bytes]]


class _Answering:
    """Stands for a request under way, as uvicorn's own cycle does: what comes after it on the connection waits."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self) -> None:
        self.response_complete = self.disconnected = self.more_body = False
        self.keep_alive = True
        self.message_event = self
        self.body = b""

    def set(self) -> None:
        """uvicorn wakes a request whose client went; this one waits for its number only."""


class FastProtocol(HttpToolsProtocol):
    """One connection. `_parsing` from a request's first byte to its last; `_served` by the application now, where
    `cycle` is the last one parsed; `_asked_s` is when the last position was answered here."""

    _calls = 0
    _head_of: Headers | None = None  # the headers that `_head` was made with: uvicorn makes new ones each second
    _head = b""  # of a position, up to the length of its body
    _parsing = False
    _served: RequestResponseCycle | None = None
    _asked_s = 0.0

    def data_received(self, data: bytes) -> None:
        if not (self._is_idle() and self._answer(data)):
            super().data_received(data)

    def _is_idle(self) -> bool:
        """Everything asked before is answered and taken, and no further request has begun."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not (self._parsing or self.flow.write_paused or self.transport.is_closing())

    def _answer(self, data: bytes) -> bool:
        """Answer a plain request; every so many are not, to be logged."""
        found = PLAIN.fullmatch(data)
        if found is None:
            return False
        position, join, lines = found.groups()
        view = cast(State, self.app_state)["rooms"].views.get((position or join).decode())
        FastProtocol._calls += 1
        if view is None or FastProtocol._calls % HOT_LOGGED_ONE_IN == 0:
            return False
        headers: Headers = []
        for name, value in HEADER.findall(lines):
            name = name.lower()
            if name in FRAMING and FRAMING[name] != value.lower():
                return False
            headers.append((name, value))
        return self._position(view, headers) if position else self._join(view, headers)

    def on_message_begin(self) -> None:
        self._parsing = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            self.transport.abort()  # what else was sent together with it is parsed, and dropped
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._parsing = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the last request only; the one being served would write to nobody, which raises."""
        self.pipeline.clear()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Positions leave the timer as it is: whether the connection was idle is looked at when it is over."""
        left_s = self._asked_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _position(self, view: LineView, headers: Headers) -> bool:
        try:
            body = queue.position_body(cast(State, self.app_state), headers, view)
        except Problem:
            return False
        if FastProtocol._head_of is not self.server_state.default_headers:
            FastProtocol._head_of = self.server_state.default_headers
            FastProtocol._head = STATUS_LINE[200] + _block([*FastProtocol._head_of, *queue.JSON_HEADERS])
        self.transport.write(b"%scontent-length: %d\r\n\r\n%s" % (FastProtocol._head, len(body), body))
        self.server_state.total_requests += 1
        self._asked_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_handler()
        return True

    def _join(self, view: LineView, headers: Headers) -> bool:
        state = cast(State, self.app_state)
        if view.unproven or is_foreign(headers, state["settings"].public_url):
            return False
        if has_guest_place(state, headers, view.event_id):
            return False
        try:
            arrival = queue.request_number(state, headers, view, None)
        except Problem:
            return False
        cycle = _Answering()
        self.cycle = cast(Any, cycle)
        self._unset_keepalive_if_required()
        arrival.joining.add_done_callback(lambda _: self._joined(cycle, arrival))
        return True

    def _joined(self, cycle: _Answering, arrival: queue.Arrival) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        try:
            answer = queue.joined_answer(cast(State, self.app_state), arrival)
            status, body = 201 if answer.created else 200, answer.body
            headers = queue.json_headers(body, answer.cookies)
        except Problem as problem:
            status, headers, body = _parts(problem_response(problem))
        except Exception as error:
            status, headers, body = _parts(crash_response(f"/api/queue/{arrival.view.event_id}/join", error))
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        self._write(status, headers, body)
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _write(self, status: int, headers: Headers, body: bytes) -> None:
        head = _block([*self.server_state.default_headers, *headers])
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[status], head, body))


def _block(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])


def _parts(response: Response) -> tuple[int, Headers, bytes]:
    return response.status_code, with_security(list(response.raw_headers)), bytes(response.body)
