"""nginx, Caddy, HAProxy, Envoy and Traefik before a site, with the snippets that admins are shown: a visitor waits and
comes in, and who has no pass does not. And what each does while Tiketi is away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest

from app.origins.snippets import KINDS, Fail, render
from app.origins.snippets import Site as Filled
from tests.http.origins.proxies import running, sent, site, why_no, written
from tests.http.origins.site import SECRETIVE, Site, asked, let_in, make_site
from tests.http.system import System
from tests.ports import kept_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
SETTINGS = SECRETIVE
TOOLS = [
    pytest.param(name, marks=pytest.mark.skipif(why_no(name) != "", reason=why_no(name)))
    for name in ("nginx", "caddy", "haproxy", "envoy", "traefik")
]
ASKING = [tool for tool in TOOLS if tool.values[0] != "haproxy"]
AWAY = {"nginx": 500, "caddy": 502, "envoy": 403, "traefik": 500}
UNCHANGED = ("nginx", "traefik")  # these leave a header that is none of ours as it is
NOBODY = "http://127.0.0.1:1"  # where nothing listens
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}
FORGED = {"X-Tiketi-Subject": "me", "X-Tiketi-Number": "1", "X-Tiketi-Extra": "me", "X_Tiketi_Subject": "me"}
FORGED |= {"X-Tiketi_Subject": "me", "x_tiketi-subject": "me", "X_TIKETI_NUMBER": "1"}


@dataclass
class Front:
    """A proxy before a site. `client` is a browser there."""

    client: httpx2.AsyncClient
    made: Site
    url: str

    @property
    def room_id(self) -> str:
        return self.made.room_id


@asynccontextmanager
async def front(
    system: System, folder: Path, name: str, *, fail: Fail = Fail.closed, away: bool = False, **room: Any
) -> AsyncIterator[Front]:
    more = {"passAlgorithm": "HS256"} if name == "haproxy" else {}
    made = await make_site(system, **more, **room)
    with kept_port() as port:
        url = f"http://127.0.0.1:{port}"
        await asked(system, "PUT", f"/origins/{made.origin_id}", {"hosts": [url], "targetUrl": f"{url}/"})
        async with site() as behind:
            filled = Filled(
                tiketi=NOBODY if away else system.web.url,
                host=url,
                room=made.room_id,
                name="Sale",
                target=f"{url}/",
                upstream=f"http://127.0.0.1:{behind}",
            )
            text = render(next(kind for kind in KINDS if kind.name == name), filled, fail)
            file = written(name, folder, port, text, behind)
            async with (
                running(name, file, port, {"TIKETI_SECRET": made.secret}),
                httpx2.AsyncClient(base_url=url, timeout=20, headers=PAGE) as client,
            ):
                yield Front(client, made, url)


@pytest.mark.parametrize("name", TOOLS)
async def test_a_visitor_waits_comes_back_and_is_known_to_the_site(system: System, tmp_path: Path, name: str) -> None:
    async with front(system, tmp_path, name) as shop:
        page = await shop.client.get("/sale?size=M&x=1", headers=FORGED)
        assert page.status_code == 302
        where = urlsplit(page.headers["location"])
        assert where.path == f"/wait/{shop.room_id}"
        assert parse_qs(where.query)["t"] == [f"{shop.url}/sale?size=M&x=1"]
        token = await let_in(system, shop.room_id)
        back = await shop.client.get(f"/sale?size=M&tiketi_pass={token}")
        assert (back.status_code, back.headers["location"]) == (302, f"{shop.url}/sale?size=M")
        assert f"tiketi_pass_{shop.room_id}" in shop.client.cookies
        inside = await shop.client.get("/sale?size=M", headers=FORGED)
        assert inside.status_code == 200
        told = {key: value for key, value in sent(inside.json()).items() if key.startswith("x-tiketi-")}
        assert not [key for key in sent(inside.json()) if re.match("x(_tiketi|-tiketi_)", key)], (
            "sites read them as ours"
        )
        subject, until = told.pop("x-tiketi-subject"), told.pop("x-tiketi-until")
        read: Any = system.state["passes"].read(
            token, shop.room_id, system.state["origins"].rooms[shop.room_id].origin.secrets_at(0)
        )
        assert (subject, until) == (read.holder, str(read.expires_s))
        told.pop("x-tiketi-extra", None) if name in UNCHANGED else None
        assert told == {"x-tiketi-room": shop.room_id, "x-tiketi-number": "1"}
        posted = await shop.client.post("/cart", content=b"x" * 10_000)
        assert (posted.status_code, posted.json()[0].split()[0]) == (200, "POST")


@pytest.mark.parametrize("name", TOOLS)
async def test_a_pass_that_is_none_of_this_room_opens_nothing(system: System, tmp_path: Path, name: str) -> None:
    async with front(system, tmp_path, name) as shop:
        other = await make_site(system, passAlgorithm="HS256")
        beside = {"id": f"{shop.room_id}-2", "origin": shop.made.origin_id, "name": "B", "passAlgorithm": "HS256"}
        assert (await asked(system, "POST", "/rooms", beside)).status_code == 201
        foreign, neighbour = await let_in(system, other.room_id), await let_in(system, beside["id"])
        good = await let_in(system, shop.room_id)
        head, payload, signature = good.split(".")
        forged = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        over = {**jwt.decode(good, options={"verify_signature": False}), "exp": 1_700_000_000}
        expired = jwt.encode(over, shop.made.secret, algorithm="HS256")
        for token in (foreign, neighbour, expired, forged, f"{head}.{payload}.", "x" * 3_000, ""):
            for shown in ({"cookie": f"tiketi_pass_{shop.room_id}={token}"}, {"cookie": f"tiketi_pass_={token}"}):
                answer = await shop.client.get("/", headers=shown)
                assert answer.status_code == 302, token
                assert urlsplit(answer.headers["location"]).path == f"/wait/{shop.room_id}"
            in_url = await shop.client.get(f"/?tiketi_pass={token}")
            assert urlsplit(in_url.headers["location"]).path == f"/wait/{shop.room_id}"


@pytest.mark.parametrize("name", ASKING)
async def test_a_script_is_told_where_to_go_and_rules_are_followed(system: System, tmp_path: Path, name: str) -> None:
    rules = [{"action": "pass", "path": "/about"}, {"action": "refuse", "path": "/never"}]
    async with front(system, tmp_path, name, rules=rules) as shop:
        script = await shop.client.get("/api/cart", headers={"accept": "*/*", "sec-fetch-mode": "cors"})
        assert script.status_code == 401
        assert urlsplit(script.headers["x-tiketi-redirect"]).path == f"/wait/{shop.room_id}"
        about = await shop.client.get("/about", headers=FORGED)
        assert about.status_code == 200
        assert "me" not in sent(about.json()).values() or name in UNCHANGED
        assert sent(about.json()).get("x-tiketi-subject", "") == ""
        assert (await shop.client.get("/never")).status_code == 403


@pytest.mark.parametrize("name", ASKING)
async def test_no_request_is_taken_for_one_while_tiketi_is_away(system: System, tmp_path: Path, name: str) -> None:
    """A proxy that lets everybody in then must have an answer that it understands, whatever a client sends."""
    async with front(system, tmp_path, name, fail=Fail.open) as shop:
        for path in ("/sale/" + "/" * 1_600, "/?" + "&" * 1_600, "/" + "x" * 6_000):
            assert (await shop.client.get(path)).status_code == 302, path[:10]
        many = {f"x-{n}": "x" * 100 for n in range(200)}
        for headers in (many, {"x-long": "x" * 7_000, "x-more": "x" * 7_000}, {"expect": "100-continue"}):
            assert (await shop.client.get("/", headers=headers)).status_code != 200, list(headers)[:1]


@pytest.mark.parametrize("name", [tool for tool in ASKING if tool.values[0] in ("nginx", "caddy")])
async def test_whether_a_websocket_may_be_opened_is_asked_as_of_any_request(
    system: System, tmp_path: Path, name: str
) -> None:
    asking = {"connection": "upgrade", "upgrade": "websocket", "sec-fetch-mode": "websocket"}
    asking |= {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13"}
    async with front(system, tmp_path, name) as shop:
        assert (await shop.client.get("/live", headers=asking)).status_code == 401
        shown = {"cookie": f"tiketi_pass_{shop.room_id}={await let_in(system, shop.room_id)}"}
        assert (await shop.client.get("/live", headers={**asking, **shown})).status_code == 200


async def test_nobody_says_from_where_they_come(system: System, tmp_path: Path) -> None:
    """Else one client took all places of a room on standby: each request in the name of another address. By nginx,
    which hands the pass on with the answer to a check; elsewhere a visitor comes in at the room's own address."""
    plenty: dict[str, Any] = {"mode": "standby", "maxActive": 1_000}
    async with front(system, tmp_path, "nginx", **plenty) as shop:
        from_here = httpx2.AsyncHTTPTransport(local_address="127.0.0.2")  # of this machine, which counts as nobody
        told = {**PAGE, "x-forwarded-for": "198.51.100.7"}
        async with httpx2.AsyncClient(base_url=shop.url, timeout=20, headers=told, transport=from_here) as client:

            async def comes_in() -> bool:
                client.cookies.clear()
                return (await client.get("/sale")).status_code == 200

            await wait_until(comes_in, description="the new room's line is known")
            came_in = [await comes_in() for _ in range(system.settings.places_per_address)]
    assert all(came_in)


