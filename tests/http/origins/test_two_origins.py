"""Two origins that try each other's secrets, keys, passes, cookies, rooms and targets: each opens its own alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.http.buyer import assert_problem
from tests.http.origins.site import HOST, SECRETIVE, Site, asked, check, let_in, make_site, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE


async def two(system: System, **room: Any) -> tuple[Site, Site]:
    """Both with a room; the hosts of the second are its own."""
    ours, theirs = await make_site(system, **room), await make_site(system, **room)
    other = {"hosts": ["other.example"], "targetUrl": "https://other.example/"}
    assert (await asked(system, "PUT", f"/origins/{theirs.origin_id}", other)).status_code == 200
    return ours, theirs


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
async def test_a_pass_and_a_cookie_of_one_open_nothing_of_the_other(system: System, algorithm: str) -> None:
    ours, theirs = await two(system, passAlgorithm=algorithm)
    token = await let_in(system, ours.room_id)
    for shown in (
        {"x-admission-pass": token},
        {"cookie": f"tiketi_pass_{theirs.room_id}={token}"},
        {"cookie": f"tiketi_pass_{ours.room_id}={token}"},
    ):
        assert (await check(system, ours.room_id, headers=shown)).status_code in (200, 302)
        assert (await check(system, theirs.room_id, headers=shown)).status_code == 302
    assert (await check(system, theirs.room_id, f"/?tiketi_pass={token}")).status_code == 302
    assert (await check(system, ours.room_id, headers={"x-admission-pass": token})).status_code == 200


async def test_one_s_secret_signs_nothing_for_the_other_s_room(system: System) -> None:
    ours, theirs = await two(system, passAlgorithm="HS256")
    token = await let_in(system, ours.room_id)
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= {"aud": theirs.room_id, "jti": claims["jti"].replace(ours.room_id, theirs.room_id)}
    for secret, opens in ((ours.secret, False), (theirs.secret, True)):
        forged = jwt.encode(claims, secret, algorithm="HS256")
        answer = await check(system, theirs.room_id, headers={"x-admission-pass": forged})
        assert (answer.status_code == 200) is opens


async def test_one_s_key_ends_and_sees_no_visit_of_the_other(system: System) -> None:
    ours, theirs = await two(system)
    token = await let_in(system, theirs.room_id)
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    async with system.web.client(headers={"authorization": f"Bearer {ours.api_key}"}) as client:
        stolen = await client.post(f"/api/origins/{theirs.origin_id}/visits/{jti}/end")
        assert_problem(stolen, 401, "api_key_wrong")
        own_door = await client.post(f"/api/origins/{ours.origin_id}/visits/{jti}/end")
        assert_problem(own_door, 404, "visit_unknown")
        assert_problem(await client.get(f"/api/origins/{ours.origin_id}/visits/{jti}"), 404, "visit_unknown")
    assert (await check(system, theirs.room_id, headers={"x-admission-pass": token})).status_code == 200


async def test_one_s_room_sends_nobody_to_the_other_s_hosts(system: System) -> None:
    _, theirs = await two(system)
    async with visitor(system) as ann:
        answer = await ann.go(f"/wait/{theirs.room_id}?t=https://{HOST}/sale")
        for _ in range(500):
            if not answer.headers.get("location", "/").startswith("/"):
                break
            answer = await ann.submit(f"/wait/{theirs.room_id}/claim")
    assert urlsplit(answer.headers["location"])[:3] == ("https", "other.example", "/")
    denied = await check(system, theirs.room_id)
    assert "t" not in parse_qs(urlsplit(denied.headers["location"]).query), "the host that was asked for is not its own"


async def test_one_s_room_takes_no_target_and_no_settings_from_the_other(system: System) -> None:
    ours, theirs = await two(system)
    moved = await asked(system, "PUT", f"/rooms/{theirs.room_id}", {"targetUrl": f"https://{HOST}/sale"})
    assert_problem(moved, 422, "target_foreign")
    shown = await asked(system, "GET", f"/origins/{ours.origin_id}/integration?room={theirs.room_id}")
    assert_problem(shown, 404, "room_unknown")
