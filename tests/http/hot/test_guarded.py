"""What one client can take of the server: connections, time, memory; and under which names it answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest
import pytest_asyncio

from app.http.hot import connections
from app.http.hot.connections import SILENT_S, UNTAKEN_S
from app.http.hot.guarded import HEAD_BYTES_MAX, HEADERS_MAX
from tests.http.system import System, Web
from tests.http.watcher import Refused, watching
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWER_S = 20.0
FIRST_LINES = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["fast", "ordinary"])
async def web(system: System, request: pytest.FixtureRequest) -> Web:
    return await system.another_web(fast_path=request.param)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.gather(self.writer.drain(), return_exceptions=True)

    async def told(self) -> bytes:
        """Everything until the server hangs up."""
        async with asyncio.timeout(ANSWER_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def connected(web: Web, receive_bytes: int | None = None) -> AsyncIterator[Client]:
    raw = socket.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", web.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def later(web: Web, seconds: float) -> None:
    """Let the server look at its connections as if so much time had passed."""
    web.state["connections"].look(asyncio.get_running_loop().time() + seconds)


async def watched(web: Web, count: int) -> None:
    async def so_many_are() -> bool:
        return len(web.state["connections"].watched) == count

    await wait_until(so_many_are, description=f"{count} connections are watched for being slow")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n\r\n",
        FIRST_LINES + b"X: y\r\n" * (HEAD_BYTES_MAX // 6) + b"\r\n",
        FIRST_LINES + b"X: " + b"y" * (2 * HEAD_BYTES_MAX),
        FIRST_LINES + b"X" * (2 * HEAD_BYTES_MAX),
        b"GET /ws/seats/x HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        + b"X: y\r\n" * (HEAD_BYTES_MAX // 6)
        + b"\r\n",
    ],
    ids=["url", "many headers", "endless value", "endless name", "socket"],
)
async def test_a_head_that_is_too_large_is_refused(web: Web, head: bytes) -> None:
    async with connected(web) as client:
        await client.send(head)
        answer = await client.told()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"head_too_large"' in answer


async def test_nothing_is_kept_of_what_comes_after_the_limit(web: Web) -> None:
    """A gigabyte of headers costs what the first part of them costs."""
    async with connected(web) as client:
        await client.send(FIRST_LINES + b"X: " + b"y" * HEAD_BYTES_MAX)
        await client.send(b"y" * (8 << 20))
        assert (await client.told()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("first", [b"GET /api/events", b"GET /api/queue/%s/position"], ids=["ordinary", "plain"])
async def test_a_request_has_so_many_headers_at_most(web: Web, event_id: str, first: bytes) -> None:
    """Twelve thousand of them fit into a head, and a stream would keep 1.4 MB of them for as long as it is open."""
    line = first.replace(b"%s", event_id.encode()) + b" HTTP/1.1\r\nHost: localhost\r\n"
    most, last = line + b"a:b\r\n" * (HEADERS_MAX - 2), b"Connection: close\r\n\r\n"
    for head, is_refused in ((most + last, False), (most + b"a:b\r\n" + last, True), (most + b"a:b\r\n\r\n", False)):
        async with connected(web) as client:
            await client.send(head)
            status = (await client.reader.readline()).split(b" ")[1]
        assert (status == b"431") is is_refused


async def test_a_head_just_small_enough_is_served_however_it_comes(web: Web) -> None:
    head = FIRST_LINES + b"Connection: close\r\nX: " + b"y" * (HEAD_BYTES_MAX - 200) + b"\r\n\r\n"
    for parts in (1, 7):
        size = len(head) // parts + 1
        async with connected(web) as client:
            for start in range(0, len(head), size):
                await client.send(head[start : start + size])
            assert (await client.told()).startswith(b"HTTP/1.1 200 ")


async def test_a_large_body_before_a_head_that_comes_in_parts_is_not_counted_as_head(web: Web) -> None:
    body = b" " * (2 * HEAD_BYTES_MAX)
    post = b"POST /api/auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with connected(web) as client:
        await client.send(post + body + FIRST_LINES)
        await client.send(b"Connection: close\r\n\r\n")
        assert b"HTTP/1.1 431" not in await client.told()


@pytest.mark.parametrize("begun", [b"", b"G", FIRST_LINES], ids=["nothing", "a letter", "half a head"])
async def test_a_client_that_says_nothing_more_is_not_waited_for(web: Web, begun: bytes) -> None:
    async with connected(web) as client:
        await client.send(begun)
        await watched(web, 1)
        await later(web, SILENT_S - 5)
        await watched(web, 1)
        await later(web, SILENT_S + 5)
        assert (await client.told()).startswith(b"HTTP/1.1 408 " if begun else b"")
        await watched(web, 0)


async def test_a_body_that_stops_is_not_waited_for(web: Web) -> None:
    async with connected(web) as client:
        await client.send(b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        await watched(web, 1)
        await later(web, SILENT_S + 1)
        assert (await client.told()).startswith(b"HTTP/1.1 408 ")
    assert web.state["connections"].refused["slow_request",] > 0


async def test_a_client_that_does_not_take_its_answers_is_dropped(web: Web) -> None:
    async def an_answer_waits() -> bool:
        slow: list[Any] = list(web.state["connections"].watched)
        return any(each.flow.write_paused for each in slow)

    async with connected(web, receive_bytes=4096) as client:
        await client.send(b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
        await wait_until(an_answer_waits, description="an answer waits to be taken")
        before = web.state["connections"].refused["slow_reader",]
        await later(web, UNTAKEN_S - 5)
        assert web.state["connections"].refused["slow_reader",] == before
        await later(web, UNTAKEN_S + 5)
        assert web.state["connections"].refused["slow_reader",] == before + 1
        await watched(web, 0)


async def test_one_address_takes_no_more_connections_than_its_share(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IPv4Address, "is_loopback", False)  # as if the clients sat elsewhere
    web = await system.another_web(connections_per_address=3)
    async with connected(web) as one, connected(web) as two, connected(web) as three:
        for client in (one, two, three):
            await client.send(FIRST_LINES + b"\r\n")
            await client.reader.readuntil(b"\r\n")
        async with connected(web) as fourth:
            answer = await fourth.told()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b'"code":"connections_full"' in answer
        one.writer.close()

        async def one_has_left() -> bool:
            return web.state["connections"].open == 2

        await wait_until(one_has_left, description="the place is free again")
        async with connected(web) as fifth:
            await fifth.send(FIRST_LINES + b"Connection: close\r\n\r\n")
            assert (await fifth.told()).startswith(b"HTTP/1.1 200 ")
    assert web.state["connections"].refused["address",] == 1


async def test_probes_and_admins_are_served_when_nobody_else_is(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.state["connections"], "ordinary_max", 0)
    for path, status in (("/healthz", 200), ("/admin/login", 200), ("/api/admin/users", 401), ("/api/events", 503)):
        async with web.client() as client:
            assert (await client.get(path)).status_code == status, path


async def test_silent_connections_do_not_keep_the_last_descriptors(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_KEPT_MAX", 2)
    async with connected(web) as ordinary:
        await ordinary.send(FIRST_LINES + b"\r\n")
        await ordinary.reader.readuntil(b"\r\n")
        monkeypatch.setattr(web.state["connections"], "ordinary_max", 1)
        async with connected(web) as spoke:
            await spoke.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await spoke.reader.readuntil(b"}")
            async with connected(web) as first, connected(web) as second, connected(web), connected(web) as last:
                assert await first.told() == await second.told() == b"", "the longest silent ones are ended"
                await last.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert (await last.told()).startswith(b"HTTP/1.1 200 ")
            await spoke.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert (await spoke.told()).startswith(b"HTTP/1.1 200 ")
        await ordinary.send(FIRST_LINES + b"Connection: close\r\n\r\n")
        assert b"HTTP/1.1 200 " in await ordinary.told(), "who came before goes on"
    assert web.state["connections"].refused["silent",] == 2


async def test_one_address_has_no_more_streams_and_sockets_than_its_share(system: System, event_id: str) -> None:
    web = await system.another_web(trusted_proxies="127.0.0.1", streams_per_address=2, sockets_per_address=2)
    await web.state["rooms"].reload(event_id)
    here, there = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "192.0.2.8"}
    path = f"/api/queue/{event_id}/stream"
    async with web.client() as buyer, web.client() as other:
        for client in (buyer, other):
            assert (await client.post(f"/api/queue/{event_id}/join")).status_code == 201
        async with buyer.stream("GET", path, headers=here) as one, other.stream("GET", path, headers=here) as two:
            assert (one.status_code, two.status_code) == (200, 200)
            refused = await other.get(path, headers=here)
            assert (refused.status_code, refused.json()["code"]) == (429, "streams_full")
            async with other.stream("GET", path, headers=there) as elsewhere:
                assert elsewhere.status_code == 200
        async with other.stream("GET", path, headers=here) as again:
            assert again.status_code == 200
    forwarded = [(b"X-Forwarded-For", b"192.0.2.7")]
    async with watching(web, event_id, headers=forwarded), watching(web, event_id, headers=forwarded):
        with pytest.raises(Refused) as refusal:
            async with watching(web, event_id, headers=forwarded):
                pass
        assert (refusal.value.status, refusal.value.code) == (429, "sockets_full")


@pytest.mark.parametrize(
    ("host", "public_url", "answer"),
    [
        ("evil.example", "", 421),
        ("evil.example:8000", "", 421),
        ("127.0.0.1.evil.example", "", 421),
        ("localhost.evil.example", "", 421),
        ("evil.example", "https://tickets.example", 421),
        ("tickets.example@evil.example", "https://tickets.example", 421),
        ("evil.example/localhost", "", 421),
        ("", "", 200),
        ("localhost", "", 200),
        ("shop.localhost:8000", "", 200),
        ("127.0.0.1:8000", "", 200),
        ("[::1]:8000", "", 200),
        ("192.0.2.7", "", 200),
        ("nginx:8080", "", 200),
        ("tickets.example", "https://tickets.example", 200),
        ("Tickets.Example.:443", "https://tickets.example", 200),
        ("localhost:8000", "https://tickets.example", 200),
    ],
)
async def test_a_name_that_is_not_ours_reads_nothing(
    system: System, webs: dict[str, Web], host: str, public_url: str, answer: int
) -> None:
    if public_url not in webs:
        webs[public_url] = await system.another_web(public_url=public_url)
    line = f"Host: {host}\r\n" if host else ""
    for path in ("/healthz", "/admin/login"):
        async with connected(webs[public_url]) as client:
            await client.send(f"GET {path} HTTP/{'1.1' if host else '1.0'}\r\n{line}Connection: close\r\n\r\n".encode())
            assert (await client.told()).split(b" ")[1] == str(answer).encode()


@pytest.fixture(scope="module")
def webs() -> dict[str, Web]:
    return {}


async def test_a_foreign_name_reads_no_numbers_and_opens_no_stream_and_no_socket(system: System, event_id: str) -> None:
    web = system.web
    evil = {"Host": "evil.example"}
    async with web.client() as client:
        assert (await client.get("/metrics")).status_code == 200
        for path in ("/metrics", f"/api/queue/{event_id}/stream"):
            answer = await client.get(path, headers=evil)
            assert (answer.status_code, answer.json()["code"]) == (421, "host_unknown")
    upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEy\r\n"
    for hosts in ("Host: evil.example\r\n", "Host: localhost\r\nHost: evil.example\r\n"):
        async with connected(web) as client:
            await client.send(f"GET /ws/seats/{event_id} HTTP/1.1\r\n{hosts}{upgrade}\r\n".encode())
            assert (await client.told()).split(b" ")[1] in (b"421", b"400")
        async with connected(web) as client:
            await client.send(f"GET /metrics HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert (await client.told()).startswith(b"HTTP/1.1 421 ")


async def test_browsers_are_told_to_come_by_https_only_where_buyers_do(system: System) -> None:
    secured = await system.another_web(public_url="https://tickets.example")
    for web, told in ((system.web, None), (secured, "max-age=31536000")):
        async with web.client() as client:
            assert (await client.get("/admin/login")).headers.get("strict-transport-security") == told
