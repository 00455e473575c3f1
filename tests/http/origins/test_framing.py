"""A waiting page may be in a frame of pages that its site names, and of nobody else's; no other page of ours may."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import HOST, SECRETIVE, WAITING, Site, asked, let_in, make_site, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
AROUND = f"https://{HOST}"
FRAMED = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site", "accept": "text/html", "accept-language": "en"}
KEPT = "; SameSite=None; Partitioned; Secure"


async def framed_site(system: System, *ancestors: str) -> Site:
    """With a room in which somebody is already, so that others wait."""
    site = await make_site(system, **WAITING)
    wanted = {"frameAncestors": [*ancestors]}
    answer = await asked(system, "PUT", f"/origins/{site.origin_id}", wanted)
    assert answer.status_code == 200, answer.text
    await let_in(system, site.room_id)
    return site


def coming(site: Site) -> str:
    return f"/wait/{site.room_id}?t={quote(f'{AROUND}/sale', safe='')}"


def policy_of(page: httpx2.Response) -> str:
    return page.headers["content-security-policy"].rpartition("; ")[2]


async def test_a_frame_that_the_site_names_shows_the_page_and_takes_a_place(system: System) -> None:
    site = await framed_site(system, "https://other.example:8443", f"{AROUND}:443")
    given = await asked(system, "GET", f"/origins/{site.origin_id}")
    assert given.json()["origin"]["frameAncestors"] == ["https://other.example:8443", AROUND]
    # over plain HTTP a program keeps no Secure cookie: it is given back by hand
    async with system.web.client(headers=FRAMED | {"referer": f"{AROUND}/"}) as client:
        kept: dict[str, str] = {}
        answer = await _followed(client, coming(site), kept)
    assert answer.status_code == 200
    assert 'data-state="waiting"' in answer.text
    assert policy_of(answer) == f"frame-ancestors https://other.example:8443 {AROUND}"
    assert "x-frame-options" not in answer.headers
    assert kept["tiketi_framed"] == "1"
    assert await system.last_number(site.room_id) == 2


async def _followed(client: httpx2.AsyncClient, path: str, kept: dict[str, str]) -> httpx2.Response:
    """As a browser follows in a frame; every cookie that it is given must be one that a frame keeps."""
    for _ in range(5):
        pairs = "; ".join(f"{name}={value}" for name, value in kept.items())
        answer = await client.get(path, headers={"cookie": pairs} if pairs else {})
        for line in answer.headers.get_list("set-cookie"):
            assert line.endswith(KEPT), line
            name, _, value = line.partition(";")[0].partition("=")
            kept[name] = value
        if answer.status_code not in (302, 303):
            return answer
        path = answer.headers["location"]
    raise AssertionError("no page was shown")


@pytest.mark.parametrize(
    "headers",
    [
        {"referer": "https://evil.example/"},
        {"referer": f"{AROUND}.evil.example/"},
        {"referer": "http://["},
        {},
    ],
)
async def test_a_frame_of_anybody_else_takes_no_place(system: System, headers: dict[str, str]) -> None:
    site = await framed_site(system, AROUND)
    async with visitor(system, cookies=system.browser(), headers=FRAMED | headers) as ann:
        page = await ann.go(coming(site))
    assert 'data-state="none"' in page.text
    assert policy_of(page) == f"frame-ancestors {AROUND}", "and no browser shows it there"
    assert await system.last_number(site.room_id) == 1


async def test_the_frame_goes_on_with_the_place_that_it_has(system: System) -> None:
    site = await framed_site(system, AROUND)
    async with visitor(system, cookies=system.browser(), headers=FRAMED | {"sec-fetch-site": "same-origin"}) as ann:
        assert 'data-state="waiting"' in (await ann.go(coming(site))).text


async def test_without_a_name_nobody_frames_anything(system: System) -> None:
    site = await framed_site(system)
    async with visitor(system, cookies=system.browser(), headers=FRAMED | {"referer": f"{AROUND}/"}) as ann:
        for path in (f"/wait/{site.room_id}", f"/wait/{site.room_id}/nothing", "/", "/login"):
            page = await ann.go(path)
            assert policy_of(page) == "frame-ancestors 'none'", path
            assert page.headers["x-frame-options"] == "DENY", path
    assert await system.last_number(site.room_id) == 1


async def test_of_a_site_with_frames_no_page_but_its_own_may_be_in_one(system: System) -> None:
    site = await framed_site(system, AROUND)
    async with visitor(system, cookies=system.browser(), headers={"accept": "text/html"}) as ann:
        missing = await ann.client.get(f"/wait/{site.room_id}/nothing")
        assert policy_of(missing) == f"frame-ancestors {AROUND}", "what went wrong is read in the frame as well"
        for path in ("/", "/login", "/events/event-0"):
            assert policy_of(await ann.client.get(path)) == "frame-ancestors 'none'", path


async def test_a_frame_in_which_no_cookie_is_kept_leads_out_of_it(system: System) -> None:
    site = await framed_site(system, AROUND)
    async with system.web.client(headers=FRAMED | {"referer": f"{AROUND}/"}) as client:
        first = await client.get(coming(site))
        client.cookies.clear()
        page = await client.get(first.headers["location"])
    assert page.status_code == 403
    assert f'href="{coming(site)}" target="_top">Wait in a window of its own</a>' in page.text
    assert await system.last_number(site.room_id) == 1


async def test_a_page_in_a_window_of_its_own_has_ordinary_cookies(system: System) -> None:
    site = await framed_site(system, AROUND)
    async with system.web.client(headers={"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}) as client:
        given = (await client.get(coming(site))).headers.get_list("set-cookie")
    assert given
    assert [line for line in given if "SameSite=Lax" not in line or "Partitioned" in line] == []


async def test_what_a_framed_page_joins_by_is_kept_there_as_well(system: System) -> None:
    site = await framed_site(system, AROUND)
    async with system.web.client(cookies={"tiketi_framed": "1"}, headers={"connection": "keep-alive"}) as client:
        for _ in range(2):  # the first way there is, and the plain one on a connection that is open
            given = (await client.post(f"/api/queue/{site.room_id}/join")).headers.get_list("set-cookie")
            assert given
            assert [line for line in given if not line.endswith(KEPT)] == []
            client.cookies.clear()
            client.cookies.set("tiketi_framed", "1")


@pytest.mark.parametrize(
    "ancestor",
    [
        "http://shop.example",
        "shop.example",
        "https://shop.example/",
        "https://*.shop.example",
        "*",
        "https://a b",
        "'self'",
    ],
)
async def test_nobody_is_named_but_a_site_by_https(system: System, ancestor: str) -> None:
    site = await make_site(system)
    answer = await asked(system, "PUT", f"/origins/{site.origin_id}", {"frameAncestors": [ancestor]})
    assert_problem(answer, 422, "payload_invalid")
