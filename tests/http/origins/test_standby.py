"""A site whose room stands by: below rate and capacity its visitors see no room, not even a redirect."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.http.buyer import assert_problem
from tests.http.origins import site as sites
from tests.http.origins.site import SECRETIVE, Site, make_site
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = SECRETIVE


async def check(system: System, room_id: str, **how: Any) -> httpx2.Response:
    """As a proxy asks that hands cookies on."""
    return await sites.check(system, room_id, **{"query": "?deny=401", **how})


async def ready(system: System, **room: Any) -> Site:
    """Its bucket has been filled: a room begins with an empty one."""
    site = await make_site(system, mode="standby", **room)

    async def is_full() -> bool:
        name = f"tiketi:{{{site.room_id}}}:room"
        return float(await system.redis.hget(name, "tokens") or 0) >= 1  # type: ignore[misc]

    await wait_until(is_full, description="the bucket is full")
    return site


async def test_a_visitor_goes_on_at_once_and_keeps_the_pass(system: System) -> None:
    site = await ready(system)
    answer = await check(system, site.room_id)
    assert (answer.status_code, answer.headers["x-tiketi-number"]) == (200, "1")
    pair = answer.headers["set-cookie"].partition(";")[0]
    again = await check(system, site.room_id, headers={"cookie": pair})
    assert (again.status_code, again.headers["x-tiketi-number"]) == (200, "1")
    assert "set-cookie" not in again.headers
    script = await check(system, site.room_id, headers={"sec-fetch-mode": "cors"})
    assert (script.status_code, script.headers["x-tiketi-number"]) == (200, "2")


async def test_above_the_capacity_visitors_are_sent_to_wait_and_take_no_place_by_being_asked_about(
    system: System,
) -> None:
    site = await ready(system, maxActive=1)
    assert (await check(system, site.room_id)).status_code == 200
    for _ in range(3):
        assert (await check(system, site.room_id)).status_code == 401
    assert await system.last_number(site.room_id) == 1
    assert_problem(await check(system, site.room_id, headers={"sec-fetch-mode": "cors"}), 401, "pass_missing")


async def test_while_there_is_a_line_everybody_is_sent_to_it(system: System) -> None:
    site = await ready(system, maxActive=1)
    first = await check(system, site.room_id)
    async with system.web.client() as client:
        assert (await client.post(f"/api/queue/{site.room_id}/join")).status_code == 201

        async def is_up() -> bool:
            return system.state["rooms"].views[site.room_id].waiting == 1

        await wait_until(is_up, description="somebody waits")
        ended = f"/api/origins/{site.origin_id}/visits/{site.room_id}.1.1/end"
        assert (await client.post(ended, headers={"authorization": f"Bearer {site.api_key}"})).status_code == 200

        async def is_empty() -> bool:
            return system.state["rooms"].views[site.room_id].waiting == 0

        await wait_until(is_empty, description="the line is empty")
    assert (await check(system, site.room_id)).status_code == 401, "it dissolves later"
    assert first.status_code == 200


async def test_an_address_takes_no_more_than_its_share_by_being_asked_about(system: System) -> None:
    site = await ready(system)
    share = system.state["scripts"].limits.share
    answers = [await check(system, site.room_id, headers={"x-forwarded-for": "198.51.100.9"}) for _ in range(share + 2)]
    assert [each.status_code for each in answers] == [200] * share + [401, 401]


@pytest.mark.parametrize("how", ["nobody's proxy", "a look ahead", "mode always", "a proxy that loses cookies"])
async def test_only_a_visit_that_a_proxy_tells_of_is_let_in(system: System, how: str) -> None:
    site = await ready(system)
    web, headers, query = system.web, {}, "?deny=401"
    if how == "nobody's proxy":
        web = await system.another_web(trusted_proxies="10.0.0.1")
    elif how == "a look ahead":
        headers = {"sec-purpose": "prefetch"}
    elif how == "a proxy that loses cookies":
        query = ""
    else:
        site = await make_site(system)
    assert (await check(system, site.room_id, headers=headers, web=web, query=query)).status_code in (302, 401, 404)
    assert await system.last_number(site.room_id) == 0


async def test_a_redis_that_hangs_holds_up_no_check(system: System) -> None:
    """A proxy gives up before such a call does, and then answers 500, or lets everybody in if it is to."""
    site = await ready(system)
    await system.redis.client_pause(60_000, all=False)
    try:
        answer = await check(system, site.room_id)
        failed = system.state["joiner"].answers.get((site.room_id, "failed"), 0)
    finally:
        await system.redis.client_unpause()
    assert_problem(answer, 401, "pass_missing")
    assert failed == 0, "the call to Redis goes on"
