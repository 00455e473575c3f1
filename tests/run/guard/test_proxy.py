"""What the proxy hands on: everything as it comes, nothing that is ours or one connection's alone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.types import Receive, Scope, Send
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from app.run.guard import proxy
from app.run.guard.proxy import HEADERS_MAX, Proxy, why_no_site
from app.run.guard.sockets import SiteSocket, SocketFailed
from tests.ports import kept_port
from tests.run.guard.site import Site, serving


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def at(site: Site) -> AsyncIterator[str]:
    """The proxy's address."""
    async with serving(site) as url, serving(Proxy(url)) as address:
        yield address


@pytest.fixture
async def client(at: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=at, trust_env=False) as client:
        yield client


async def test_a_request_and_its_answer_are_handed_on_as_they_are(client: httpx2.AsyncClient, site: Site) -> None:
    site.status = 418
    site.headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-kind", b"tea"), (b"date", b"today")]
    site.answer(b"short ", b"and stout")
    answer = await client.get("/a%2Fb//c?x=%20&y", headers={"X-Own": "1", "Cookie": "c=d"})
    assert (answer.status_code, answer.text) == (418, "short and stout")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (answer.headers["x-kind"], answer.headers.get_list("date")) == ("tea", ["today"])
    method, target, headers = site.seen[0]
    assert (method, target) == ("GET", "/a%2Fb//c?x=%20&y")
    assert {(b"x-own", b"1"), (b"cookie", b"c=d"), (b"host", client.base_url.netloc)} <= set(headers)


async def test_a_body_is_handed_on_with_its_length_or_in_parts(client: httpx2.AsyncClient, site: Site) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    for content, header in ((b"12345", b"content-length"), (parts(), b"transfer-encoding")):
        site.received.clear()
        site.answer(b"thanks")
        answer = await client.post("/", content=content)
        assert answer.text == "thanks"
        assert b"".join(site.received) == (b"12345" if header == b"content-length" else b"012")
        assert header in dict(site.seen[-1][2])


async def test_an_answer_comes_part_by_part_while_it_goes_on(client: httpx2.AsyncClient, site: Site) -> None:
    site.headers = [(b"content-type", b"text/event-stream")]
    async with client.stream("GET", "/events") as answer:
        parts = answer.aiter_raw()
        for number in range(3):
            site.body.put_nowait(b"data: %d\n\n" % number)
            assert await anext(parts) == b"data: %d\n\n" % number
    await asyncio.wait_for(site.left.wait(), 60)


async def test_what_is_packed_stays_packed(client: httpx2.AsyncClient, site: Site) -> None:
    packed = gzip.compress(b"hello")
    site.headers = [(b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(packed))]
    site.answer(packed)
    async with client.stream("GET", "/") as answer:
        assert b"".join([part async for part in answer.aiter_raw()]) == packed
    assert int(answer.headers["content-length"]) == len(packed)


async def test_headers_of_one_connection_end_here(client: httpx2.AsyncClient, site: Site) -> None:
    site.headers = [
        (b"connection", b"close, x-hop"),
        (b"x-hop", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"x-kept", b"1"),
    ]
    site.answer(b"")
    sent = {
        "Connection": "keep-alive, X-Secret",
        "X-Secret": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic eA==",
    }
    answer = await client.get("/", headers=sent)
    assert {"x-hop", "keep-alive"} & set(answer.headers) == set()
    assert answer.headers["x-kept"] == "1"
    names = {name for name, _ in site.seen[0][2]}
    assert {b"x-secret", b"te", b"proxy-authorization"} & names == set()


async def test_what_a_client_says_of_itself_as_a_proxy_would_is_replaced(
    client: httpx2.AsyncClient, site: Site
) -> None:
    site.answer(b"")
    made_up = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Forwarded": "for=1.2.3.4", "X-Real-IP": "1"}
    made_up |= {"X_Forwarded_For": "1.2.3.4", "X-Forwarded_Host": "evil"}
    await client.get("/", headers=made_up)
    headers = site.seen[0][2]
    assert [value for name, value in headers if name == b"x-forwarded-for"] == [b"127.0.0.1"]
    assert [value for name, value in headers if name == b"x-forwarded-proto"] == [b"http"]
    names = {name for name, _ in headers}
    assert {b"forwarded", b"x-real-ip", b"x_forwarded_for", b"x-forwarded_host"} & names == set()


async def test_a_head_has_no_body_and_the_length_that_a_get_would_have(client: httpx2.AsyncClient, site: Site) -> None:
    site.headers = [(b"content-length", b"7")]
    site.answer()
    answer = await client.head("/")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "7", b"")