@pytest.mark.parametrize("name", ASKING)
async def test_whose_visit_was_ended_is_outside_at_once(system: System, tmp_path: Path, name: str) -> None:
    async with front(system, tmp_path, name) as shop:
        token = await let_in(system, shop.room_id)
        shown = {"cookie": f"tiketi_pass_{shop.room_id}={token}"}
        assert (await shop.client.get("/", headers=shown)).status_code == 200
        await system.change(shop.room_id, state="closed")
        await system.change(shop.room_id, state="open")
        assert (await shop.client.get("/", headers=shown)).status_code == 302


@pytest.mark.parametrize("name", ASKING)
async def test_the_script_of_the_thank_you_page_ends_the_visit_of_its_visitor(
    system: System, tmp_path: Path, name: str
) -> None:
    async with front(system, tmp_path, name) as shop:
        tokens = [await let_in(system, shop.room_id) for _ in range(2)]
        mine, other = ({"cookie": f"tiketi_pass_{shop.room_id}={token}"} for token in tokens)
        asks = {**mine, "tiketi-visit": "end", "sec-fetch-mode": "cors", "accept": "*/*"}  # as the script does
        ended = await shop.client.head("/thanks?order=1", headers=asks)
        assert (ended.status_code, "x-tiketi-redirect" in ended.headers) == (401, False)
        assert ended.headers["set-cookie"].startswith(f"tiketi_pass_{shop.room_id}=; Max-Age=0")

        async def is_outside() -> bool:
            return (await shop.client.get("/", headers=mine)).status_code == 302

        await wait_until(is_outside, description="the check knows that the visit has ended")
        assert (await shop.client.get("/", headers=other)).status_code == 200
        assert (await shop.client.head("/", headers={**asks, "cookie": ""})).status_code == 401


