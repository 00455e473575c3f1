"""What no client library would send, on a plain socket: the server answers or hangs up, and goes on serving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.http.hot.guarded import PIPELINED_MAX
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))
ANSWER_S = 20.0


@asynccontextmanager
async def connected(system: System) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", system.web.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)  # the server may have hung up first


async def told(system: System, raw: bytes, *, end: bool = True) -> bytes:
    """What the server says to these bytes until it hangs up."""
    async with connected(system) as (reader, writer):
        writer.write(raw)
        await asyncio.gather(writer.drain(), return_exceptions=True)
        if end:
            writer.write_eof()
        async with asyncio.timeout(ANSWER_S):
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""


async def still_serves(system: System) -> bool:
    async with system.web.client() as client:
        return (await client.get("/healthz")).status_code == 200


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/queue/\0/position HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Queue-Ticket: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/queue/later/join HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/queue/later/join HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /api/queue/later/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/queue/later/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_hardly_http_is_refused(system: System, raw: bytes) -> None:
    with capture_logs() as logged:
        answer = await told(system, raw)
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert b"Traceback" not in answer
    assert not [entry for entry in logged if entry["event"] == "request_crashed"]
    assert await still_serves(system)
    assert await system.last_number("later") == 0


@FEW
@given(raw=st.binary(max_size=400) | st.text("GET POST/\r\n:HTTP1.0 %", max_size=200).map(str.encode))
async def test_no_bytes_stop_the_server(system: System, raw: bytes) -> None:
    answer = await told(system, raw)
    assert b" 500 " not in answer.split(b"\r\n")[0]


@FEW
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=255, blacklist_characters=" \x7f"), max_size=40),
    method=st.sampled_from(["GET", "POST", "PATCH", "HEAD", "OPTIONS", "DELETE"]),
    cookie=st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=80),
)
async def test_no_path_method_or_cookie_is_a_crash(system: System, path: str, method: str, cookie: str) -> None:
    for prefix in ("/", "/api/queue/", "/api/queue/later/", "/api/reservations/", "/api/seats/events/", "/events/"):
        raw = request(method, prefix + path, f"Cookie: {cookie}", f"X-Queue-Ticket: {cookie.strip() or 'x'}")
        first = (await told(system, raw, end=False)).split(b"\r\n")[0]
        assert b" 500 " not in first, raw


async def test_half_a_body_is_no_request(system: System) -> None:
    event_id = await system.event()
    path = f"/api/queue/{event_id}/join"
    for sent in (
        request("POST", path, "Content-Length: 20"),
        request("POST", path, "Content-Length: 20", body=b'{"wish":null'),
        request("POST", path, "Transfer-Encoding: chunked"),
        request("POST", path, "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n"),
    ):
        await told(system, sent)
    assert (await told(system, request("POST", path), end=False)).startswith(b"HTTP/1.1 201")
    assert await system.last_number(event_id) == 1


async def test_ten_megabytes_that_never_end_are_refused_early(system: System) -> None:
    event_id = await system.event()
    async with connected(system) as (reader, writer):
        writer.write(request("POST", f"/api/queue/{event_id}/join", f"Content-Length: {10**10}", body=b" " * 100_000))
        async with asyncio.timeout(ANSWER_S):
            assert b" 413 " in await reader.readline()
    assert await system.last_number(event_id) == 0


async def test_requests_one_behind_the_other_are_answered_in_order(system: System) -> None:
    event_id = await system.event()
    join = f"POST /api/queue/{event_id}/join HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    last = request("GET", f"/api/queue/{event_id}/status")
    answers = (await told(system, join * 3 + last, end=False)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"201", b"201", b"201", b"200"]
    assert [f'"number":{number},'.encode() in answers[number - 1] for number in (1, 2, 3)] == [True] * 3


async def test_a_client_that_goes_while_it_is_served_leaves_nothing_behind(system: System) -> None:
    event_id = await system.event()
    for _ in range(5):
        async with connected(system) as (_, writer):
            writer.write(request("POST", f"/api/queue/{event_id}/join"))
    assert await still_serves(system)
    assert not [stream for stream in system.state["hub"].streams if stream.view.event_id == event_id]


async def test_more_requests_than_may_wait_on_one_connection_end_it(system: System, event_id: str) -> None:
    join = f"POST /api/queue/{event_id}/join HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    plain = b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n"
    for each in (join, plain):
        said = await told(system, each * (PIPELINED_MAX + 100), end=False)  # ends without a last request
        assert said.count(b"HTTP/1.1 ") <= 1 + PIPELINED_MAX
        last = request("GET", "/api/events")
        assert (await told(system, each * PIPELINED_MAX + last, end=False)).count(b"HTTP/1.1 20") == PIPELINED_MAX + 1
    assert await still_serves(system)


async def test_nothing_is_written_to_a_client_that_went_while_it_took_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop raises for it, and that would be a crash in the log for whoever likes to make one."""
    connections: set[Any] = system.web.server.server_state.connections
    others, written = set(connections), list[bytes]()
    async with connected(system) as (_, writer):
        (slow,) = await wait_until(partial(_more, connections, others), description="the server knows the connection")
        slow.pause_writing()  # as its transport does while a client takes nothing
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        await wait_until(partial(_has_begun, slow), description="one request is served and two wait")
        monkeypatch.setattr(slow.transport, "write", written.append)
        slow.transport.abort()
        await wait_until(partial(_is_idle, system), description="every request is over")
    assert not written
    assert await still_serves(system)


async def _more(connections: set[Any], others: set[Any]) -> set[Any]:
    return connections - others  # one of the others may end meanwhile


async def _has_begun(connection: Any) -> bool:
    return len(connection.pipeline) == 2


async def _is_idle(system: System) -> bool:
    return not system.web.server.server_state.tasks


async def test_a_client_of_http_1_0_gets_no_chunks_and_an_end(system: System, event_id: str) -> None:
    """A health check or an old proxy reads until the connection ends; to it a chunk's length is part of the answer."""
    async with system.web.client() as client:
        ticket = (await client.post(f"/api/queue/{event_id}/join")).json()["ticket"]
        browser = f"Cookie: tiketi_holder={client.cookies['tiketi_holder']}"
    bearer = (await system.bearer())["authorization"]
    asked = (
        ("/api/admin/export/sales.csv", f"Authorization: {bearer}"),  # of a length that nobody knows beforehand
        (f"/events/{event_id}", "Accept: text/html"),
    )
    for path, header in asked:
        raw = request("GET", path, header).replace(b"HTTP/1.1", b"HTTP/1.0")
        head, _, body = (await told(system, raw, end=False)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower()
        assert body.startswith((b"\xef\xbb\xbfevent,", b"<!doctype html>")), body[:20]
        assert not body.endswith(b"0\r\n\r\n")
    async with connected(system) as (reader, writer):
        path = f"/api/queue/{event_id}/stream"
        writer.write(request("GET", path, f"X-Queue-Ticket: {ticket}", browser).replace(b"HTTP/1.1", b"HTTP/1.0"))
        async with asyncio.timeout(ANSWER_S):
            assert b"transfer-encoding" not in (await reader.readuntil(b"\r\n\r\n")).lower()
            assert (await reader.readline()).startswith(b"retry: ")
