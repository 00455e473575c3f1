"""An admin sees what happens at a site: of all web processes together, by room, with what went wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import redis_keys
from app.metrics import sites
from app.metrics.sites import SHORT_S, SiteError
from app.outages import Outages
from tests.http.buyer import assert_problem
from tests.http.origins.site import SECRETIVE, Site, asked, check, let_in, make_site, visitor
from tests.http.origins.test_visits import jti_of, tell
from tests.http.system import System, Web
from tests.waiting import wait_until

SETTINGS = SECRETIVE
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(system: System, site: Site) -> dict[str, Any]:
    answer = await asked(system, "GET", f"/origins/{site.origin_id}/figures")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["figures"]
    return found


async def until(system: System, site: Site, name: str, **wanted: Any) -> dict[str, Any]:
    """The figures once these members are so: what was counted is sent every two seconds."""

    async def is_so() -> dict[str, Any] | None:
        found = await shown(system, site)
        return found if all(found[name].get(key) == value for key, value in wanted.items()) else None

    return await wait_until(is_so, description=f"the figures say {wanted}")


async def ask_about(system: System, site: Site, token: str, webs: Iterable[Web]) -> None:
    """At each process: one check that lets through, one of nobody, one of a pass that is none."""
    for web in webs:
        for pass_, status in ((token, 200), (None, 302), ("nonsense", 302)):
            headers = {} if pass_ is None else {"x-admission-pass": pass_}
            assert (await check(system, site.room_id, headers=headers, web=web)).status_code == status


async def test_the_figures_are_those_of_all_processes(system: System) -> None:
    site, other = await make_site(system), await system.another_web(**SECRETIVE)
    another = await make_site(system)
    token = await let_in(system, site.room_id)

    async def is_known() -> bool:
        return site.room_id in other.state["origins"].rooms

    await wait_until(is_known, description="the other process knows the room")
    await ask_about(system, site, token, (system.web, other, other))
    found = await until(system, site, "totals", letThrough=3, sentToRoom=6, live=1)
    assert found["refused"] == {
        "pass_missing": 3,
        "pass_expired": 0,
        "pass_revoked": 0,
        "pass_foreign": 3,
        "refused": 0,
    }
    (room,) = found["rooms"]
    assert (room["room"], room["letThrough"], room["sentToRoom"], room["live"]) == (site.room_id, 3, 6, 1)
    assert (await shown(system, another))["totals"]["letThrough"] == 0


async def test_a_process_that_ended_stays_in_the_sum(system: System) -> None:
    site = await make_site(system)
    web = system.state
    sender = sites.FiguresSender(
        web["redis"], counts := sites.SiteCounts(), lambda: {site.origin_id}, web["clock"].seconds, Outages()
    )
    counts.checked(site.origin_id, site.room_id, "let_through")
    await sender.close()
    await sender.close()
    assert (await until(system, site, "totals", letThrough=1))["totals"]["letThrough"] == 1


async def test_rates_are_of_the_minute_before(system: System) -> None:
    site, redis, now_s = await make_site(system), system.state["redis"], 1_800_000_000.0
    counts = sites.SiteCounts()
    sender = sites.FiguresSender(redis, counts, lambda: {site.origin_id}, lambda: now_s, Outages())
    for _ in range(120):
        counts.checked(site.origin_id, site.room_id, "let_through")
    await sender.send()
    rates = []
    for later_s in (0, SHORT_S, 6 * SHORT_S, 7 * SHORT_S):
        found = await sites.read(redis, site.origin_id, now_s + later_s)
        rates.append((found.per_s(("let_through",)), found.in_hour(("let_through",))))
    assert rates == [(0, 120), (2, 120), (2, 120), (0, 120)]
    assert (await sites.read(redis, site.origin_id, now_s + 3600)).in_hour(("let_through",)) == 0


async def test_visits_that_ended_or_ran_out_are_counted_once_and_told_with_how_long_they_stayed(
    system: System,
) -> None:
    site = await make_site(system, maxActive=3)
    tokens = [await let_in(system, site.room_id) for _ in range(2)]
    for _ in range(2):
        assert (await tell(system, site, jti_of(system, site, tokens[0]))).status_code == 200
    found = await until(system, site, "totals", live=1, ended=1, expired=0)
    assert found["totals"]["stayMedianSeconds"] is None or found["totals"]["stayMedianSeconds"] <= 1
    await until(system, site, "totals", stayP90Seconds=0.9)
    room = redis_keys.of_epoch(site.room_id, 1, "active")
    await system.redis.zadd(room, {"2": 1})
    await until(system, site, "totals", live=0, ended=1, expired=1)


async def test_errors_say_what_to_do_and_hold_no_secret(system: System) -> None:
    site = await make_site(system)
    await tell(system, site, f"{site.room_id}.1.1", key="a-wrong-key")
    await tell(system, site, f"{site.room_id}.9.9")
    async with visitor(system) as ann:
        await ann.go(f"/wait/{site.room_id}?t=https://evil.example/someone@example.com")

    async def are_there() -> dict[str, Any] | None:
        found = await shown(system, site)
        return found if len(found["errors"]) == 3 else None

    found = await wait_until(are_there, description="the errors are told")
    assert {(each["error"], each["room"]) for each in found["errors"]} == {
        ("api_key_wrong", None),
        ("visit_unknown", site.room_id),
        ("target_foreign", site.room_id),
    }
    assert all(each["happened"] and each["whatToDo"] and each["inLastHour"] for each in found["errors"])
    kept = await system.redis.zrange(redis_keys.site_errors(site.origin_id), 0, -1)
    assert not any(word in repr((found, kept)) for word in ("a-wrong-key", "evil", "someone", site.api_key))


async def test_no_more_errors_are_kept_than_a_page_shows_and_the_latest_ones(system: System) -> None:
    now_s = [1_800_000_000.0]
    redis, counts = system.state["redis"], sites.SiteCounts()
    sender = sites.FiguresSender(redis, counts, lambda: {"many"}, lambda: now_s[0], Outages())
    for at in range(sites.ERRORS_MAX + 5):
        now_s[0] += 1
        counts.failed("many", f"room-{at}", SiteError.visit_unknown)
        await sender.send()
    counts.failed("many", "room-9", SiteError.visit_unknown)
    now_s[0] += 1
    await sender.send()
    errors = (await sites.read(redis, "many", now_s[0])).errors
    assert len(errors) == sites.ERRORS_MAX
    assert (errors[0].room, errors[0].at_s) == ("room-9", now_s[0])
    assert "room-0" not in {each.room for each in errors}
    assert await redis.ttl(redis_keys.site_errors("many")) > 0


async def test_what_redis_did_not_take_is_sent_with_what_follows(system: System) -> None:
    site = await make_site(system)
    redis, counts, now_s = system.state["redis"], sites.SiteCounts(), 1_800_000_000.0
    sender = sites.FiguresSender(redis, counts, lambda: {site.origin_id}, lambda: now_s, Outages())
    counts.checked(site.origin_id, site.room_id, "let_through")
    await redis.set(redis_keys.site_errors(site.origin_id), "of another type")
    await sender.close()
    await redis.delete(redis_keys.site_errors(site.origin_id))
    counts.checked(site.origin_id, site.room_id, "let_through")
    await sender.close()
    assert (await sites.read(redis, site.origin_id, now_s)).in_hour(("let_through",)) >= 2


async def test_a_check_by_a_proxy_that_is_not_trusted_is_warned_of(system: System) -> None:
    site = await make_site(system)
    assert (await shown(system, site))["warnings"] == []
    stranger = await system.another_web(trusted_proxies="10.0.0.1")

    async def is_known() -> bool:
        return site.room_id in stranger.state["origins"].rooms

    await wait_until(is_known, description="the other process knows the room")
    await check(system, site.room_id, web=stranger)
    found = await until(system, site, "totals", sentToRoom=1)
    (warned,) = found["warnings"]
    assert (warned["warning"], warned["room"]) == ("proxy_unknown", site.room_id)
    assert "TIKETI_TRUSTED_PROXIES" in warned["whatToDo"]
    await check(system, site.room_id)
    await until(system, site, "totals", sentToRoom=2)

    async def is_warned_no_more() -> bool:
        return not (await shown(system, site))["warnings"]

    await wait_until(is_warned_no_more, description="the warning is over")


async def test_a_site_without_any_trusted_proxy_is_warned_of_but_not_while_it_is_developed(system: System) -> None:
    site = await make_site(system)
    with capture_logs() as logged:
        web = await system.another_web(trusted_proxies="")
    (warned_of,) = [each for each in logged if each["event"] == "no_proxy_trusted"]
    assert site.origin_id in warned_of["origins"]
    path = f"/api/admin/origins/{site.origin_id}/figures"
    async with web.client(headers=await system.bearer()) as admin:
        (warned,) = (await admin.get(path)).json()["figures"]["warnings"]
        assert (warned["warning"], warned["room"]) == ("proxies_none", None)
        local = {"hosts": ["http://localhost:3000"], "targetUrl": "http://localhost:3000/"}
        assert (await asked(system, "PUT", f"/origins/{site.origin_id}", local)).status_code == 200

        async def is_quiet() -> bool:
            return bool((await admin.get(path)).json()["figures"]["warnings"] == [])

        await wait_until(is_quiet, description="nothing is warned of")


async def test_there_are_no_figures_of_an_origin_that_is_not_there(system: System) -> None:
    assert_problem(await asked(system, "GET", "/origins/nobody/figures"), 404, "origin_unknown")
    assert_problem(await asked(system, "GET", "/origins/nobody/figures/stream"), 404, "origin_unknown")


async def test_the_page_has_everything_without_a_script(system: System) -> None:
    site = await make_site(system)
    await let_in(system, site.room_id)
    await tell(system, site, f"{site.room_id}.1.1", key="a-wrong-key")
    await until(system, site, "totals", live=1)
    headers = {**await system.bearer(), "accept-language": "en"}

    async def is_told() -> str | None:
        async with system.web.client(headers=headers) as admin:
            page = await admin.get(f"/admin/origins/{site.origin_id}/figures")
        assert page.status_code == 200, page.text
        return page.text if "with an API key that is not this site" in page.text else None

    text = await wait_until(is_told, description="the error is on the page")
    assert 'data-field="live" data-kind="count">1<' in text
    assert site.room_id in text
    assert '<tr data-key="api_key_wrong ">' in text, "as the script looks for an error of the whole site"


async def test_the_feed_tells_the_figures(system: System) -> None:
    site = await make_site(system)
    path = f"/api/admin/origins/{site.origin_id}/figures/stream"
    async with (
        system.web.client(headers=await system.bearer()) as admin,
        admin.stream("GET", path) as feed,
    ):
        lines = feed.aiter_lines()
        assert await anext(lines) == "event: figures"
        assert '"rooms"' in await anext(lines)


async def test_quantiles_go_by_the_bounds() -> None:
    none = [0] * 12
    assert sites.quantile_s(none, 0.5) is None
    assert sites.quantile_s([10, *none[1:]], 0.5) == 0.5
    assert sites.quantile_s([0, 10, *none[2:]], 0.5) == 3
    assert sites.quantile_s([5, 5, *none[2:]], 0.9) == pytest.approx(4.2)
    assert sites.quantile_s([*none[:-1], 3], 0.5) == 3600