@pytest.mark.parametrize("name", ASKING)
async def test_while_tiketi_is_away_nobody_comes_in_or_everybody_does(
    system: System, tmp_path: Path, name: str
) -> None:
    async with front(system, tmp_path, name, away=True) as shop:
        assert (await shop.client.get("/")).status_code == AWAY[name]
    if not next(kind for kind in KINDS if kind.name == name).can_open:
        return
    async with front(system, tmp_path, name, away=True, fail=Fail.open) as shop:
        let = await shop.client.get("/", headers=FORGED)
        assert let.status_code == 200
        assert sent(let.json()).get("x-tiketi-subject", "") == ""


@pytest.mark.skipif(why_no("haproxy") != "", reason=why_no("haproxy"))
async def test_while_tiketi_is_away_haproxy_goes_on_checking_or_lets_everybody_in(
    system: System, tmp_path: Path
) -> None:
    async with front(system, tmp_path, "haproxy", away=True) as shop:
        token = await let_in(system, shop.room_id)
        shown = {"cookie": f"tiketi_pass_{shop.room_id}={token}"}
        assert (await shop.client.get("/", headers=shown)).status_code == 200
        assert (await shop.client.get("/")).status_code == 302
    async with front(system, tmp_path, "haproxy", away=True, fail=Fail.open) as shop:

        async def lets_in() -> bool:
            return (await shop.client.get("/")).status_code == 200

        await wait_until(lets_in, description="HAProxy has seen that Tiketi is away")
    async with front(system, tmp_path, "haproxy", fail=Fail.open) as shop:
        assert (await shop.client.get("/")).status_code == 302, "Tiketi is there"


@pytest.mark.parametrize("name", ["nginx"])
async def test_on_standby_a_visitor_sees_no_room_and_keeps_their_pass(
    system: System, tmp_path: Path, name: str
) -> None:
    if why_no(name):
        pytest.skip(why_no(name))
    async with front(system, tmp_path, name, mode="standby", maxActive=1) as shop:

        async def is_in() -> bool:
            return (await shop.client.get("/missing")).status_code == 404  # which a visitor may begin with as well

        await wait_until(is_in, description="the bucket of the room has filled")
        inside = await shop.client.get("/sale", headers=FORGED)
        assert (inside.status_code, sent(inside.json())["x-tiketi-number"]) == (200, "1")
        async with httpx2.AsyncClient(base_url=shop.url, timeout=20, headers=PAGE) as other:
            assert (await other.get("/sale")).status_code == 302, "one visitor fits in"
