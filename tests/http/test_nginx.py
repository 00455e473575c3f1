"""The product behind nginx as compose.yaml runs it: two web processes, streams and sockets that are not held back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.http.buyer import buyer
from tests.http.system import System, Web
from tests.nginx import NGINX, before, certificate, running, why_no_nginx, written
from tests.ports import kept_port

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(why_no_nginx() != "", reason=why_no_nginx()),
]
FORGED = "203.0.113.9"
STRANGER = "127.0.0.5"  # not the address that proxies of this machine connect from


def stranger(url: str) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(local_address=STRANGER, verify=False)
    return httpx2.AsyncClient(base_url=url, timeout=20, transport=transport)


def outer(folder: Path, port: int, upstream: str) -> Path:
    """Somebody's TLS proxy before compose.yaml's: it adds to what the client wrote, as most do."""
    certificate(folder / "tls")
    file = folder / "outer.conf"
    file.write_text(
        f"""
        pid {folder}/outer.pid;
        events {{}}
        http {{
            access_log off;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {folder}/tls/fullchain.pem;
                ssl_certificate_key {folder}/tls/privkey.pem;
                location / {{
                    proxy_pass {upstream};
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                }}
            }}
        }}
        """
    )
    return file


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the request's own head, whatever it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(head.decode("latin-1").splitlines()).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an nginx before a server that says what it was sent."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        before(tmp_path_factory.mktemp("nginx"), [port]) as url,
        httpx2.AsyncClient(base_url=url, timeout=20, verify=False) as client,
    ):
        yield client


async def echoed(client: httpx2.AsyncClient, path: str, **headers: str) -> dict[str, str]:
    lines: list[str] = (await client.get(path, headers=headers)).json()
    pairs = [line.split(": ", 1) for line in lines[1:] if ": " in line]
    return {name.lower(): value for name, value in pairs}


async def test_where_a_request_came_from_is_what_nginx_saw(echo: httpx2.AsyncClient) -> None:
    async with stranger(str(echo.base_url)) as client:
        got = await echoed(client, "/", **{"x-forwarded-for": FORGED})
        assert got["x-forwarded-for"] == STRANGER
        assert got["host"] == echo.base_url.netloc.decode(), "with its port, which forms are checked against"
        assert got["x-forwarded-proto"] == "http"


async def test_behind_a_proxy_that_ends_tls_it_is_what_that_one_saw(echo: httpx2.AsyncClient, tmp_path: Path) -> None:
    """And what the client claimed is not believed by either."""
    with kept_port() as port:
        async with (
            running(outer(tmp_path, port, str(echo.base_url)), port),
            stranger(f"https://127.0.0.1:{port}") as client,
        ):
            got = await echoed(client, "/", **{"x-forwarded-for": FORGED})
            assert got["x-forwarded-for"] == STRANGER
            assert got["x-forwarded-proto"] == "https"


async def test_tls_can_be_ended_here(echo: httpx2.AsyncClient, tmp_path: Path) -> None:
    """With the shipped server block, in the folder where it is looked for."""
    with kept_port() as plain, kept_port() as redirecting, kept_port() as port:
        conf = written(tmp_path, port=plain, upstreams=[1])
        certificate(tmp_path / "tls")
        block = (NGINX / "tls.conf").read_text()
        block = block.replace("listen 8443 ", f"listen 127.0.0.1:{port} ").replace(
            "listen 8081", f"listen 127.0.0.1:{redirecting}"
        )
        (tmp_path / "tls" / "tls.conf").write_text(block)
        async with running(conf, port), stranger(f"https://127.0.0.1:{port}") as client:
            assert (await client.get("/metrics")).status_code == 404
            moved = await client.get(f"http://127.0.0.1:{redirecting}/events/demo?a=b")
            assert (moved.status_code, moved.headers["location"]) == (308, "https://127.0.0.1/events/demo?a=b")


async def test_an_address_may_join_so_often_a_second_and_no_more(echo: httpx2.AsyncClient) -> None:
    """A thousand people behind one address press the button at once; a program that goes on is stopped here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.base_url.port)
    request = b"POST /api/queue/demo/join HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n%s\r\n"
    writer.write(request % b"" * 2_999 + request % b"Connection: close\r\n")
    told = await reader.read(-1)
    writer.close()
    passed, stopped = told.count(b"HTTP/1.1 200 "), told.count(b"HTTP/1.1 429 ")
    assert passed >= 1_000
    assert passed + stopped == 3_000
    assert stopped > 0


async def test_connections_to_the_web_processes_stay_open_unless_they_become_sockets(echo: httpx2.AsyncClient) -> None:
    assert "connection" not in await echoed(echo, "/")
    asked = await echoed(echo, "/ws/seats/demo", connection="Upgrade", upgrade="websocket")
    assert (asked["connection"], asked["upgrade"]) == ("upgrade", "websocket")


async def test_a_body_is_limited_but_for_admins_files(echo: httpx2.AsyncClient) -> None:
    assert (await echo.post("/api/seats/reserve", content=b"x" * (2 << 20))).status_code == 413
    assert (await echo.get("/metrics")).status_code == 404


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fronted(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The system as it is reached through nginx, before two web processes."""
    other = await system.another_web(trusted_proxies="127.0.0.1")
    ports = [system.web.port, other.port]
    async with before(tmp_path_factory.mktemp("nginx"), ports) as url:
        front = Web(system.web.server, int(url.rsplit(":", 1)[1]))
        yield replace(system, web=front)


async def test_a_buyer_gets_through(fronted: System) -> None:
    async with buyer(fronted, await fronted.event()) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        assert (await ann.pay(held["id"])).status_code == 201


async def test_a_stream_says_at_once_what_happens(fronted: System) -> None:
    event_id = await fronted.event()
    await fronted.change(event_id, state="paused")
    async with buyer(fronted, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            await stream.next("position")
            await fronted.change(event_id, message="Five minutes")
            told = await stream.next("message")
            assert "Five minutes" in str(told)


async def test_seats_are_pushed_through_a_socket(fronted: System) -> None:
    event_id = await fronted.event()
    reader, writer = await asyncio.open_connection("127.0.0.1", fronted.web.port)
    writer.write(
        f"GET /ws/seats/{event_id}?since=0 HTTP/1.1\r\nHost: 127.0.0.1:{fronted.web.port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    async with buyer(fronted, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s3"])
    async with asyncio.timeout(20):
        said = b""
        while b"seat-locked" not in said:
            said += await reader.read(4096)
    writer.close()


async def test_pages_and_answers_are_packed_and_streams_are_not(fronted: System) -> None:
    event_id = await fronted.event()
    await fronted.change(event_id, state="paused")
    async with buyer(fronted, event_id) as ann:
        for path in ("/", f"/events/{event_id}", f"/api/seats/events/{event_id}"):
            packed = await ann.client.get(path)
            assert packed.headers["content-encoding"] == "gzip", path
            plain = await ann.client.get(path, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers, path
        await ann.join()
        async with ann.client.stream("GET", f"/api/queue/{event_id}/stream") as stream:
            assert "content-encoding" not in stream.headers
