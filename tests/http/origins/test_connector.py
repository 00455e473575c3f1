"""Visitors whom a connector sends come in, wait, and go back with its token; with nothing else, and nowhere else."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from app.origins.connector.tokens import TOKEN_LIFE_S, QueueToken, digest_of, read, signed
from tests.http.buyer import assert_problem
from tests.http.origins.site import HOST, TARGET, WAITING, Site, Visitor, asked, make_site, visitor
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WANTED = f"https://{HOST}/sale?size=M#top"


async def make_shop(system: System, **room: Any) -> Site:
    """A site whose connector knows it as `acme…`."""
    site = await make_site(system, **room)
    answer = await asked(system, "PUT", f"/origins/{site.origin_id}", {"customerId": customer(site)})
    assert answer.status_code == 200, answer.text
    return site


def customer(site: Site) -> str:
    return site.origin_id.replace("-", "")


def coming(site: Site, target: str = WANTED, **changed: str) -> str:
    said = {"c": customer(site), "e": site.room_id, "ver": "v3-1", "cver": "1", "man": "Sale", "cid": "en-US", "l": "x"}
    said |= {"t": target, **changed}
    return "/?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items())


def refusing(site: Site, error: str, token: str, **more: str) -> str:
    return coming(site, queueittoken=token, **more).replace("/?", f"/error/{error}/?")


def token_in(location: str) -> str:
    (token,) = parse_qs(urlsplit(location).query)["queueittoken"]
    return token


async def sent(ann: Visitor, path: str) -> str:
    """Where the visitor is sent who comes by this path as often as it takes until their turn."""

    async def is_sent() -> str | None:
        location = (await ann.go(path)).headers.get("location", "/")
        return None if location.startswith("/") else str(location)

    return await wait_until(is_sent, description="the visitor is sent on")


async def test_a_visitor_goes_back_with_a_token_that_the_connector_takes(system: System) -> None:
    site = await make_shop(system, passSeconds=600)
    async with visitor(system) as ann:
        location = await sent(ann, coming(site, f"https://{HOST}/sale?queueittoken=old&size=M#top"))
    text = token_in(location)
    assert location == f"https://{HOST}/sale?size=M&queueittoken={text}#top"
    token = read(text, [site.secret])
    assert token is not None
    assert (token.room, token.valid_minutes) == (site.room_id, 10)
    assert 0 <= token.ends_s - datetime.now(UTC).timestamp() <= TOKEN_LIFE_S
    assert system.state["origins"].queue_ids.read(site.room_id, token.queue_id) == (1, 1)


async def test_the_place_is_held_until_the_last_cookie_that_the_token_can_make_has_ended(system: System) -> None:
    site = await make_shop(system, passSeconds=10)
    async with visitor(system) as ann:
        token = read(token_in(await sent(ann, coming(site))), [site.secret])
        assert token is not None
        ends = (await ann.client.post(f"/api/queue/{site.room_id}/claim")).json()["expiresAt"]
    assert token.valid_minutes == 1
    assert token.ends_s + 60 * token.valid_minutes <= datetime.fromisoformat(ends).timestamp()


async def test_a_token_says_whether_its_visitor_waited(system: System) -> None:
    site = await make_shop(system, maxActive=2)
    async with visitor(system) as first, visitor(system) as ann, visitor(system) as bob:
        await sent(first, coming(site))  # so that the room is known to let people in
        straight = read(token_in(await sent(ann, coming(site))), [site.secret])
        assert 'data-state="waiting"' in (await bob.go(coming(site))).text
        await asked(system, "PUT", f"/rooms/{site.room_id}", {"maxActive": 9})
        waited = read(token_in(await sent(bob, coming(site))), [site.secret])
    assert straight is not None
    assert waited is not None
    assert (straight.redirect_type, waited.redirect_type) == ("safetynet", "queue")


async def test_a_token_names_the_address_of_its_visitor_where_the_origin_wants_it(system: System) -> None:
    site = await make_shop(system)
    assert (await asked(system, "GET", f"/origins/{site.origin_id}")).json()["origin"]["bindTokens"] is False
    async with visitor(system) as ann:
        assert "~hip_" not in await sent(ann, coming(site))
    assert (await asked(system, "PUT", f"/origins/{site.origin_id}", {"bindTokens": True})).status_code == 200
    async with visitor(system) as bob:
        assert f"~hip_{digest_of('127.0.0.1', site.secret)}~h_" in await sent(bob, coming(site))


async def test_who_waits_is_asked_in_the_language_of_the_shop_and_then_goes_on(system: System) -> None:
    site = await make_shop(system, **WAITING)
    async with visitor(system) as first, visitor(system) as ann:
        await sent(first, coming(site))
        page = await ann.go(coming(site))
        assert 'data-state="waiting"' in page.text
        assert '<html lang="en">' in page.text
        assert page.request.url.path == f"/wait/{site.room_id}"
        await first.client.get(f"/cancel/{customer(site)}/{site.room_id}", headers={"referer": f"https://{HOST}/"})
        await asked(system, "PUT", f"/rooms/{site.room_id}", {"ratePerSecond": 1000, "burst": 1000})
        assert "queueittoken=" in await sent(ann, f"/wait/{site.room_id}?t={quote(WANTED)}&by=connector")


async def test_who_comes_back_without_a_connector_gets_a_pass_again(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        assert "queueittoken=" in await sent(ann, coming(site))
        assert "tiketi_pass=" in await sent(ann, f"/wait/{site.room_id}?t={quote(WANTED)}")
        assert "queueittoken=" in await sent(ann, coming(site))


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        f"https://{HOST}@evil.example/",
        "javascript:alert(1)",
        f"https://{HOST}\r\nSet-Cookie: a=b",
        f"https://{HOST}/" + "a" * 10_000,
        "",
    ],
)
async def test_anything_but_an_address_of_the_site_is_its_own_target(system: System, target: str) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        assert (await sent(ann, coming(site, target))).startswith(f"{TARGET}?queueittoken=")
    async with visitor(system, headers={"accept": "text/html"}) as bob:
        if len(target) > 100:
            assert (
                len((await bob.client.get(coming(site, f"https://{HOST}/?" + "&" * 1_900))).headers["location"]) < 1_000
            )
        left = await bob.client.get(f"/cancel/{customer(site)}/{site.room_id}", params={"r": target})
        assert (left.status_code, left.headers["location"]) == (302, TARGET)


@pytest.mark.parametrize("changed", [{"c": "nobody"}, {"e": "nowhere"}, {"e": "UPPER"}])
async def test_an_unknown_customer_or_room_is_said_and_takes_nobody(system: System, changed: dict[str, str]) -> None:
    site = await make_shop(system)
    async with visitor(system, headers={"accept": "text/html", "accept-language": "en"}) as ann:
        answer = await ann.go(coming(site, **changed))
    assert answer.status_code == 404
    assert "The shop that sent you here" in answer.text


async def test_a_customer_has_no_room_of_another(system: System) -> None:
    one, other = await make_shop(system), await make_shop(system)
    async with visitor(system, headers={"accept": "text/html"}) as ann:
        assert (await ann.go(coming(one, e=other.room_id))).status_code == 404


async def test_without_customer_and_room_the_address_is_the_shop_s_own_page(system: System) -> None:
    async with system.web.client() as client:
        for path in ("/", "/?c=acme", "/?e=sale"):
            assert (await client.get(path)).status_code == 200


async def test_a_refused_token_of_a_live_visit_is_replaced_thrice_and_then_a_page_says_so(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        token = token_in(await sent(ann, coming(site)))
        for _ in range(3):
            again = await ann.client.get(refusing(site, "hash", token))
            assert again.status_code == 302
            token = token_in(again.headers["location"])
            assert read(token, [site.secret]) is not None
        told = await ann.client.get(refusing(site, "hash", token))
    assert (told.status_code, told.headers["retry-after"]) == (503, "60")
    assert "A shop" in told.text
    meters = system.state["meters"].connectors
    assert meters[site.origin_id, "secret_differs"] == 4


async def test_who_has_no_live_visit_goes_to_the_line(system: System) -> None:
    site = await make_shop(system, **WAITING)
    async with visitor(system) as ann, visitor(system) as bob:
        token = token_in(await sent(ann, coming(site)))
        page = await bob.go(refusing(site, "timestamp", token))
    assert 'data-state="waiting"' in page.text


@pytest.mark.parametrize(
    ("error", "ours", "ahead_s", "why"),
    [
        ("hash", True, 0, "secret_differs"),
        ("hash", False, 0, "not_ours"),
        ("timestamp", True, 500, "clock_differs"),
        ("timestamp", True, 5, "late"),
        ("timestamp", False, 500, "not_ours"),
        ("eventid", True, 0, "room_differs"),
        ("ip", False, 0, "address_differs"),
        ("qidlimit", False, 0, "used_up"),
        ("connector/sessionstate", False, 0, "cookie_refused"),
    ],
)
async def test_why_a_connector_refused_is_counted_as_far_as_it_can_be_true(
    system: System, error: str, ours: bool, ahead_s: int, why: str
) -> None:
    site = await make_shop(system)
    now_s = int(datetime.now(UTC).timestamp())
    token = QueueToken(room=site.room_id, queue_id="x", ends_s=now_s + 100, valid_minutes=1)
    text = signed(token, site.secret if ours else "another")
    async with visitor(system) as ann:
        await ann.client.get(refusing(site, error, text, ts=str(now_s + ahead_s)))
    counted = {key[1]: n for key, n in system.state["meters"].connectors.items() if key[0] == site.origin_id}
    assert counted == {why: 1}


async def test_an_error_that_no_connector_says_is_not_found(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        assert (await ann.client.get(refusing(site, "other", ""))).status_code == 404


async def test_a_visit_whose_last_minute_has_begun_waits_anew(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        token = token_in(await sent(ann, coming(site)))
        with monkeypatch.context() as later:
            later.setattr(system.state["clock"], "seconds", lambda: time.time() + 600)
            again = await ann.client.get(refusing(site, "timestamp", token))
        assert again.headers["location"].startswith(f"/wait/{site.room_id}?t=")
        renewed = read(token_in(await sent(ann, again.headers["location"])), [site.secret])
    assert renewed is not None
    assert system.state["origins"].queue_ids.read(site.room_id, renewed.queue_id) == (1, 2), "another place"


async def is_ended(system: System, site: Site, number: int = 1) -> bool:
    await system.state["rooms"].reload(site.room_id)
    return number in system.state["rooms"].views[site.room_id].ended


async def test_a_visit_is_ended_by_its_id_once_or_again(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann, visitor(system) as shop:
        token = read(token_in(await sent(ann, coming(site))), [site.secret])
        assert token is not None
        path = f"/cancel/{customer(site)}/{site.room_id}/{token.queue_id}"
        wrong = system.state["origins"].queue_ids.of("another", 1, 1)
        for other in ("944c1f44-60dd-4e37-aabc-f3e4bb1c8895", wrong, "x" * 5_000):
            assert (await shop.client.get(f"/cancel/{customer(site)}/{site.room_id}/{other}")).status_code == 302
        assert not await is_ended(system, site)
        for _ in range(2):
            left = await shop.client.get(f"{path}?r={quote(WANTED)}&c=x")
            assert (left.status_code, left.headers["location"]) == (302, WANTED)
        assert await is_ended(system, site)


async def test_visits_in_several_rooms_are_ended_together_and_none_of_another_customer(system: System) -> None:
    site, other = await make_shop(system), await make_shop(system)
    async with visitor(system) as ann, visitor(system) as bob:
        mine = read(token_in(await sent(ann, coming(site))), [site.secret])
        theirs = read(token_in(await sent(bob, coming(other))), [other.secret])
        assert mine is not None
        assert theirs is not None
        named = f"nowhere_{other.room_id}~{theirs.queue_id}_{site.room_id}~{mine.queue_id}_~_"
        left = await ann.client.get(f"/cancel/multiple/{customer(site)}?wrl={named}&r={quote(WANTED)}")
    assert (left.status_code, left.headers["location"]) == (302, WANTED)
    assert await is_ended(system, site)
    assert not await is_ended(system, other)


@pytest.mark.parametrize("sent_by", ["", "https://evil.example/", f"https://{HOST}.evil.example/"])
async def test_no_other_page_ends_the_visit_of_whom_it_leads_here(system: System, sent_by: str) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        await sent(ann, coming(site))
        path = f"/cancel/{customer(site)}/{site.room_id}"
        await ann.client.get(path, headers={"referer": sent_by} if sent_by else {})
        assert not await is_ended(system, site)
        await ann.client.get(path, headers={"referer": f"https://{HOST}/thanks"})
        assert await is_ended(system, site)


async def test_the_configuration_is_for_who_has_the_key_and_grows_with_every_change(system: System) -> None:
    site, other = await make_shop(system), await make_shop(system)
    path = f"/status/integrationconfig/secure/{customer(site)}"
    async with system.web.client() as client:
        for wrong in (b"", other.api_key.encode(), "é".encode(), b"x" * 5_000):
            assert_problem(await client.get(path, headers={b"api-key": wrong}), 401, "api_key_wrong")
        assert_problem(await client.get(path), 401, "api_key_wrong")
        assert_problem(await client.get(f"{path}x", headers={"api-key": site.api_key}), 404, "customer_unknown")
        shown = (await client.get(path, headers={"api-key": site.api_key})).json()
        rules = [{"action": "pass", "path": "=/healthz"}]
        await asked(system, "PUT", f"/rooms/{site.room_id}", {"rules": rules})
        ruled = (await client.get(path, headers={"api-key": site.api_key})).json()
        await asked(system, "DELETE", f"/rooms/{site.room_id}")
        empty = (await client.get(path, headers={"api-key": site.api_key})).json()
    assert shown["CustomerId"] == customer(site)
    assert shown["Integrations"][-1]["EventId"] == site.room_id
    assert shown["Integrations"][-1]["QueueDomain"] == f"127.0.0.1:{system.web.port}"
    assert "Ignore" in [each["ActionType"] for each in ruled["Integrations"]]
    assert empty["Integrations"] == []
    assert 0 < shown["Version"] < ruled["Version"] < empty["Version"]


@pytest.mark.parametrize("name", ["requests.js", "thanks.js"])
async def test_the_scripts_for_pages_have_addresses_that_stay(system: System, name: str) -> None:
    async with system.web.client() as client:
        answer = await client.get(f"/connect/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert "currentScript" in answer.text or "Tiketi-Visit" in answer.text


async def test_below_a_path_every_address_is_the_same(system: System) -> None:
    site = await make_shop(system)
    async with visitor(system) as ann:
        token = read(token_in(await sent(ann, f"/acme{coming(site)}")), [site.secret])
        assert token is not None
        left = await ann.client.get(f"/acme/cancel/{customer(site)}/{site.room_id}/{token.queue_id}")
        assert (left.status_code, left.headers["location"]) == (302, TARGET)
        assert await is_ended(system, site)
        for path, status in (("/login/", 307), ("/nowhere/", 404), ("/nowhere", 404), ("/nowhere/?c=x", 404)):
            assert (await ann.client.get(path)).status_code == status
