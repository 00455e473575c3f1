"""The fast path answers byte for byte what the ordinary routes answer, and hands over whatever is not plain."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from app.http.hot import fast
from app.http.hot.guarded import Headers
from app.room.view import LineView
from tests.http.system import System, Web

pytestmark = pytest.mark.asyncio(loop_scope="module")
VARIES = [
    (re.compile(rb"date: [^\r]+"), b"date: -"),
    (re.compile(rb"[A-Za-z0-9+/]{72,}"), b"TICKET"),  # a ticket says when it was issued
    (re.compile(rb'"etaSeconds":(null|\{[^}]*\})'), b'"etaSeconds":-'),  # measured by each process for itself
    (re.compile(rb'"pollAfterMs":\d+'), b'"pollAfterMs":-'),
    (re.compile(rb"content-length: \d+"), b"content-length: -"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ordinary(system: System) -> Web:
    return await system.another_web(fast_path=False)


@asynccontextmanager
async def connection(web: Web) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        return head + (await reader.readexactly(int(length[1])) if length else b"")


async def answers(web: Web, *requests: bytes) -> list[bytes]:
    """What one connection is told, with what may differ from one process or moment to the next taken out."""
    async with connection(web) as (reader, writer):
        told = []
        for request in requests:
            writer.write(request)
            answer = await one_answer(reader)
            for pattern, instead in VARIES:
                answer = pattern.sub(instead, answer)
            told.append(answer)
        return told


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def holder_of(system: System) -> str:
    return f"tiketi_holder={system.browser()['tiketi_holder']}"


async def ticket_of(system: System, event_id: str, holder: str) -> str:
    async with system.web.client() as client:
        return str((await client.post(f"/api/queue/{event_id}/join", headers={"cookie": holder})).json()["ticket"])


async def test_both_ways_give_the_same_bytes(system: System, ordinary: Web, event_id: str) -> None:
    await system.change(event_id, state="paused")
    await ordinary.state["rooms"].reload(event_id)
    holder = holder_of(system)
    ticket = await ticket_of(system, event_id, holder)
    position, join = f"/api/queue/{event_id}/position", f"/api/queue/{event_id}/join"
    cookies = f"Cookie: other=1; {holder}; tiketi_ticket_{event_id}={ticket}"
    requests = [
        request("GET", position, cookies),
        request("GET", position, f"X-Queue-Ticket: {ticket}"),
        request("GET", position),
        request("GET", position, "X-Queue-Ticket: nonsense"),
        request("GET", f"{position}?x=1", cookies),
        request("GET", position.replace("e", "%65"), cookies),
        request("GET", "/api/queue/nowhere/position", cookies),
        request("GET", "/api/queue/later/position", cookies),
        request("POST", position, cookies, "Content-Length: 0"),
        request("POST", join, cookies),
        request("POST", join, f"Cookie: {holder}", "Content-Length: 0"),
        request("POST", join, cookies, "Content-Length: 2", body=b"{}"),
        request("POST", join, cookies, "Content-Length: 3", body=b"{x}"),
        request("POST", "/api/queue/later/join", f"Cookie: {holder}"),
        request("POST", "/api/queue/nowhere/join"),
        request("GET", position, f"Cookie: tiketi_holder=AAAA; tiketi_ticket_{event_id}={ticket}"),
        request("GET", join, cookies),
        request("GET", position, cookies, "Connection: Keep-Alive", "Accept: a, \tb ", "X-Empty:"),
        request("GET", position, "cookie: a=b", cookies),
        request("GET", position, "X-Queue-Ticket: nonsense", cookies),
        request("GET", position, f"x-queue-ticket:{ticket}"),
        request("GET", position, f"X-Queue-Ticket: {ticket} "),
        request("GET", position, cookies, "Content-Length: 2", body=b"{}"),
        request("GET", position, cookies, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request("POST", join, cookies, "Origin: https://elsewhere.example"),
        request("POST", join, cookies).replace(b"localhost", b"rebound.example"),
        request("GET", position, cookies).replace(b"localhost", b"rebound.example"),
        request("POST", join, f"Cookie: {holder}", "Sec-Fetch-Site: cross-site"),
        request("POST", join, cookies, "Authorization: Bearer nonsense"),
        request("POST", join, cookies, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ]
    assert await answers(system.web, *requests) == await answers(ordinary, *requests)


async def test_whatever_stands_in_the_lines_of_a_request_both_ways_read_it_alike(
    system: System, ordinary: Web, event_id: str
) -> None:
    """A request that only one of them takes, or takes to end elsewhere, is how two servers in a row are played off."""
    await system.change(event_id, state="paused")
    await ordinary.state["rooms"].reload(event_id)
    holder = holder_of(system)
    ticket = await ticket_of(system, event_id, holder)
    names = ["Content-Length", "Transfer-Encoding", "Connection", "Expect", "Cookie", "X-Queue-Ticket", "Upgrade", "A"]
    odd = ["", "", "", "", " ", "\t", "\0", "(", "\r\n", ":"]
    colons = [": ", ":", ":\t", " :", ""]
    values = ["", "0", "5", "close", "keep-alive", "chunked", ticket, "\x7f", "\xe9", "a\tb", "a\rb", "a\nb"]
    ends = ["", "", "", " ", "\r", "\n x"]
    dice = random.Random(7)

    def line() -> str:
        return "".join(dice.choice(parts) for parts in (names, odd, colons, values, ends))

    path, mine = f"/api/queue/{event_id}/position", f"X-Queue-Ticket: {ticket}"
    for _ in range(200):
        lines = [line() for _ in range(dice.randint(1, 2))] + [mine] * dice.choice([0, 1, 1])
        asked = request("GET", path, *lines)
        assert await answers(system.web, asked) == await answers(ordinary, asked), asked


async def test_a_request_in_pieces_or_with_others_behind_it_is_answered_in_order(system: System, event_id: str) -> None:
    holder = holder_of(system)
    ticket = await ticket_of(system, event_id, holder)
    asked = request("GET", f"/api/queue/{event_id}/position", f"X-Queue-Ticket: {ticket}")
    status = request("GET", f"/api/queue/{event_id}/status")
    async with connection(system.web) as (reader, writer):
        for pieces in ((asked[:9], asked[9:]), (asked[:-1], asked[-1:]), (asked + status[:20], status[20:] + asked)):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
        told = [await one_answer(reader) for _ in range(5)]
    assert [b'"number"' in each for each in told] == [True, True, True, False, True]


async def test_the_plain_requests_are_answered_before_the_application(
    system: System, ordinary: Web, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = holder_of(system)
    ticket = await ticket_of(system, event_id, holder)
    calls: list[str] = []

    def noting(name: str) -> Callable[[fast.FastProtocol, LineView, Headers], bool]:
        answer = getattr(fast.FastProtocol, name)

        def noted(self: fast.FastProtocol, view: LineView, headers: Headers) -> bool:
            answered: bool = answer(self, view, headers)
            calls.extend([name] if answered else [])
            return answered

        return noted

    for name in ("_position", "_join"):
        monkeypatch.setattr(fast.FastProtocol, name, noting(name))
    monkeypatch.setattr(fast, "HOT_LOGGED_ONE_IN", 1_000_000)
    sent_by_browsers = (
        "Connection: keep-alive",
        "Accept: */*",
        "Sec-Fetch-Site: same-origin",
        "User-Agent: Mozilla/5.0",
    )
    plain = [
        request("GET", f"/api/queue/{event_id}/position", f"X-Queue-Ticket: {ticket}", *sent_by_browsers),
        request("POST", f"/api/queue/{event_id}/join", "Content-Length: 0", *sent_by_browsers),
    ]
    await answers(ordinary, *plain)
    assert calls == []
    await answers(system.web, *plain)
    assert calls == ["_position", "_join"]


async def test_requests_behind_a_join_on_one_connection_wait_for_it(system: System, event_id: str) -> None:
    before = await system.last_number(event_id)
    path = f"/api/queue/{event_id}"
    async with connection(system.web) as (reader, writer):
        writer.write(
            request("POST", f"{path}/join")
            + request("GET", f"{path}/status")
            + request("POST", f"{path}/join")
            + request("GET", "/healthz")
        )
        told = [await one_answer(reader) for _ in range(4)]
    assert [b'"ticket"' in told[0], b'"cursor"' in told[1], b'"ticket"' in told[2], b'"ok"' in told[3]] == [True] * 4
    assert await system.last_number(event_id) == before + 2


async def test_a_last_request_is_answered_and_the_connection_closed(system: System, event_id: str) -> None:
    holder = holder_of(system)
    ticket = await ticket_of(system, event_id, holder)
    for asked in (
        request("GET", f"/api/queue/{event_id}/position", f"X-Queue-Ticket: {ticket}", "Connection: close"),
        request("POST", f"/api/queue/{event_id}/join", f"Cookie: {holder}", "Connection: close"),
    ):
        async with connection(system.web) as (reader, writer):
            writer.write(asked)
            async with asyncio.timeout(10):
                answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in answer


async def test_a_client_that_goes_before_its_number_comes_harms_nobody(system: System, event_id: str) -> None:
    async with connection(system.web) as (_, writer):
        writer.write(request("POST", f"/api/queue/{event_id}/join"))
        await writer.drain()
    assert await ticket_of(system, event_id, holder_of(system))


async def test_a_server_that_stops_finishes_a_join_and_says_that_it_is_the_last(system: System, event_id: str) -> None:
    web = await system.another_web()
    async with connection(web) as (reader, writer):
        writer.write(request("POST", f"/api/queue/{event_id}/join"))
        answer = await one_answer(reader)
        assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
        web.server.should_exit = True
        async with asyncio.timeout(10):
            assert await reader.read() == b""
