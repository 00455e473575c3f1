"""Hands requests on to one site and its answers back, as they come: nothing is kept but what is on its way.

Bodies stream both ways at the pace of the slower side, WebSockets too. Headers that concern one connection only end
here (RFC 9110, 7.6.1), and what the site is told of the client is ours to say. Everything has a limit in size or time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlsplit

import httpx2
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.connect.answers import Answer, page, problem
from app.connect.asgi import arrival_of
from app.run.guard.sockets import hand_on_socket

CONNECT_S = 5.0
ANSWER_S = 60.0  # from the last byte of a request to the head of its answer
IDLE_S = 300.0  # between two parts of an answer: streams of events may be quiet for long
BODY_IDLE_S = 30.0  # between two parts of a request's body
BODY_BYTES_MAX = 256 << 20
HEADERS_MAX = 100
POOLS = 16  # a pool looks at all its connections for each request
CONNECTIONS_PER_POOL_MAX = 64
KEPT_S = 30.0

HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
OURS_TO_SAY = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded", b"x-real-ip")
BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")

Pairs = list[tuple[bytes, bytes]]
log = structlog.get_logger()


class BodyTooLong(Exception):
    """A request's body is longer than BODY_BYTES_MAX."""


class BodyTooSlow(Exception):
    """A part of a request's body did not come in time."""


class _Pools(httpx2.AsyncBaseTransport):
    """Several pools of connections, by turns."""

    def __init__(self) -> None:
        most = CONNECTIONS_PER_POOL_MAX
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEPT_S)
        self._pools = [httpx2.AsyncHTTPTransport(limits=limits, trust_env=False) for _ in range(POOLS)]
        self._turn = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._turn = (self._turn + 1) % POOLS
        return await self._pools[self._turn].handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


class Proxy:
    """An ASGI application. `site`: scheme and host, such as http://localhost:3000."""

    def __init__(self, site: str) -> None:
        self._site = httpx2.URL(site)
        timeout = httpx2.Timeout(IDLE_S, connect=CONNECT_S, pool=CONNECT_S)
        self._client = httpx2.AsyncClient(timeout=timeout, trust_env=False, transport=_Pools())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif len(scope["headers"]) > HEADERS_MAX:
            await self._refuse(scope, "headers_too_many")(scope, receive, send)
        elif scope["type"] == "websocket":
            await hand_on_socket(scope, receive, send, str(self._site), target_of(scope), told(scope))
        else:
            await self._hand_on(Request(scope, receive), scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._client.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _hand_on(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._ask(request)
        except ClientDisconnect:
            return
        except BodyTooLong:
            await self._refuse(scope, "body_too_long")(scope, receive, send)
            return
        except (TimeoutError, httpx2.TimeoutException, BodyTooSlow) as error:
            await self._failed(scope, "site_slow", error)(scope, receive, send)
            return
        except httpx2.HTTPError as error:
            await self._failed(scope, "site_away", error)(scope, receive, send)
            return
        try:
            response = StreamingResponse(_body(answer, scope), answer.status_code)
            response.raw_headers = kept(answer.headers.raw)
            await response(scope, receive, send)
        finally:
            await answer.aclose()

    async def _ask(self, request: Request) -> httpx2.Response:
        """Its head; the body is still to come. Raises httpx2.HTTPError, TimeoutError, BodyTooLong, ClientDisconnect."""
        is_in_parts = "transfer-encoding" in request.headers
        length = "" if is_in_parts else request.headers.get("content-length", "")  # of the two the length says nothing
        if length.isdecimal() and int(length) > BODY_BYTES_MAX:
            raise BodyTooLong
        has_body = request.method not in BODILESS or length or is_in_parts
        url, headers = self._site.copy_with(raw_path=target_of(request.scope)), told(request.scope)
        if is_in_parts:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", self._site.netloc))
        async with asyncio.timeout(None) as limit:
            sending = _Sending(request, limit)
            if not has_body:
                sending.done()
                asked = httpx2.Request(request.method, url, headers=headers)
            else:
                if not length:
                    headers.append((b"transfer-encoding", b"chunked"))
                asked = httpx2.Request(request.method, url, headers=headers, stream=sending)
            return await self._client.send(asked, stream=True)

    def _failed(self, scope: Scope, code: str, error: Exception) -> Response:
        log.warning("site_failed", path=scope["path"], code=code, error=f"{type(error).__name__}: {error}")
        return self._refuse(scope, code)

    def _refuse(self, scope: Scope, code: str) -> Response:
        arrival = arrival_of(scope)
        languages = arrival.asked.headers.get("accept-language", ("",))[0]
        answer: Answer = page(code, languages) if arrival.wants_page else problem(code, "", "")
        return Response(answer.body, answer.status, dict(answer.headers))


class _Sending(httpx2.AsyncByteStream):
    """The body of a request on its way; the time for the answer begins when all of it is sent."""

    def __init__(self, request: Request, limit: asyncio.Timeout) -> None:
        self._request = request
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in _bounded(self._request):
            yield part
        self.done()

    def done(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    size, parts = 0, request.stream()
    while True:
        try:
            async with asyncio.timeout(BODY_IDLE_S):
                part = await anext(parts, None)
        except TimeoutError:
            raise BodyTooSlow from None
        if part is None:
            return
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise BodyTooLong
        if part:
            yield part


async def _body(answer: httpx2.Response, scope: Scope) -> AsyncIterator[bytes]:
    """As it came: packed is not unpacked. If the site breaks off, so does the connection to the client."""
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx2.HTTPError as error:
        log.warning("site_broke_off", path=scope["path"], error=f"{type(error).__name__}: {error}")
        raise


def target_of(scope: Scope) -> bytes:
    """Path and query as in the request line."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return path + (b"?" + query if query else b"")


def told(scope: Scope) -> Pairs:
    """The headers for the site: the client's, without those of its connection and those that we say."""
    dropped = HOP_BY_HOP | named_by_connection(scope["headers"])
    kept_ = [pair for pair in scope["headers"] if pair[0] not in dropped and not _is_ours_to_say(pair[0])]
    host = next((value for name, value in kept_ if name == b"host"), b"")
    client = (scope.get("client") or ("",))[0]
    scheme = b"https" if scope.get("scheme") in ("https", "wss") else b"http"
    return [
        *kept_,
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scheme),
    ]


def _is_ours_to_say(name: bytes) -> bool:
    """Also with underscores, which some servers take for hyphens."""
    return name.replace(b"_", b"-") in OURS_TO_SAY


def kept(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The headers of an answer for the client."""
    pairs = [(name.lower(), value) for name, value in headers]
    dropped = HOP_BY_HOP | named_by_connection(pairs)
    return [pair for pair in pairs if pair[0] not in dropped]


def named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    lines = [value for name, value in headers if name == b"connection"]
    return frozenset(name.strip().lower() for line in lines for name in line.split(b","))


def why_no_site(url: str) -> str | None:
    """Why requests cannot be handed on to this address, for a person; None if they can."""
    try:
        parts = urlsplit(url)
        is_site = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_site = False
    if not is_site or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        return f"{url!r} is no address of a site such as http://localhost:3000"
    return None
