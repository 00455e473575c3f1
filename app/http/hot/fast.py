"""The plainest positions, joins and checks, answered from their bytes, before HTTP parsing, ASGI and routing.

An accelerator, not a second product: it calls the functions the ordinary endpoints call and writes the same bytes, a
test holds both to that, and TIKETI_FAST_PATH=0 switches it off. Plain is a whole request in one piece, spelled as the
pattern says, with no body, on a connection that waits for nothing else and stays open. Everything else goes the
ordinary way, refusals too. Built on the inside of uvicorn's protocol, so pyproject.toml pins uvicorn's minor version.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import Any, cast

from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http.accounts.guest_merge import has_guest_place
from app.http.hot.front import HOT_LOGGED_ONE_IN
from app.http.hot.guarded import HEAD_BYTES_MAX, HEADERS_MAX, GuardedProtocol, Headers, parts
from app.http.kit.cookies import block, cookie, own_cookies
from app.http.kit.csrf import is_foreign
from app.http.kit.hosts import is_our_host
from app.http.kit.problems import Problem, crash_response, problem_response
from app.http.line import api as queue
from app.http.line import joining
from app.http.line.door import CAPTCHA_HEADER, REFUSED_AFTER_S, REFUSED_LATE, forwarded_host
from app.http.origins.check import answered
from app.http.origins.framing import MARK
from app.http.state import State
from app.room.view import LineView

# Header names are tokens and values visible ASCII (RFC 9110), so no line is folded, cut short or read another way
# by whoever stands before us.
PLAIN = re.compile(
    rb"(?:GET /api/queue/([a-z0-9-]+)/position|POST /api/queue/([a-z0-9-]+)/join) HTTP/1\.1"
    rb"((?:\r\n[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~]*+){0,%d}+)\r\n\r\n" % HEADERS_MAX
)
# Without those that browsers send and no position and no join reads.
HEADER = re.compile(
    rb"\r\n(?!(?=[aprsu])(?:accept|priority:|referer:|sec-ch-|sec-fetch-[dmu]|user-agent:))([^:]+):[\t ]*+([^\r]*+)",
    re.IGNORECASE,
)
# A proxy's question about the request whose headers it sends along, of which every one may matter.
CHECK = re.compile(
    rb"GET /check/([a-z0-9-]{1,40})(/[!\"$->@-~]*)?(?:\?([!\"$-~]*))? HTTP/1\.1"
    rb"((?:\r\n[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+(?<![\t ])){0,%d}+)\r\n\r\n" % HEADERS_MAX
)
ANY_HEADER = re.compile(rb"\r\n([^:]+):[\t ]*+([^\r]*+)")
OK = STATUS_LINE[200]
POSITION = block(queue.JSON_HEADERS)
FRAMING = {  # header → the only value with which a request is plain
    b"connection": b"keep-alive",
    b"content-length": b"0",
    b"transfer-encoding": None,
    b"expect": None,
    b"upgrade": None,
}


class _Unwatched:
    def set(self) -> None:
        """uvicorn wakes a request whose client went; one that waits for its number has nobody to wake."""


class _Answering:
    """Stands for a request under way, as uvicorn's own cycle does: what comes after it on the connection waits.

    Holds nothing that holds it: of a thousand joins the collector would have to find each."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete")
    message_event = _Unwatched()

    def __init__(self) -> None:
        self.response_complete = self.disconnected = self.more_body = False
        self.keep_alive = True
        self.body = b""


