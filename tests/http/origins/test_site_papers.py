"""The papers for who puts a site behind a room do what they say."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.routing import Match, Route

from app.http.routes import api_routes, page_routes
from app.origins.snippets import KINDS, Fail, Site, render
from tests.http.origins.proxies import running, site, why_no
from tests.http.origins.site import SECRETIVE, asked, check, let_in, make_site
from tests.http.system import System
from tests.nginx import NGINX
from tests.ports import kept_port

in_one_loop = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
DOCS = NGINX.parent.parent / "docs"
OURS = ("nginx.md", "away.md", "apps.md", "from-aws.md")
LOCAL = Site(
    tiketi="http://127.0.0.1:8000",
    host="http://localhost:8080",
    room="sale",
    name="Sale",
    target="http://localhost:8080/",
)


def nginx_blocks() -> list[str]:
    found = re.findall(r"```nginx\n(.*?)\n *```", (DOCS / "nginx.md").read_text(), re.DOTALL)
    return [dedent(block) for block in found]


def test_nginx_s_text_in_the_paper_is_what_the_page_shows() -> None:
    shown, _ = nginx_blocks()
    assert shown.strip() == render(KINDS[0], LOCAL, Fail.closed).strip()


@in_one_loop
@pytest.mark.skipif(why_no("nginx") != "", reason=why_no("nginx"))
async def test_the_two_files_of_the_paper_put_a_site_behind_a_room(system: System, tmp_path: Path) -> None:
    """Only ports, the room and where this machine lets it write are others."""
    made = await make_site(system)
    snippet, server = nginx_blocks()
    with kept_port() as port:
        url = f"http://127.0.0.1:{port}"
        await asked(system, "PUT", f"/origins/{made.origin_id}", {"hosts": [url], "targetUrl": f"{url}/"})
        async with site() as behind:
            for ours, theirs in (
                ("127.0.0.1:8000", urlsplit(system.web.url).netloc),
                ("127.0.0.1:3000", f"127.0.0.1:{behind}"),
                ("/check/sale", f"/check/{made.room_id}"),
                ("listen 8080;", f"listen 127.0.0.1:{port};"),
            ):
                assert ours in snippet
                snippet = snippet.replace(ours, theirs)
            (tmp_path / "tiketi.conf").write_text(snippet)
            file = tmp_path / "nginx.conf"
            file.write_text(f"user root;\npid {tmp_path}/pid;\n{server}")
            page = {"accept": "text/html"}
            async with running("nginx", file, port), httpx2.AsyncClient(base_url=url, headers=page) as client:
                waits = await client.get("/")
                assert urlsplit(waits.headers["location"]).path == f"/wait/{made.room_id}"
                await client.get(f"/?tiketi_pass={await let_in(system, made.room_id)}")
                assert (await client.get("/")).status_code == 200


def test_what_the_papers_ask_for_is_there() -> None:
    """`POST /api/queue/{room}/join` and the like, written with a name or with what a name stands for."""
    wrong = []
    for paper in OURS:
        text = (DOCS / paper).read_text()
        for method, path in re.findall(r"`(GET|POST|PATCH) ((?:/api|/wait)[^`? ]*)", text):
            scope = {"type": "http", "method": method, "path": path.replace("{", "").replace("}", "")}
            routes = [each for each in (*api_routes, *page_routes) if isinstance(each, Route)]
            if not any(each.matches(scope)[0] is Match.FULL for each in routes):
                wrong.append(f"{paper}: {method} {path}")
    assert wrong == []


def test_what_each_proxy_answers_while_we_are_away_is_what_was_tried() -> None:
    rows = {row[0].split()[0]: row for row in _rows("away.md")}
    assert [rows[name][2] for name in ("nginx", "Caddy")] == ["500", "502"]  # as test_proxies.py sees
    assert "503 where no keys" in rows["the"][2]  # as tests/connect/test_gate.py sees
    can_open = {"nginx": "nginx", "Caddy": "caddy", "Envoy": "envoy", "HAProxy": "haproxy", "Traefik": "traefik"}
    kinds = {kind.name: kind for kind in KINDS}
    for name, kind in can_open.items():
        assert rows[name][3].startswith("come in") == kinds[kind].can_open, name


def _rows(paper: str) -> list[list[str]]:
    lines = [line for line in (DOCS / paper).read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@in_one_loop
async def test_an_app_waits_comes_in_and_its_visit_is_ended(system: System) -> None:
    made = await make_site(system)
    line = f"/api/queue/{made.room_id}"
    async with system.web.client(headers={"x-requested-with": "tiketi"}) as app:
        joined = (await app.post(f"{line}/join")).json()
        told = {"x-queue-ticket": joined["ticket"]}
        for _ in range(500):
            position = (await app.get(f"{line}/position", headers=told)).json()
            if position["state"] == "admitted":
                break
        claimed = (await app.post(f"{line}/claim", headers=told)).json()
        shown = {"x-admission-pass": claimed["pass"], "sec-fetch-mode": "cors"}
        let = await check(system, made.room_id, "/api/cart", shown)
        assert let.status_code == 200
        number = let.headers["x-tiketi-number"]
        end = f"/api/origins/{made.origin_id}/visits/{made.room_id}.1.{number}/end"
        ended = await app.post(end, headers={"authorization": f"Bearer {made.api_key}"})
        assert ended.status_code == 200, ended.text
    await system.state["rooms"].reload(made.room_id)
    again = await check(system, made.room_id, "/api/cart", shown)
    assert (again.status_code, again.json()["code"]) == (401, "pass_revoked")
    assert again.headers["x-tiketi-redirect"]
