"""A place goes along to another browser: once, within ten minutes, and the first browser no longer has it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.door.resume_codes import ResumeCodes, code_of
from app.http.line import resume
from app.redis_keys import moved_place
from app.room.moved_places import GOOD_FOR_S
from tests.http.buyer import Buyer, assert_problem, make_account
from tests.http.pages import page, send, visitor
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
KAKAO = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36;KAKAOTALK 2610740"


@pytest.fixture(autouse=True)
def many_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody here has the same address."""
    monkeypatch.setattr(resume, "TRIES", replace(resume.TRIES, times=10_000))


async def make(one: Buyer) -> str:
    answer = await one.post("resume-code")
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    assert answer.json()["path"] == f"/events/{one.event_id}/resume#{code}"
    return code


async def test_a_place_goes_along_once_and_both_are_told(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with (
        visitor(system, event_id) as ann,
        visitor(system, event_id) as her_own,
        visitor(system, event_id) as thief,
    ):
        number = (await ann.join()).json()["number"]
        code = await make(ann)
        state = f"/api/queue/{event_id}/resume-code/state"
        assert (await ann.client.post(state, json={"code": code})).json() == {"state": "waiting"}
        taken = await her_own.client.post(f"/api/queue/{event_id}/resume", json={"code": code})
        assert taken.status_code == 200, taken.text
        assert (await her_own.position())["number"] == number
        assert_problem(await thief.client.post(f"/api/queue/{event_id}/resume", json={"code": code}), 410, "code_used")
        assert (await thief.client.post(state, json={"code": code})).json() == {"state": "unknown"}
        assert (await ann.client.post(state, json={"code": code})).json() == {"state": "used"}
        assert_problem(await ann.client.get(f"/api/queue/{event_id}/position"), 401, "ticket_missing")
        assert (await ann.join()).json()["number"] > number, "a new one, at the end"
        assert (await her_own.join()).json()["number"] == number


async def test_what_is_stored_tells_nobody_who_it_was(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann:
        await ann.join()
        code = code_of(await make(ann))
        assert code is not None
        codes: ResumeCodes = system.state["entrance"].resume_codes
        key = moved_place(codes.name_of(event_id, code))
        stored = await system.redis.get(key)
        assert stored is not None
        assert 0 < await system.redis.ttl(key) <= GOOD_FOR_S
        secret = ann.client.cookies["tiketi_holder"]
        assert secret.encode() not in stored
        assert code.encode() not in stored
        assert code not in key
        other = ResumeCodes(bytes(32), lambda count: bytes(count))
        assert other.open(event_id, code, stored.partition(b" ")[2]) is None, "the code without our key opens nothing"
        opened = codes.open(event_id, code, stored.partition(b" ")[2])
        assert opened is not None
        assert opened.browser == secret


async def test_a_code_that_is_none_and_one_of_another_event_are_refused(system: System, event_id: str) -> None:
    other = await system.event()
    for each in (event_id, other):
        await system.change(each, state="paused")
    async with visitor(system, event_id) as ann, visitor(system, other) as ben:
        await ann.join()
        path = f"/api/queue/{other}/resume"
        for typed in ("ABCD-EFGH-JKMN", "short", ""):
            assert_problem(await ben.client.post(path, json={"code": typed}), 404, "code_unknown")
        code = await make(ann)
        assert_problem(await ben.client.post(path, json={"code": code}), 404, "code_unknown")
        taken = await ben.client.post(f"/api/queue/{event_id}/resume", json={"code": code})
        assert taken.status_code == 200, "trying it elsewhere has not used it up"


async def test_a_browser_with_a_place_of_its_own_does_not_lose_it(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann, visitor(system, event_id) as ben:
        await ann.join()
        number = (await ben.join()).json()["number"]
        code = await make(ann)
        refused = await ben.client.post(f"/api/queue/{event_id}/resume", json={"code": code})
        assert_problem(refused, 409, "browser_in_use")
        assert (await ben.position())["number"] == number
        async with visitor(system, event_id) as fresh:
            assert (await fresh.client.post(f"/api/queue/{event_id}/resume", json={"code": code})).status_code == 200


async def test_an_account_needs_no_code(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann:
        await make_account(ann.client, "moves@example.com", "long-enough-to-keep")
        await ann.join()
        assert_problem(await ann.post("resume-code"), 409, "place_of_account")
        assert "/resume-code" not in await page(ann, "wait")


async def test_held_seats_and_the_pass_go_along(system: System, event_id: str) -> None:
    async with visitor(system, event_id) as ann, visitor(system, event_id) as her_own:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        await her_own.client.post(f"/api/queue/{event_id}/resume", json={"code": await make(ann)})
        assert (await her_own.pay(held["id"])).status_code == 201


async def test_an_app_s_browser_is_told_and_the_pages_do_it_without_scripts(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann, visitor(system, event_id) as her_own:
        number = (await ann.join()).json()["number"]
        plain = await page(ann, "wait")
        assert "Go on in another browser" in plain
        assert 'class="move notice' not in plain
        ann.client.headers["user-agent"] = KAKAO
        assert 'class="move notice' in await page(ann, "wait")
        shown = (await send(ann, f"/events/{event_id}/resume-code")).text
        link = re.search(r'id="link"[^>]* value="([^"]+)"', shown)
        assert link is not None
        assert link[1].startswith(f"{system.web.url}/events/{event_id}/resume#")
        assert "Go on in this browser" in await page(her_own, "resume")
        wrong = await send(her_own, f"/events/{event_id}/resume", code="nothing")
        assert (wrong.status_code, "There is no such code" in wrong.text) == (404, True)
        moved = await send(her_own, f"/events/{event_id}/resume", code=link[1])
        assert (moved.status_code, moved.headers["location"]) == (303, f"/events/{event_id}/wait")
        assert f'id="number">{number}<' in await page(her_own, "wait")


async def test_codes_are_not_tried_without_end(system: System, event_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "TRIES", replace(resume.TRIES, name="few-tries", times=2))
    async with visitor(system, event_id) as ann:
        path = f"/api/queue/{event_id}/resume"
        for _ in range(2):
            assert_problem(await ann.client.post(path, json={"code": "ABCD-EFGH-JKMN"}), 404, "code_unknown")
        assert_problem(await ann.client.post(path, json={"code": "ABCD-EFGH-JKMN"}), 429, "too_many_attempts")


async def test_a_stranger_who_asks_about_a_used_code_learns_nothing_and_loses_nothing(
    system: System, event_id: str
) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann, visitor(system, event_id) as own, visitor(system, event_id) as bob:
        await ann.join()
        number = (await bob.join()).json()["number"]
        code = await make(ann)
        state = f"/api/queue/{event_id}/resume-code/state"
        assert (await bob.client.post(state, json={"code": code})).json() == {"state": "unknown"}
        assert (await own.client.post(f"/api/queue/{event_id}/resume", json={"code": code})).status_code == 200
        assert (await bob.client.post(state, json={"code": code})).json() == {"state": "unknown"}
        assert (await bob.position())["number"] == number


async def test_one_browser_makes_no_codes_without_end(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann:
        await ann.join()
        for _ in range(resume.CODES.times):
            await make(ann)
        assert_problem(await ann.post("resume-code"), 429, "too_many_attempts")
