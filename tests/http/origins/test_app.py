"""An app gets a token, or a link by which its web view goes on with the place that the app was given."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from app.origins.connector.tokens import read
from tests.http.buyer import assert_problem
from tests.http.origins.site import TARGET, WAITING, Site, asked, visitor
from tests.http.origins.test_connector import coming, customer, make_shop, sent, token_in
from tests.http.origins.test_enqueue import enqueue_token
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = {"userId": "u-1", "userAgent": "an app", "sdkVersion": "Android-2", "layoutName": None, "language": "en-US"}


async def enqueue(system: System, site: Site, **changed: Any) -> httpx2.Response:
    path = f"/api/mobileapp/queue/{customer(site)}/{site.room_id}/enqueue?userId=u-1"
    async with system.web.client() as client:
        return await client.post(path, json={**SAID, **changed})


async def waiting(system: System, **room: Any) -> Site:
    """A shop whose room is full by its first visitor."""
    site = await make_shop(system, **{**WAITING, "ratePerSecond": 1000, "burst": 1000, **room})
    async with visitor(system) as first:
        await sent(first, coming(site))
    return site


async def test_who_is_let_in_at_once_gets_a_token(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as first:
        await sent(first, coming(site))
    told = (await enqueue(system, site)).json()
    token = read(told["QueueitToken"], [site.secret])
    assert token is not None
    assert token.queue_id == told["QueueId"]
    nothing = {"QueueUrl": None, "QueueUrlTTLInMinutes": 0, "EventTargetUrl": None}
    assert told == {"QueueId": told["QueueId"], "QueueitToken": told["QueueitToken"], **nothing}


async def test_who_must_wait_goes_on_in_the_web_view_with_the_same_place(system: System) -> None:
    site = await waiting(system)
    told = (await enqueue(system, site)).json()
    assert system.state["origins"].queue_ids.read(site.room_id, told["QueueId"]) == (1, 2)
    assert told["QueueUrl"].startswith(f"{system.web.url}/app/")
    assert (told["QueueUrlTTLInMinutes"], told["EventTargetUrl"], told["QueueitToken"]) == (20, TARGET, None)
    async with visitor(system) as view:
        page = await view.go(urlsplit(told["QueueUrl"]).path)
        assert 'data-state="waiting"' in page.text
        assert 'href="queueit://close"' in page.text
        assert await system.last_number(site.room_id) == 2, "it is the app's place"
        await asked(system, "PUT", f"/rooms/{site.room_id}", {"maxActive": 9})
        location = await sent(view, f"/wait/{site.room_id}?t=&by=connector")
    token = read(token_in(location), [site.secret])
    assert token is not None
    assert token.queue_id == told["QueueId"]


async def test_a_link_gives_its_place_once(system: System) -> None:
    site = await waiting(system)
    path = urlsplit((await enqueue(system, site)).json()["QueueUrl"]).path
    async with visitor(system) as view, visitor(system) as thief:
        await view.go(path)
        assert 'data-state="waiting"' in (await view.go(path)).text, "the app opened it again"
        assert await system.last_number(site.room_id) == 2
        await thief.go(path)
    assert await system.last_number(site.room_id) == 3, "a place of their own"


async def test_a_link_takes_nothing_from_a_browser_that_has_places(system: System) -> None:
    site = await waiting(system)
    path = urlsplit((await enqueue(system, site)).json()["QueueUrl"]).path
    async with visitor(system) as bob:
        await bob.go(coming(site))
        names = ("tiketi_holder", f"tiketi_ticket_{site.room_id}")
        before = [bob.client.cookies[name] for name in names]
        await bob.go(path)
        assert [bob.client.cookies[name] for name in names] == before
    assert await system.last_number(site.room_id) == 3


async def test_what_is_no_link_is_not_found(system: System) -> None:
    async with system.web.client() as client:
        for code in ("x", "x" * 5_000, "%C3%A9"):
            assert (await client.get(f"/app/{code}")).status_code == 404


async def test_a_room_that_asks_for_work_has_the_web_view_do_it(system: System) -> None:
    site = await make_shop(system, door="challenge")
    told = (await enqueue(system, site)).json()
    assert (told["QueueId"], told["QueueitToken"]) == (None, None)
    async with visitor(system) as view:
        page = await view.go(urlsplit(told["QueueUrl"]).path)
    assert page.request.url.path == f"/wait/{site.room_id}/check"


async def test_a_room_that_is_not_open_yet_says_so_in_the_web_view(system: System) -> None:
    site = await make_shop(system, opensAt="2099-01-01T00:00:00Z")
    told = (await enqueue(system, site)).json()
    async with visitor(system) as view:
        page = await view.go(urlsplit(told["QueueUrl"]).path)
    assert "2099" in page.text
    assert 'href="queueit://restartSession"' in page.text


async def test_a_room_for_who_is_invited_takes_whom_the_token_names(system: System) -> None:
    site = await make_shop(system, door="invited")
    assert_problem(await enqueue(system, site), 403, "invitation_required")
    told = (await enqueue(system, site, enqueueToken=enqueue_token(site, token_id="1"))).json()
    again = (await enqueue(system, site, enqueueToken=enqueue_token(site, token_id="2"))).json()
    assert told["QueueId"] == again["QueueId"]
    spent = await enqueue(system, site, enqueueToken=enqueue_token(site, token_id="2"))
    assert_problem(spent, 403, "enqueue_token_spent")
    if told["QueueUrl"] is not None:
        async with visitor(system) as view:
            location = await sent(view, urlsplit(told["QueueUrl"]).path)
        token = read(token_in(location), [site.secret])
        assert token is not None
        assert token.queue_id == told["QueueId"]
    assert await system.last_number(site.room_id) == 1


async def test_a_user_id_that_an_app_says_is_nobody(system: System) -> None:
    site = await waiting(system)
    one, other = (await enqueue(system, site)).json(), (await enqueue(system, site)).json()
    assert one["QueueId"] != other["QueueId"]


async def test_bad_input_is_final(system: System) -> None:
    site = await make_shop(system)
    path = f"/api/mobileapp/queue/{customer(site)}/{site.room_id}/enqueue"
    async with system.web.client() as client:
        assert_problem(await client.post(path, content=b"{"), 400, "payload_malformed")
        assert_problem(await client.post(path, json={"userId": 1}), 422, "payload_invalid")
        assert_problem(await client.post(path, json={"userId": "u" * 10_000}), 422, "payload_invalid")
        assert_problem(await client.post(path.replace(site.room_id, "nowhere"), json={}), 404, "customer_room_unknown")
        assert_problem(await client.post(path.replace(customer(site), "nobody"), json={}), 404, "customer_unknown")
