"""The plainest positions and joins, answered where uvicorn has parsed the headers, before ASGI and routing.

An accelerator, not a second product: it calls the functions the ordinary endpoints call and writes the same bytes, a
test holds both to that, and TIKETI_FAST_PATH=0 switches it off. Whatever is not plain (a body, another spelling of the
path, a pipelined or last request, a slow reader, a refused position) goes the ordinary way. Built on the inside of
uvicorn's protocol, so pyproject.toml pins uvicorn's minor version.
"""

from __future__ import annotations

from typing import Any, cast

from starlette.responses import Response
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http import queue
from app.http.adoption import brings_a_place
from app.http.csrf import is_foreign
from app.http.front import HOT_LOGGED_ONE_IN, with_security
from app.http.problems import Problem, crash_response, problem_response
from app.http.state import State
from app.room.view import LineView

PREFIX = b"/api/queue/"
POSITION = b"/position"
JOIN = b"/join"
BODY_HEADERS = (b"content-length", b"transfer-encoding", b"expect", b"upgrade")

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
    """One connection. `_answered` while the rest of a request answered here is still being parsed; `_served` by the
    application now, where `cycle` is the last one parsed."""

    _answered = False
    _calls = 0
    _served: RequestResponseCycle | None = None

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

    _head_of: Headers | None = None  # the headers that `_head` was made with: uvicorn makes new ones each second
    _head = b""  # of a position, up to the length of its body

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_MAX:
            self._answered = True  # by nothing: what else was sent together with it is parsed, and dropped
            self.transport.abort()
            return
        url = self.url
        if url.startswith(PREFIX) and (self.cycle is None or self.cycle.response_complete):
            if url.endswith(POSITION) and self.parser.get_method() == b"GET":
                self._answered = self._position(url[len(PREFIX) : -len(POSITION)])
            elif url.endswith(JOIN) and self.parser.get_method() == b"POST" and self._is_ours():
                self._answered = self._join(url[len(PREFIX) : -len(JOIN)])
            if self._answered:
                return
        headers, expects = self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, which only an ordinary request needs
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._answered:
            self._answered = False
        else:
            super().on_message_complete()

    def _view(self, name: bytes) -> LineView | None:
        """The event's room, if it is known and the request plain enough to be answered here; every so many are not, to
        be logged.
        """
        FastProtocol._calls += 1
        if FastProtocol._calls % HOT_LOGGED_ONE_IN == 0 or self.flow.write_paused:
            return None
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive():
            return None
        for header, value in self.headers:
            if header in BODY_HEADERS and (header != b"content-length" or value != b"0"):
                return None
        views = cast(State, self.app_state)["rooms"].views
        return views.get(name.decode("ascii")) if name.isascii() else None

    def _is_ours(self) -> bool:
        return not is_foreign(self.headers, self.app_state["settings"].public_url)

    def _position(self, name: bytes) -> bool:
        view = self._view(name)
        if view is None:
            return False
        try:
            body = queue.where(cast(State, self.app_state), self.headers, view)
        except Problem:
            return False
        if FastProtocol._head_of is not self.server_state.default_headers:
            FastProtocol._head_of = self.server_state.default_headers
            FastProtocol._head = STATUS_LINE[200] + _block([*FastProtocol._head_of, *queue.JSON_HEADERS])
        self.transport.write(b"%scontent-length: %d\r\n\r\n%s" % (FastProtocol._head, len(body), body))
        self.on_response_complete()
        return True

    def _join(self, name: bytes) -> bool:
        view = self._view(name)
        if view is None or view.lost or brings_a_place(cast(State, self.app_state), self.headers, view.event_id):
            return False
        try:
            arrival = queue.arrive(cast(State, self.app_state), self.headers, view, None)
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
