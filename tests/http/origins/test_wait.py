"""A visitor is sent to wait, waits, and at the turn goes to where they wanted to go, with a pass."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import HOST, SECRETIVE, TARGET, WAITING, check, let_in, make_site, pass_in, visitor
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = SECRETIVE
WANTED = f"https://{HOST}/sale?size=M#top"


def coming(room_id: str, target: str = WANTED) -> str:
    return f"/wait/{room_id}?t={quote(target, safe='')}"


async def test_a_visitor_comes_waits_and_goes_back_with_a_pass_that_opens_the_site(system: System) -> None:
    site = await make_site(system)
    async with visitor(system) as ann:
        await ann.go(coming(site.room_id))

        async def is_sent() -> str:
            answer = await ann.go(coming(site.room_id))
            return answer.headers.get("location", "")

        location = await wait_until(is_sent, description="the visitor is sent on")
    token = pass_in(location)
    assert location == f"https://{HOST}/sale?size=M&tiketi_pass={token}#top"
    assert (await check(system, site.room_id, headers={"x-admission-pass": token})).status_code == 200


async def test_who_finds_nobody_before_them_is_let_in_at_once_without_a_page(system: System) -> None:
    """Joined, admitted and claimed in one step."""
    site = await make_site(system)
    await let_in(system, site.room_id)
    before = dict(system.state["joiner"].answers)
    async with visitor(system) as ann:
        first = await ann.client.get(coming(site.room_id))
        second = await ann.client.get(first.headers["location"])
    assert second.headers["location"].startswith(f"https://{HOST}/sale?size=M&tiketi_pass=")
    answers, key = system.state["joiner"].answers, (site.room_id, "straight_in")
    assert answers.get(key, 0) == before.get(key, 0) + 1


async def test_who_must_wait_sees_their_place_and_the_way_on_without_a_script(system: System) -> None:
    site = await make_site(system, **WAITING)
    await let_in(system, site.room_id)
    async with visitor(system) as ann:
        page = await ann.go(coming(site.room_id))
        assert page.status_code == 200
        assert 'data-state="waiting"' in page.text
        assert '<meta http-equiv="refresh" content="10">' in page.text
        assert f'action="/wait/{site.room_id}/leave"' in page.text
        assert "A shop" in page.text
        assert "/reservations" not in page.text, "this is another site's page"
        assert f"form-action 'self' https://{HOST};" in page.headers["content-security-policy"]
        assert page.request.url.path == f"/wait/{site.room_id}"
        assert "t" not in page.request.url.params, "a reload after leaving must not join again"
        left = await ann.submit(f"/wait/{site.room_id}/leave")
        assert left.headers["location"] == f"/wait/{site.room_id}"
        assert 'data-state="left"' in (await ann.go(f"/wait/{site.room_id}")).text
        assert 'data-state="waiting"' in (await ann.go(coming(site.room_id))).text, "the site sent them again"


async def test_at_the_turn_the_button_leads_to_the_site(system: System) -> None:
    site = await make_site(system)
    async with visitor(system) as ann:
        await ann.go(coming(site.room_id))

        async def is_sent() -> str | None:
            where = (await ann.submit(f"/wait/{site.room_id}/claim")).headers["location"]
            return None if where.startswith("/") else where

        location = await wait_until(is_sent, description="the turn has come")
        assert location.startswith(f"https://{HOST}/sale?size=M&tiketi_pass=")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "\\\\evil.example",
        f"https://{HOST}@evil.example/",
        f"https://{HOST}.evil.example/",
        "javascript:alert(1)",
        f"http://{HOST}/",
        f"https://{HOST}\r\nSet-Cookie: a=b",
        f"https://{HOST}/" + "a" * 10_000,
        "https://shöp.example/",
        "",
    ],
)
async def test_anything_but_an_address_of_the_site_is_its_own_target(system: System, target: str) -> None:
    site = await make_site(system)
    async with visitor(system) as ann:
        await ann.go(coming(site.room_id, target))

        async def is_sent() -> str:
            return (await ann.go(coming(site.room_id, target))).headers.get("location", "")

        location = await wait_until(is_sent, description="the visitor is sent on")
        assert location.startswith(f"{TARGET}?tiketi_pass=")


async def test_a_cookie_that_says_where_to_go_is_believed_no_more_than_an_address(system: System) -> None:
    site = await make_site(system)
    evil = "aHR0cHM6Ly9ldmlsLmV4YW1wbGUv"  # https://evil.example/
    async with visitor(system, cookies={f"tiketi_to_{site.room_id}": evil}) as ann:
        await ann.go(f"/wait/{site.room_id}")

        async def is_sent() -> str | None:
            where = (await ann.submit(f"/wait/{site.room_id}/claim")).headers["location"]
            return None if where.startswith("/") else where

        location = await wait_until(is_sent, description="the visitor is sent on")
        assert location.startswith(f"{TARGET}?tiketi_pass=")


async def test_who_keeps_no_cookies_takes_no_place(system: System) -> None:
    site = await make_site(system)
    async with system.web.client() as client:
        first = await client.get(coming(site.room_id))
        client.cookies.clear()
        second = await client.get(first.headers["location"], headers={"accept": "text/html"})
    assert second.status_code == 403
    assert "쿠키" in second.text
    assert await system.last_number(site.room_id) == 0


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-dest": "image"}, {"sec-fetch-dest": "iframe"}, {"sec-purpose": "prefetch"}]
)
async def test_nothing_but_a_person_s_visit_takes_a_place(system: System, headers: dict[str, str]) -> None:
    site = await make_site(system)
    async with visitor(system, cookies=system.browser(), headers=headers) as ann:
        page = await ann.go(coming(site.room_id))
        assert 'data-state="none"' in page.text
    async with system.web.client(cookies=system.browser()) as client:
        await client.head(coming(site.room_id))
    assert await system.last_number(site.room_id) == 0


async def test_who_is_sent_back_again_and_again_is_asked_instead(system: System) -> None:
    """A site that loses the pass would send them round in circles."""
    site = await make_site(system)
    async with visitor(system) as ann:
        await ann.go(coming(site.room_id))

        async def is_shown() -> bool:
            return 'data-state="claimed"' in (await ann.go(coming(site.room_id))).text

        await wait_until(is_shown, description="the page asks")
        on = await ann.submit(f"/wait/{site.room_id}/claim")
        assert on.headers["location"].startswith(f"https://{HOST}/sale?size=M&tiketi_pass=")


async def test_a_room_that_opens_later_says_when(system: System) -> None:
    site = await make_site(system, opensAt="2099-01-01T00:00:00Z")
    async with visitor(system) as ann:
        page = await ann.go(coming(site.room_id))
    assert page.status_code == 200
    assert 'data-state="none"' in page.text
    assert "2099" in page.text


async def test_there_is_no_waiting_page_of_an_event_or_of_nothing(system: System) -> None:
    async with system.web.client() as client:
        for room_id in ("event-0", "nowhere"):
            assert (await client.get(f"/wait/{room_id}")).status_code == 404


async def test_the_api_of_a_place_in_line_is_the_same(system: System) -> None:
    site = await make_site(system)
    async with system.web.client() as client:
        assert (await client.post(f"/api/queue/{site.room_id}/join")).status_code == 201
        assert_problem(await client.post("/api/queue/nowhere/join"), 404, "event_unknown")
