"""A shop that runs the published connector, unchanged, before a running system: in, back from errors, and away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx2
import pytest

from tests.connector_shop import shop, why_no_shop
from tests.http.origins.site import HOST, WAITING, Site, asked, make_site
from tests.http.origins.test_connector import customer, is_ended
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(why_no_shop()), reason=why_no_shop() or "-"),
]


class Browser:
    """Follows every redirect, of the shop and of the waiting room, until a page; keeps all cookies."""

    def __init__(self, system: System, client: httpx2.AsyncClient) -> None:
        self.client = client
        self._queue = f"https://127.0.0.1:{system.web.port}"
        self._web = system.web.url
        self.ways: list[str] = []

    def _reached(self, url: str) -> str:
        """Connectors only know https; here it is plain."""
        return url.replace(self._queue, self._web, 1)

    async def go(self, url: str) -> httpx2.Response:
        self.ways = []
        answer = await self.client.get(self._reached(url), headers={"accept": "text/html"})
        for _ in range(20):
            if answer.status_code not in (302, 303):
                return answer
            location = str(answer.url.join(answer.headers["location"]))
            self.ways.append(urlsplit(location).path)
            answer = await self.client.get(self._reached(location), headers={"accept": "text/html"})
        raise AssertionError(f"round and round: {self.ways}")

    async def inside(self, url: str) -> dict[str, Any]:
        """What the shop answers who was let in, which may take until the turn."""

        async def is_in() -> dict[str, Any] | None:
            answer = await self.go(url)
            return answer.json() if answer.headers["content-type"].startswith("application/json") else None

        return await wait_until(is_in, description="the shop lets the visitor in")


@asynccontextmanager
async def browser(system: System) -> AsyncIterator[Browser]:
    async with httpx2.AsyncClient(verify=False) as client:
        yield Browser(system, client)


async def make_shop(system: System, **room: Any) -> Site:
    site = await make_site(system, **room)
    await asked(system, "PUT", f"/origins/{site.origin_id}", {"customerId": customer(site)})
    return site


async def config_of(system: System, site: Site) -> dict[str, Any]:
    """As the connector loads it; for a shop at an address of http that the origin is told of later."""
    async with system.web.client(headers={"api-key": site.api_key}) as client:
        answer = await client.get(f"/status/integrationconfig/secure/{customer(site)}")
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    for each in content["Integrations"]:
        each["IsCookieSecure"] = False
    return content


@asynccontextmanager
async def running(system: System, site: Site, **settings: Any) -> AsyncIterator[str]:
    """The shop at work, to which the origin lets visitors be sent."""
    loads = {"configUrl": f"{system.web.url}/status/integrationconfig/secure/{customer(site)}", "apiKey": site.api_key}
    async with shop(customerId=customer(site), **{"secret": site.secret, **loads, **settings}) as url:
        hosts = [*(await asked(system, "GET", f"/origins/{site.origin_id}")).json()["origin"]["hosts"], url]
        answer = await asked(system, "PUT", f"/origins/{site.origin_id}", {"hosts": hosts})
        assert answer.status_code == 200, answer.text
        yield url


async def test_a_visitor_waits_comes_in_by_a_token_and_stays_in_by_the_connector_s_cookie(system: System) -> None:
    site = await make_shop(system)
    async with running(system, site) as url, browser(system) as ann:
        told = await ann.inside(f"{url}/buy?size=M")
        assert told["shop"] == "/buy"
        assert system.state["origins"].queue_ids.read(site.room_id, told["queueId"]) == (1, 1)
        assert await ann.inside(f"{url}/more") == {**told, "shop": "/more"}
        assert ann.ways == [], "the cookie is enough"
    assert await system.last_number(site.room_id) == 1


async def test_who_is_not_let_in_yet_sees_the_waiting_page(system: System) -> None:
    site = await make_shop(system, **WAITING)
    async with running(system, site) as url, browser(system) as first, browser(system) as ann:
        await first.inside(f"{url}/buy")
        page = await ann.go(f"{url}/buy")
    assert 'data-state="waiting"' in page.text
    assert ann.ways[0] == "/"


async def test_what_the_page_shows_of_a_connector_s_settings_is_all_it_needs(system: System) -> None:
    site = await make_shop(system)
    answer = (await asked(system, "GET", f"/origins/{site.origin_id}/integration")).json()
    (text,) = (each["text"] for each in answer["snippets"] if each["name"] == "connector")
    text = text.replace(system.settings.buyers_url, system.web.url)
    text = text.replace("${TIKETI_SECRET}", site.secret).replace("${TIKETI_API_KEY}", site.api_key)
    told = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    named = {
        "customerId": "CUSTOMER_ID",
        "secret": "SECRET_KEY",
        "apiKey": "API_KEY",
        "configUrl": "INTEGRATION_CONFIG",
    }
    async with shop(**{name: told[f"QUEUEIT_{theirs}"] for name, theirs in named.items()}) as url:
        await asked(system, "PUT", f"/origins/{site.origin_id}", {"hosts": [HOST, url]})
        async with browser(system) as ann:
            assert (await ann.inside(f"{url}/buy"))["shop"] == "/buy"
    assert told["QUEUEIT_EVENT_ID"] == site.room_id


async def test_a_late_token_is_replaced_by_way_of_the_error_page(system: System) -> None:
    """The shop's clock is ahead by more than a token lives, as if its visitor had come so late."""
    site = await make_shop(system)
    async with running(system, site) as url, browser(system) as ann:
        await ann.inside(f"{url}/buy")
        async with running(system, site, aheadS=170) as late:
            await ann.inside(f"{late}/buy")
        async with running(system, site, aheadS=500) as too_late:
            ann.client.cookies.delete(next(name for name in ann.client.cookies if name.startswith("QueueIT")))
            page = await ann.go(f"{too_late}/buy")
    assert page.status_code == 503, "no minute of ours makes their clock right"
    assert "A shop" in page.text
    assert ann.ways.count("/error/timestamp/") > 1
    assert system.state["meters"].connectors[site.origin_id, "clock_differs"] > 1
    assert 400 < system.state["meters"].sites.ahead_s[site.origin_id] < 600


