"""A site ends the visits to its own rooms, and asks whether they live; nobody else's key does."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import SECRETIVE, WAITING, Site, asked, check, let_in, make_site, visitor
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = SECRETIVE
ONE = {"maxActive": 1}


async def tell(system: System, site: Site, jti: str, method: str = "POST", key: str | None = None) -> httpx2.Response:
    path = f"/api/origins/{site.origin_id}/visits/{jti}" + ("/end" if method == "POST" else "")
    async with system.web.client() as client:
        shown = f"Bearer {site.api_key if key is None else key}"
        return await client.request(method, path, headers={"authorization": shown})


async def visit(system: System, site: Site, jti: str) -> dict[str, Any]:
    answer = await tell(system, site, jti, "GET")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["visit"]
    return shown


def jti_of(system: System, site: Site, token: str) -> str:
    admission: Any = system.state["passes"].read(token, site.room_id)
    name: str = admission.jti
    return name


async def test_an_ended_visit_lets_the_next_one_in_and_its_pass_opens_nothing_in_any_process(system: System) -> None:
    site, other = await make_site(system, **ONE), await system.another_web(trusted_proxies="127.0.0.1")
    token = await let_in(system, site.room_id)
    jti = jti_of(system, site, token)
    assert (await visit(system, site, jti))["state"] == "live"
    assert (await tell(system, site, jti)).json() == {}
    assert (await visit(system, site, jti)) == {
        "id": jti,
        "room": site.room_id,
        "number": 1,
        "state": "ended",
        "expiresAt": None,
    }
    for web in (system.web, other):

        async def is_revoked(web: Any = web) -> bool:
            shown = {"x-admission-pass": token, "sec-fetch-mode": "cors"}
            answer = await check(system, site.room_id, headers=shown, web=web)
            return answer.status_code == 401 and answer.json()["code"] == "pass_revoked"

        await wait_until(is_revoked, description="the pass is revoked")
    assert (await tell(system, site, jti)).status_code == 200, "once or again"
    assert system.state["meters"].visits[site.origin_id,] == 1
    assert await let_in(system, site.room_id)


async def test_who_comes_again_after_the_end_waits_again(system: System) -> None:
    site = await make_site(system, **ONE)
    async with visitor(system) as ann:
        await ann.go(f"/wait/{site.room_id}")

        async def is_in() -> bool:
            return not (await ann.submit(f"/wait/{site.room_id}/claim")).headers["location"].startswith("/")

        await wait_until(is_in, description="she is let in")
        await tell(system, site, f"{site.room_id}.1.1")

        async def is_again() -> bool:
            await ann.go(f"/wait/{site.room_id}?t=https%3A%2F%2Fshop.example%2F")
            return await system.last_number(site.room_id) == 2

        await wait_until(is_again, description="she has another place")


async def test_another_origin_s_key_ends_nothing(system: System) -> None:
    ours, theirs = await make_site(system), await make_site(system)
    jti = jti_of(system, ours, await let_in(system, ours.room_id))
    for key in (theirs.api_key, "nonsense", ours.secret):
        assert_problem(await tell(system, ours, jti, key=key), 401, "api_key_wrong")
    assert_problem(await tell(system, theirs, jti), 404, "visit_unknown")
    nobody = Site("nobody", "nobody-sale", "", ours.api_key)
    assert_problem(await tell(system, nobody, jti), 401, "api_key_wrong")
    assert (await visit(system, ours, jti))["state"] == "live"


@pytest.mark.parametrize(
    "wrong", ["", ".1", ".1.", ".1.0", ".1.99", ".2.1", ".1.1.1", ".1.-1", ".1.1e3", ".01.1", ".1." + "9" * 40, ".x.1"]
)
async def test_what_names_no_visit_is_unknown(system: System, wrong: str) -> None:
    site = await make_site(system)
    await let_in(system, site.room_id)
    assert_problem(await tell(system, site, f"{site.room_id}{wrong}"), 404, "visit_unknown")


async def test_the_room_of_an_event_has_no_visits_of_an_origin(system: System, event_id: str) -> None:
    site = await make_site(system)
    assert_problem(await tell(system, site, f"{event_id}.1.1"), 404, "visit_unknown")


async def test_nobody_s_place_in_line_is_ended(system: System) -> None:
    site = await make_site(system, **WAITING)
    await let_in(system, site.room_id)
    async with visitor(system) as ann:
        await ann.go(f"/wait/{site.room_id}")
        assert_problem(await tell(system, site, f"{site.room_id}.1.2"), 409, "visit_waits")
        assert 'data-state="waiting"' in (await ann.go(f"/wait/{site.room_id}")).text


async def test_a_site_may_verify_passes_with_its_secret(system: System) -> None:
    import jwt

    ours, theirs = await make_site(system, passAlgorithm="HS256"), await make_site(system)
    token = await let_in(system, ours.room_id)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, ours.secret, algorithms=["HS256"], audience=ours.room_id, issuer="tiketi")
    assert claims["jti"] == f"{ours.room_id}.1.1"
    assert (await check(system, ours.room_id, headers={"x-admission-pass": token})).status_code == 200
    forged = jwt.encode({**claims, "aud": theirs.room_id, "jti": f"{theirs.room_id}.1.1"}, ours.secret, "HS256")
    refused = await check(system, theirs.room_id, headers={"x-admission-pass": forged, "sec-fetch-mode": "cors"})
    assert_problem(refused, 401, "pass_foreign")
    await asked(system, "POST", f"/origins/{ours.origin_id}/rotate")
    assert (await check(system, ours.room_id, headers={"x-admission-pass": token})).status_code == 200, "for a day"


async def test_rules_say_which_requests_need_no_pass_and_which_are_refused(system: System) -> None:
    rules = [{"action": "pass", "path": "/assets/"}, {"action": "refuse", "path": "/xmlrpc.php"}]
    site = await make_site(system, rules=rules)
    free = await check(system, site.room_id, "/assets/a.css", {"x-tiketi-subject": "forged"})
    assert (free.status_code, free.headers["x-tiketi-subject"], free.headers["x-tiketi-number"]) == (200, "", "")
    assert (await check(system, site.room_id, "/assets/../sale")).status_code == 302
    assert_problem(await check(system, site.room_id, "/xmlrpc.php"), 403, "request_refused")
    assert (await check(system, site.room_id, "/sale")).status_code == 302
    token = await let_in(system, site.room_id)
    known = await check(system, site.room_id, "/assets/a.css", {"x-admission-pass": token})
    assert known.headers["x-tiketi-number"] == "1"
