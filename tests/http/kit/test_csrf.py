"""Nothing is changed by a request that another site made a browser send; what a page of ours sends passes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from app.http.kit.csrf import Csrf
from tests.http.buyer import assert_problem
from tests.http.system import ADMIN, BUYER, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOREIGN = [
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {
        "origin": "https://elsewhere.example",
        "authorization": "Basic dXNlcjpwYXNzd29yZA==",
    },  # user:password@host
]


@pytest_asyncio.fixture(loop_scope="module")
async def client(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with system.web.client() as client:
        yield client


async def token_of(client: httpx2.AsyncClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/login")).text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_the_api_refuses_what_another_site_sent(
    system: System, client: httpx2.AsyncClient, event_id: str, headers: dict[str, str]
) -> None:
    """A form of another site can send this without any cookie, and its answer would replace the victim's ticket."""
    join = f"/api/queue/{event_id}/join"
    for post in (join, "/api/auth/login", "/api/auth/logout", "/api/seats/reserve", "/api/reservations/r_1/cancel"):
        assert_problem(await client.post(post, headers=headers), 403, "cross_site")
        assert_problem(await client.post(post, content=b"{}", headers=headers), 403, "cross_site")
    assert not client.cookies
    assert await system.last_number(event_id) == 0


async def test_the_api_takes_what_our_own_pages_and_programs_send(
    system: System, client: httpx2.AsyncClient, event_id: str
) -> None:
    own = {"origin": system.web.url, "sec-fetch-site": "same-origin"}
    assert (await client.post(f"/api/queue/{event_id}/join", headers=own)).status_code == 201
    assert (await client.post(f"/api/queue/{event_id}/join")).status_code == 200
    ticket = {"x-queue-ticket": client.cookies[f"tiketi_ticket_{event_id}"], "origin": "https://elsewhere.example"}
    client.cookies.delete(f"tiketi_ticket_{event_id}")
    assert (await client.post(f"/api/queue/{event_id}/leave", headers=ticket)).status_code == 200
    bearer = {**await system.bearer(), "origin": "https://elsewhere.example"}
    changed = await client.patch(f"/api/admin/events/{event_id}/admission", json={"burst": 7}, headers=bearer)
    assert changed.status_code == 200


async def test_a_page_behind_a_proxy_that_renames_the_host_is_still_ours(system: System, event_id: str) -> None:
    web = await system.another_web(public_url="https://tickets.example", fast_path=False)
    async with web.client(headers={"origin": "https://tickets.example"}) as client:
        assert (await client.post(f"/api/queue/{event_id}/join")).status_code == 201
    async with web.client(headers={"origin": "https://tickets.example.evil.example"}) as client:
        assert_problem(await client.post(f"/api/queue/{event_id}/join"), 403, "cross_site")


async def test_a_form_without_its_token_changes_nothing(
    client: httpx2.AsyncClient, system: System, event_id: str
) -> None:
    token = await token_of(client)
    cookie = client.cookies["tiketi_form"]
    for fields in ({}, {"csrf": ""}, {"csrf": "x" * 22}, {"csrf": token + "A"}, {"csrf": "é"}):
        assert (await client.post(f"/events/{event_id}/join", data=fields)).status_code == 403
    client.cookies.clear()
    assert (await client.post(f"/events/{event_id}/join", data={"csrf": token})).status_code == 403, "no cookie"
    client.cookies.set("tiketi_form", "another-browser")
    assert (await client.post(f"/events/{event_id}/join", data={"csrf": token})).status_code == 403
    assert await system.last_number(event_id) == 0
    client.cookies.set("tiketi_form", cookie)
    assert (await client.post(f"/events/{event_id}/join", data={"csrf": token})).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "/events/later/join",
        "/events/later/claim",
        "/events/later/leave",
        "/events/later/reserve",
        "/reservations/r_1/pay",
        "/reservations/r_1/cancel",
        "/admin/login",
        "/login",
        "/register",
        "/logout",
    ],
)
async def test_every_form_of_ours_needs_its_token(client: httpx2.AsyncClient, path: str) -> None:
    refused = await client.post(path, data={"email": ADMIN[0], "password": ADMIN[1]})
    assert refused.status_code == 403
    assert "tiketi_session" not in refused.cookies
    assert refused.headers["content-type"].startswith("text/html")


async def test_every_form_on_a_page_carries_its_token(client: httpx2.AsyncClient, system: System) -> None:
    await client.post("/api/auth/login", json={"email": ADMIN[0], "password": ADMIN[1]})
    for path in ("/", "/login", "/register", "/events/direct", "/events/direct/seats", "/events/later", "/admin"):
        page = (await client.get(path)).text
        forms = re.findall(r'<form [^>]*method="post"[^>]*>(.{0,40})', page, re.S)
        assert forms, path
        assert all('<input type="hidden" name="csrf"' in form for form in forms), path


async def test_a_token_is_for_one_session(client: httpx2.AsyncClient, system: System, event_id: str) -> None:
    before = await token_of(client)
    await client.post("/api/auth/login", json={"email": BUYER[0], "password": BUYER[1]})
    assert (await client.post(f"/events/{event_id}/join", data={"csrf": before})).status_code == 403
    assert (await client.post(f"/events/{event_id}/join", data={"csrf": await token_of(client)})).status_code == 303


async def test_a_page_without_a_form_sets_no_cookie(client: httpx2.AsyncClient) -> None:
    assert "set-cookie" not in (await client.get("/")).headers


async def test_a_token_looks_different_on_every_page(client: httpx2.AsyncClient) -> None:
    """The length of a packed page tells, letter by letter, what is on it again and again."""
    assert len({await token_of(client) for _ in range(5)}) == 5


async def test_a_form_drawn_before_the_keys_were_rotated_is_still_good() -> None:
    old, new = Csrf({1: b"k" * 32}, 1), Csrf({1: b"k" * 32, 2: b"n" * 32}, 2)
    token = old.token(b"browser", b"")
    assert new.token(b"browser", b"") != token
    assert new.is_good(token, b"browser", b"")
    assert not new.is_good(token, b"browser", b"session")
    assert not new.is_good(token, b"browse", b"r")
