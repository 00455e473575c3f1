"""The middleware for ASGI and WSGI: what goes on, what is answered, and how a visit ends."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from app.connect import asgi, wsgi
from app.connect.passes import Visit
from tests.connect.passes import ROOM, TIKETI, Clock, Tiketi

Headers = list[tuple[str, str]]
Response = tuple[int, Headers, bytes]
Ask = Callable[..., Response]
KINDS = ["asgi", "wsgi"]


class Shop:
    """A site: says whose visit it sees, and answers with the headers it was given."""

    def __init__(self, answers: Headers) -> None:
        self.answers = answers
        self.seen: list[tuple[Visit | None, dict[str, str]]] = []

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        told = {name.decode(): value.decode() for name, value in scope["headers"] if b"tiketi" in name.lower()}
        self.seen.append((scope["tiketi"], told))
        headers = [(name.lower().encode(), value.encode()) for name, value in self.answers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"the shop"})

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        told = {name[5:].lower().replace("_", "-"): each for name, each in environ.items() if "TIKETI" in name}
        self.seen.append((environ["tiketi"], told))
        start_response("200 OK", [("Content-Type", "text/plain"), *self.answers])
        return [b"the shop"]


@pytest.fixture
def tiketi() -> Tiketi:
    return Tiketi()


@pytest.fixture
def shop() -> Shop:
    return Shop([])


@pytest.fixture(params=KINDS)
def ask(request: pytest.FixtureRequest, tiketi: Tiketi, shop: Shop) -> Ask:
    """Asks the site through its middleware."""
    settings = tiketi.settings(Clock(), rules=[{"action": "pass", "path": "/free"}])
    if request.param == "asgi":
        return asking_asgi(asgi.WaitingRoom(shop.asgi, **settings))
    return asking_wsgi(wsgi.WaitingRoom(shop.wsgi, **settings))


def asking_asgi(app: asgi.WaitingRoom) -> Ask:
    def ask(target: str = "/buy", method: str = "GET", **headers: str) -> Response:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        asyncio.run(app(scope_of(target, method, headers), receive, send))
        told = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
        return sent[0]["status"], told, b"".join(message["body"] for message in sent[1:])

    return ask


def scope_of(target: str, method: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    pairs.append((b"host", b"shop.example"))
    here = {"type": "http", "scheme": "https", "path": path, "raw_path": path.encode(), "query_string": query.encode()}
    return {**here, "method": method, "headers": pairs}


def asking_wsgi(app: wsgi.WaitingRoom) -> Ask:
    def ask(target: str = "/buy", method: str = "GET", **headers: str) -> Response:
        path, _, query = target.partition("?")
        started: list[Any] = []
        environ: dict[str, Any] = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": ""}
        environ |= {"SERVER_NAME": "shop.example", "SERVER_PORT": "443", "HTTP_HOST": "shop.example"}
        environ |= {"wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO()}
        environ |= {"wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": False}
        environ |= {"wsgi.run_once": False, "SERVER_PROTOCOL": "HTTP/1.1"}

        def start_response(*given: Any) -> Callable[[bytes], None]:
            started.append(given)
            return lambda _: None

        answered = validator(app)(environ, start_response)
        body = b"".join(answered)
        answered.close()  # type: ignore[attr-defined]
        status, told = started[0][:2]
        return int(status.split()[0]), [(name.lower(), value) for name, value in told], body

    return ask


def test_without_a_pass_the_site_sees_nothing(ask: Ask, shop: Shop) -> None:
    status, headers, _ = ask("/buy?a=1")
    assert status == 302
    assert dict(headers)["location"] == f"{TIKETI}/wait/{ROOM}?t=https%3A%2F%2Fshop.example%2Fbuy%3Fa%3D1"
    status, _, body = ask("/buy", accept="application/json")
    assert (status, json.loads(body)["code"]) == (401, "pass_missing")
    assert shop.seen == []


def test_with_a_pass_the_site_is_told_whose_visit_it_is(ask: Ask, shop: Shop, tiketi: Tiketi) -> None:
    status, _, body = ask(cookie=f"tiketi_pass_{ROOM}={tiketi.token()}", x_tiketi_subject="admin")
    assert (status, body) == (200, b"the shop")
    visit, told = shop.seen[0]
    assert visit is not None
    assert visit.jti == f"{ROOM}.1.7"
    assert told["x-tiketi-subject"] == "h1"


@pytest.mark.parametrize("name", ["x_tiketi_subject", "x_tiketi_made_up"])
def test_what_a_client_makes_up_does_not_reach_the_site(ask: Ask, shop: Shop, name: str) -> None:
    assert ask("/free", **{name: "admin"})[0] == 200
    assert shop.seen == [(None, {})]


def test_neither_does_a_header_with_underscores_which_some_frameworks_read_as_hyphens(
    shop: Shop, tiketi: Tiketi
) -> None:
    app = asgi.WaitingRoom(shop.asgi, **tiketi.settings(Clock(), rules=[{"action": "pass", "path": "/free"}]))
    asked = scope_of("/free", "GET", {})
    asked["headers"] += [(b"x_tiketi_subject", b"admin"), (b"X_Tiketi-Number", b"1")]

    async def unused(*_: Any) -> Any:
        return None

    asyncio.run(app(asked, unused, unused))
    assert shop.seen == [(None, {})]


def test_a_pass_in_the_address_is_moved_to_a_cookie(ask: Ask, tiketi: Tiketi) -> None:
    token = tiketi.token()
    status, headers, body = ask(f"/buy?x=1&tiketi_pass={token}")
    assert (status, dict(headers)["location"], body) == (302, "/buy?x=1", b"")
    assert dict(headers)["set-cookie"].startswith(f"tiketi_pass_{ROOM}={token}; ")


def test_a_response_ends_the_visit(ask: Ask, shop: Shop, tiketi: Tiketi) -> None:
    shop.answers.append(("Tiketi-Visit", "End"))
    cookie = f"tiketi_pass_{ROOM}={tiketi.token()}"
    status, headers, _ = ask(cookie=cookie)
    assert (status, "tiketi-visit" in dict(headers)) == (200, False)
    assert dict(headers)["set-cookie"].startswith(f"tiketi_pass_{ROOM}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
    assert tiketi.ended == [(f"{TIKETI}/api/origins/shop/visits/{ROOM}.1.7/end", "key")]
    assert ask(cookie=cookie)[0] == 302


def test_a_page_ends_the_visit_of_whom_it_shows_and_the_site_sees_nothing_of_it(
    ask: Ask, shop: Shop, tiketi: Tiketi
) -> None:
    cookie = f"tiketi_pass_{ROOM}={tiketi.token()}"
    status, headers, _ = ask("/thanks", "HEAD", cookie=cookie, tiketi_visit="end", sec_fetch_mode="cors")
    assert (status, shop.seen, "x-tiketi-redirect" in dict(headers)) == (401, [], False)
    assert dict(headers)["set-cookie"].startswith(f"tiketi_pass_{ROOM}=; Max-Age=0; ")
    assert tiketi.ended == [(f"{TIKETI}/api/origins/shop/visits/{ROOM}.1.7/end", "key")]
    assert ask(cookie=cookie)[0] == 302
    assert ask("/free", "HEAD", tiketi_visit="end")[0] == 200, "who has no visit ends none"
    assert len(tiketi.ended) == 1


def test_a_response_to_somebody_without_a_visit_ends_none(ask: Ask, shop: Shop, tiketi: Tiketi) -> None:
    shop.answers.append(("Tiketi-Visit", "end"))
    assert ask("/free")[0] == 200
    assert tiketi.ended == []


def test_the_end_is_told_again_once_and_then_left_to_the_pass(ask: Ask, shop: Shop, tiketi: Tiketi) -> None:
    cookie = f"tiketi_pass_{ROOM}={tiketi.token()}"
    assert ask(cookie=cookie)[0] == 200
    shop.answers.append(("Tiketi-Visit", "end"))
    tiketi.is_away = True
    assert ask(cookie=cookie)[0] == 200


def test_keys_are_asked_for_once_by_all_who_come_at_once(tiketi: Tiketi, shop: Shop) -> None:
    app = asgi.WaitingRoom(shop.asgi, **tiketi.settings(Clock()))
    token = tiketi.token()

    async def crowd() -> None:
        async def send(_: Any) -> None:
            return

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        headers = {"cookie": f"tiketi_pass_{ROOM}={token}"}
        await asyncio.gather(*(app(scope_of("/buy", "GET", headers), receive, send) for _ in range(100)))

    asyncio.run(crowd())
    assert (tiketi.fetched, len(shop.seen)) == (1, 100)


def test_who_has_a_good_pass_does_not_wait_for_newer_keys(tiketi: Tiketi, shop: Shop) -> None:
    clock, go_on, done = Clock(), threading.Event(), threading.Event()

    def slow() -> bytes:
        if tiketi.fetched == 0:
            return tiketi.fetch()
        go_on.wait(60)
        done.set()
        return tiketi.fetch()

    app = wsgi.WaitingRoom(shop.wsgi, **tiketi.settings(clock, fetch=slow))
    ask, cookie = asking_wsgi(app), f"tiketi_pass_{ROOM}={tiketi.token()}"
    assert ask(cookie=cookie)[0] == 200
    clock.now_s += 61
    assert ask(cookie=cookie)[0] == 200
    assert tiketi.fetched == 1
    assert ask(cookie=cookie)[0] == 200
    asking = [thread for thread in threading.enumerate() if thread.name == "tiketi keys"]
    assert len(asking) == 1
    go_on.set()
    assert done.wait(60), "the keys were asked for beside the requests"


def test_a_websocket_without_a_pass_is_closed_before_it_opens(tiketi: Tiketi, shop: Shop) -> None:
    sent: list[Any] = []
    app = asgi.WaitingRoom(shop.asgi, **tiketi.settings(Clock()))

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {**scope_of("/live", "GET", {}), "type": "websocket", "scheme": "wss"}
    del scope["method"]
    asyncio.run(app(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    assert shop.seen == []


def test_what_is_no_request_goes_on_untouched(tiketi: Tiketi) -> None:
    seen: list[Any] = []

    async def app(scope: Any, *_: Any) -> None:
        seen.append(scope)

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    lifespan = {"type": "lifespan"}
    asyncio.run(asgi.WaitingRoom(app, **tiketi.settings(Clock()))(lifespan, receive, app))
    assert seen == [lifespan]