async def test_another_secret_leads_to_a_page_that_says_so_and_to_no_circle(system: System) -> None:
    site = await make_shop(system)
    async with running(system, site, secret=site.secret[::-1]) as url, browser(system) as ann:

        async def is_told() -> httpx2.Response | None:
            answer = await ann.go(f"{url}/buy")
            return answer if answer.status_code == 503 else None

        page = await wait_until(is_told, description="the page says so")
        assert "/error/hash/" in ann.ways
        assert "A shop" in page.text
        assert system.state["meters"].connectors[site.origin_id, "secret_differs"] >= 4
    async with running(system, site) as url, browser(system) as bob:
        assert (await bob.inside(f"{url}/buy"))["shop"] == "/buy"


async def test_a_token_of_another_room_leads_into_the_line_of_this_one(system: System) -> None:
    site = await make_shop(system)
    second = f"{site.room_id}-2"
    wanted = {"id": second, "origin": site.origin_id, "name": "Two", "ratePerSecond": 1000, "burst": 1000}
    rules = [{"action": "queue", "path": "/vip"}, {"action": "pass"}]
    made = await asked(system, "POST", "/rooms", {**wanted, "rules": rules})
    assert made.status_code == 201, made.text
    async with running(system, site) as url, browser(system) as ann:
        told = await ann.inside(f"{url}/buy")
        vip = await ann.inside(f"{url}/vip")
        assert system.state["origins"].queue_ids.read(second, vip["queueId"]) == (1, 1)
        assert (await ann.inside(f"{url}/buy"))["queueId"] == told["queueId"], "both are open at once"
        ann.client.cookies.clear()

        async def is_sent() -> str | None:
            back = await ann.client.get(f"{system.web.url}/?c={customer(site)}&e={site.room_id}&t={quote(url)}/vip")
            on = await ann.client.get(system.web.url + back.headers["location"])
            location: str = on.headers.get("location", "")
            return location if "queueittoken" in location else None

        await ann.go(await wait_until(is_sent, description="there is a token of the first room"))
        assert ann.ways[:2] == ["/error/eventid/", f"/wait/{second}"]
        told = await ann.inside(f"{url}/vip")
    assert system.state["meters"].connectors[site.origin_id, "room_differs"] == 1
    assert system.state["origins"].queue_ids.read(second, told["queueId"]) is not None


