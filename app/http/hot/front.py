"""The outermost layer: one canonical log line per request and the security headers.

Of the hot requests one in `HOT_LOGGED_ONE_IN` is logged. A stream goes straight to its endpoint: the router and the
layers around it would each keep a coroutine for as long as it is open, and a part in every message.
"""

from __future__ import annotations

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import request_id
from app.http.kit.cookies import own_cookies
from app.http.kit.csrf import refuse_foreign
from app.http.kit.headers import PAGE_HEADERS, may_be_framed
from app.http.kit.hosts import check_host
from app.http.kit.problems import Problem, crash_response, problem_response
from app.http.line import api as queue
from app.http.origins.check import PREFIX, check
from app.http.origins.framing import for_frame, is_framed
from app.limits.addresses import network_of

HOT = ("/position", "/join")
STREAM = re.compile(r"/api/queue/([^/]+)/stream")
HOT_LOGGED_ONE_IN = 1_000
SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PROBES = ("/healthz", "/readyz", "/status", "/metrics")
NOT_READY = 503
CHECK_ROUTE = f"{PREFIX}{{room_id}}"
HSTS = (b"strict-transport-security", b"max-age=31536000")  # a year: browsers come by HTTPS only

log = structlog.get_logger()
_API_HEADERS = [(b"x-content-type-options", b"nosniff")]
_PAGE_HEADERS = [(name.lower().encode(), value.encode()) for name, value in PAGE_HEADERS.items()]


class Front:
    def __init__(self, app: ASGIApp, public_url: str = "") -> None:
        self._app = app
        self._public_url = public_url
        self._is_https = public_url.startswith("https://")
        self._hot_calls = 0
        self._probed: dict[str, int] = {}  # a probe → its last answer, from the first time it was ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):  # of another site: its host, its cookies
            await self._check(scope, receive, send)
            return
        if self._is_https and "headers" in scope:
            scope["headers"] = own_cookies(scope["headers"])
        if "headers" in scope and not scope["path"].endswith(HOT):  # those are answered without one in hot/fast.py too
            request_id.begin(scope["headers"])
        if scope["type"] != "http":
            await (self._socket if scope["type"] == "websocket" else self._app)(scope, receive, send)
            return
        if scope["method"] == "GET" and (stream := STREAM.fullmatch(scope["path"])):
            scope["path_params"] = {"event_id": stream[1]}
            try:
                check_host(scope["headers"], self._public_url)
                await queue.stream(scope, receive, send)
            except Problem as problem:
                await problem_response(problem)(scope, receive, send)
            return
        await self._ordinary(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: the one kind there is, or a refusal of its handshake."""
        started_s = time.perf_counter()
        try:
            await scope["state"]["live"].serve(scope, receive, send)
        finally:
            log.info("socket", path=scope["path"], s=round(time.perf_counter() - started_s, 1))

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A proxy's question: counted and logged as the other hot requests are."""
        started_s, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await check(scope, receive, watched)
        except Exception as error:
            await crash_response(scope["path"], error)(scope, receive, watched)
        took_s = time.perf_counter() - started_s
        scope["state"]["meters"].requests.add((_method(scope), CHECK_ROUTE, str(status)), took_s)
        self._log(scope, status, took_s * 1000)

    async def _ordinary(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = began_s = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status, began_s
            if message["type"] == "http.response.start":
                status, began_s = message["status"], time.perf_counter()
                message = {**message, "headers": self._secured(scope, list(message.get("headers", [])))}
            await send(message)

        try:
            check_host(scope["headers"], self._public_url)
            if scope["method"] not in SAFE and scope["path"].startswith("/api/"):
                refuse_foreign(scope["headers"], self._public_url)  # pages say it as a page: kit/routing.py
            await self._app(scope, receive, watched)
        except Problem as problem:
            await problem_response(problem)(scope, receive, watched)
        finally:
            ended_s = time.perf_counter()
            _count(scope, status, (began_s if status else ended_s) - started_s)  # a stream ends when its reader goes
            self._log(scope, status, (ended_s - started_s) * 1000)

    def _secured(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = with_security(headers)
        if any(name == b"set-cookie" for name, _ in headers) and is_framed(scope["path"], scope["headers"]):
            headers = for_frame(headers, secure=self._is_https)
        return [*headers, HSTS] if self._is_https else headers

    def _log(self, scope: Scope, status: int, ms: float) -> None:
        path = scope["path"]
        if path.endswith(HOT) or path.startswith(PREFIX):
            self._hot_calls += 1
            if self._hot_calls % HOT_LOGGED_ONE_IN:
                return
        say = log.debug if path in PROBES and not self.is_news(path, status) else log.info
        say("request", method=scope["method"], path=path, status=status, ms=round(ms, 2), **_who(scope))

    def is_news(self, path: str, status: int) -> bool:
        """Whether a probe, asked every few seconds for ever, is answered otherwise than before. That we are not ready
        before we ever were is none.
        """
        before = self._probed.get(path, 200)
        if path not in self._probed and status == NOT_READY:
            return False
        self._probed[path] = status
        return status != before


def _who(scope: Scope) -> dict[str, str]:
    """The client's network, and the account that was logged in, by a keyed hash."""
    state, client = scope["state"], scope.get("client")
    known = {"network": network_of(client[0])} if client else {}
    visitor = state["visitor_of"](scope["headers"])
    return known if visitor is None else known | {"account": state["account_macs"].logged(visitor.email)}


def _count(scope: Scope, status: int, took_s: float) -> None:
    """By the route's template, never by what was asked for: whatever no route takes is one."""
    route = scope.get("route")
    scope["state"]["meters"].requests.add((_method(scope), getattr(route, "path", "unknown"), str(status)), took_s)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"


def with_security(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with those added that an answer of its kind must have, and the request's id."""
    names = {name for name, _ in headers}
    is_page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
    added = [*(_PAGE_HEADERS if is_page else _API_HEADERS), *request_id.told()]
    if any(name == b"content-security-policy" and may_be_framed(value) for name, value in headers):
        added = [pair for pair in added if pair[0] != b"x-frame-options"]
    return [*headers, *(pair for pair in added if pair[0] not in names)]