async def test_a_site_that_is_away_is_said_to_be(site: Site) -> None:
    with kept_port() as port:
        async with serving(Proxy(f"http://127.0.0.1:{port}")) as at, httpx2.AsyncClient(base_url=at) as client:
            page = await client.get("/", headers={"Accept-Language": "ko"})
            assert (page.status_code, "사이트에 연결할 수 없습니다" in page.text) == (502, True)
            script = await client.get("/", headers={"Accept": "application/json"})
            assert (script.status_code, script.json()["code"]) == (502, "site_away")


async def test_a_site_that_does_not_answer_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "ANSWER_S", 0.05)

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        while (await receive())["type"] != "http.disconnect":
            pass

    async with (
        serving(silent) as url,
        serving(Proxy(url)) as at,
        httpx2.AsyncClient(base_url=at) as asking,
    ):
        answer = await asking.get("/", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (504, "site_slow")


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "in parts"])
async def test_a_body_that_is_too_long_is_refused(
    client: httpx2.AsyncClient, site: Site, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setattr(proxy, "BODY_BYTES_MAX", 100)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"0123456789"

    answer = await client.post("/", content=b"x" * 101 if told else parts(), headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")
    assert not (told and site.seen), "what is known to be too long is not begun"


async def test_a_body_that_does_not_come_is_not_waited_for_forever(
    at: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "BODY_IDLE_S", 0.05)
    parts = urlsplit(at)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Length: 5\r\n\r\n12")
    assert b" 504 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


@pytest.mark.parametrize("length", [0, 3, 500])
async def test_a_body_in_parts_has_no_length_however_long_it_is_said_to_be(at: str, site: Site, length: int) -> None:
    parts = urlsplit(at)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    site.answer(b"thanks")
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    writer.write(head % length + b"5\r\n12345\r\n0\r\n\r\n")
    assert b" 200 " in await reader.readline()
    await reader.read()
    assert b"".join(site.received) == b"12345"
    assert b"content-length" not in dict(site.seen[-1][2])
    writer.close()


async def test_too_many_headers_are_refused(client: httpx2.AsyncClient, site: Site) -> None:
    answer = await client.get("/", headers={f"x-{number}": "1" for number in range(HEADERS_MAX + 1)})
    assert (answer.status_code, site.seen) == (431, [])


async def test_a_client_who_goes_takes_the_question_with_them(at: str, site: Site) -> None:
    parts = urlsplit(at)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readline()
    writer.close()
    await asyncio.wait_for(site.left.wait(), 60)


async def opened(at: str, target: str = "/live", protocols: tuple[str, ...] = ()) -> SiteSocket:
    parts = urlsplit(at)
    socket = SiteSocket(*await asyncio.open_connection(parts.hostname, parts.port))
    try:
        await socket.open(parts.netloc, target, [(b"cookie", b"a=b")], list(protocols))
    except SocketFailed:
        await socket.close()
        raise
    return socket


async def message(socket: SiteSocket) -> str | bytes:
    """The next one, whole."""
    parts: list[TextMessage | BytesMessage] = []
    while not parts or not parts[-1].message_finished:
        event = await socket.next()
        assert isinstance(event, TextMessage | BytesMessage)
        parts.append(event)
    if isinstance(parts[0], TextMessage):
        return "".join(str(part.data) for part in parts)
    return b"".join(bytes(part.data) for part in parts if isinstance(part, BytesMessage))


async def test_a_websocket_is_handed_on_both_ways(at: str, site: Site) -> None:
    socket = await opened(at, protocols=("chat", "other"))
    assert socket.subprotocol == "chat"
    for sent in (TextMessage(data="hello"), BytesMessage(data=b"\x00\x01"), TextMessage(data="한" * 50_000)):
        await socket.send(sent)
        assert await message(socket) == sent.data
    assert (b"cookie", b"a=b") in site.seen[0][2]
    await socket.send(CloseConnection(code=1000))
    await asyncio.wait_for(site.left.wait(), 60)
    await socket.close()


async def test_the_site_closes_a_websocket_with_its_own_words(at: str) -> None:
    socket = await opened(at)
    await socket.send(TextMessage(data="bye"))
    event = await socket.next()
    assert (isinstance(event, CloseConnection), event.code, event.reason) == (True, 4001, "as asked")  # type: ignore[attr-defined]
    await socket.close()


async def test_a_websocket_that_the_site_does_not_open_is_closed(at: str) -> None:
    with pytest.raises(SocketFailed, match="403"):
        await opened(at, "/closed")


@pytest.mark.parametrize(
    "url",
    ["localhost:3000", "ftp://a", "http://", "http://a/b", "http://a?b", "http://u:p@a", "http://a:99999", "http://[a"],
)
def test_what_is_no_site_is_refused(url: str) -> None:
    assert why_no_site(url)
    assert why_no_site("http://localhost:3000/") is None