class FastProtocol(GuardedProtocol):
    """One connection. `_asked_s` is when the last position was answered here."""

    __slots__ = ("_asked_s",)
    _calls = count(1)  # whatever is set on a class makes Python look up anew what it remembers of it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked_s = 0.0

    def data_received(self, data: bytes) -> None:
        if self._is_idle() and len(data) <= HEAD_BYTES_MAX and self._answer(data):
            if self._progress is not None:
                self._came_whole()
        else:
            super().data_received(data)

    def _is_idle(self) -> bool:
        """Everything asked before is answered and taken, and no further request has begun.

        Never so on one of the last descriptors.
        """
        answered = self.cycle is None or self.cycle.response_complete
        is_over = self._refused or self.transport.is_closing()
        return answered and not (self._parsing or self.flow.write_paused or is_over or self._is_late)

    def _answer(self, data: bytes) -> bool:
        """Answer a plain request; every so many are not, to be logged."""
        found = PLAIN.fullmatch(data)
        if found is None:
            return data.startswith(b"GET /check/") and self._check(data)
        position, join, lines = found.groups()
        view = self.app_state["rooms"].views.get((position or join).decode())
        if view is None or next(self._calls) % HOT_LOGGED_ONE_IN == 0:
            return False
        settings = self.app_state["settings"]
        headers: Headers = []
        for name, value in HEADER.findall(lines):
            name = name.lower()
            if name in FRAMING and FRAMING[name] != value.lower():
                return False
            if name == b"host" and not is_our_host(value, settings.public_url):
                return False
            headers.append((name, value))
        if settings.secure_cookies:
            headers = own_cookies(headers)
        return self._position(view, headers) if position else self._join(view, headers)

    def _check(self, data: bytes) -> bool:
        """Answer a proxy, which hears the same from origins/check.py; not what is refused, nor every so many."""
        found = CHECK.fullmatch(data)
        if found is None or next(self._calls) % HOT_LOGGED_ONE_IN == 0:
            return False
        room_id, behind, query, lines = found.groups(b"")
        said = ANY_HEADER.findall(lines)
        fields = {name.lower(): value for name, value in said}
        if len(fields) != len(said):  # one was sent twice
            return False
        for name, plain in FRAMING.items():
            if name in fields and fields[name].lower() != plain:
                return False
        peer = self.client[0] if self.client else ""
        try:
            answer = answered(self.app_state, fields, peer, "GET", room_id.decode(), behind.decode(), query.decode())
        except Problem:
            return False
        if answer is None:
            return False
        self._write(*answer)
        self._answered()
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Positions leave the timer as it is: whether the connection was idle is looked at when it is over."""
        left_s = self._asked_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _position(self, view: LineView, headers: Headers) -> bool:
        try:
            body = queue.position_body(self.app_state, headers, view)
        except Problem:
            return False
        sent_always = self._sent_always.block(self.server_state.default_headers)
        self.transport.write(b"%s%s%scontent-length: %d\r\n\r\n%s" % (OK, sent_always, POSITION, len(body), body))
        self._answered()
        return True

    def _answered(self) -> None:
        """Note a request that was answered at once."""
        self.server_state.total_requests += 1
        self._asked_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_handler()

    def _join(self, view: LineView, headers: Headers) -> bool:
        state = self.app_state
        if view.unproven or is_foreign(headers, state["settings"].public_url):
            return False
        if has_guest_place(state, headers) or any(name == CAPTCHA_HEADER for name, _ in headers):
            return False
        if cookie(headers, MARK) is not None:  # its cookies are others
            return False
        try:
            arrival = joining.request_number(state, headers, self._host(state, headers), view, None, view.made_in)
        except Problem as problem:
            if problem.code not in REFUSED_LATE:
                return False
            self._say_no(self._begin(), problem)
            return True
        cycle = self._begin()
        arrival.joining.add_done_callback(lambda _: self._joined(cycle, arrival))
        return True

    def _begin(self) -> _Answering:
        cycle = _Answering()
        self.cycle = cast(Any, cycle)
        self._unset_keepalive_if_required()
        return cycle

    def _host(self, state: State, headers: Headers) -> str:
        """The address of who asks, read as it is for a request that goes the ordinary way."""
        host = self.client[0] if self.client else ""
        trusted = state["settings"].trusted_proxies
        return forwarded_host(_trusted(trusted), host, headers) if trusted else host

    def _joined(self, cycle: _Answering, arrival: joining.Arrival) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        try:
            answer = joining.joined_answer(self.app_state, arrival)
            body = answer.body
            told = 201 if answer.created else 200, queue.json_headers(body, answer.cookies), body
        except Problem as problem:
            self._say_no(cycle, problem)
            return
        except Exception as error:
            told = parts(crash_response(f"/api/queue/{arrival.view.event_id}/join", error))
        self._end(cycle, *told)

    def _say_no(self, cycle: _Answering, problem: Problem) -> None:
        answer = parts(problem_response(problem))
        if problem.code in REFUSED_LATE:
            self.loop.call_later(REFUSED_AFTER_S, self._end, cycle, *answer)
        else:
            self._end(cycle, *answer)

    def _end(self, cycle: _Answering, status: int, headers: Headers, body: bytes) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        self._write(status, block(headers), body)
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


@lru_cache(maxsize=8)
def _trusted(text: str) -> _TrustedHosts:
    return _TrustedHosts(text)