async def test_the_end_of_a_visit_frees_its_place(system: System) -> None:
    site = await make_shop(system, **{**WAITING, "ratePerSecond": 1000})
    config = await config_of(system, site)
    ending = {
        **config["Integrations"][-1],
        "ActionType": "Cancel",
        "Triggers": [
            {
                "LogicalOperator": "And",
                "TriggerParts": [
                    {
                        "ValidatorType": "UrlValidator",
                        "UrlPart": "PagePath",
                        "Operator": "Equals",
                        "ValueToCompare": "/thanks",
                    }
                ],
            }
        ],
    }
    config["Integrations"].insert(0, ending)
    async with running(system, site, config=config) as url, browser(system) as ann, browser(system) as bob:
        await ann.inside(f"{url}/buy")
        assert 'data-state="waiting"' in (await bob.go(f"{url}/buy")).text
        thanked = await ann.go(f"{url}/thanks")
        assert thanked.json()["shop"] == "/thanks"
        assert ann.ways[0] == f"/cancel/multiple/{customer(site)}"
        assert await is_ended(system, site)
        await bob.inside(f"{url}/buy")
        assert 'data-state="waiting"' in (await ann.go(f"{url}/buy")).text


async def test_a_script_s_request_is_told_where_to_go(system: System) -> None:
    site = await make_shop(system)
    async with running(system, site) as url, browser(system) as ann:
        page = quote(f"{url}/page?x=1", safe="")
        answer = await ann.client.get(f"{url}/api/cart", headers={"x-queueit-ajaxpageurl": page})
        assert answer.status_code == 200
        told = await ann.inside(unquote(answer.headers["x-queueit-redirect"]))
        assert told["shop"] == "/page"
        answer = await ann.client.get(f"{url}/api/cart", headers={"x-queueit-ajaxpageurl": page})
        assert answer.json()["shop"] == "/api/cart"


async def test_what_the_rules_let_pass_is_let_by(system: System) -> None:
    site = await make_shop(system, rules=[{"action": "pass", "path": ["=/healthz", "/hooks"]}])
    async with running(system, site) as url, browser(system) as ann:
        for path in ("/healthz", "/hooks/pay"):
            assert (await ann.client.get(url + path)).json()["action"] == "Ignore"
        assert (await ann.client.get(f"{url}/cart")).status_code == 302


async def test_a_room_for_who_is_invited_takes_whom_the_shop_s_enqueue_tokens_name(system: System) -> None:
    site = await make_shop(system, door="invited")
    async with running(system, site, enqueueKey="member-7") as url, browser(system) as ann, browser(system) as phone:
        told = await ann.inside(f"{url}/buy")
        assert (await phone.inside(f"{url}/buy"))["queueId"] == told["queueId"], "one person, one place"
    async with running(system, site) as url, browser(system) as bob:
        assert (await bob.go(f"{url}/buy")).status_code == 403
    assert await system.last_number(site.room_id) == 1


async def test_a_path_that_the_connector_puts_before_its_addresses_changes_nothing(system: System) -> None:
    site = await make_shop(system)
    config = await config_of(system, site)
    for integration in config["Integrations"]:
        integration["QueuePathPrefix"] = "acme"
    async with running(system, site, config=config) as url, browser(system) as ann:
        ways = []

        async def is_in() -> bool:
            answer = await ann.go(f"{url}/buy")
            ways.extend(ann.ways)
            return answer.headers["content-type"].startswith("application/json")

        await wait_until(is_in, description="the shop lets the visitor in")
        assert ways[0] == "/acme/"
        ann.client.cookies.clear()
        await ann.go(f"{url}/buy?queueittoken=e_{site.room_id}~q_1~h_0")
        assert ann.ways[:2] == ["/acme/error/hash/", f"/wait/{site.room_id}"]
