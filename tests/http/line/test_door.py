"""The door of a line, by HTTP: an address's share, the challenge beyond it, and what a flood gets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from typing import Any

import altcha
import httpx2
import pytest
import pytest_asyncio

from app.door.allowance import AT_ONCE_MAX
from app.http.hot import fast
from app.http.line import joining
from app.http.line.door import SOLUTION_HEADER
from tests.http.system import System, Web
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHARE = 20
SETTINGS = {"trusted_proxies": "127.0.0.1", "door_free_networks": "198.51.100.0/24", "places_per_address": SHARE}
HOME, OFFICE, BOX_OFFICE = "203.0.113.7", "2001:db8::1", "198.51.100.9"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(system: System) -> Web:
    """A second web process, whose requests all go the ordinary way."""
    return await system.another_web(fast_path=False)


def url(event_id: str) -> str:
    return f"/api/queue/{event_id}/join"


async def join(web: Web, event_id: str, address: str = HOME, solution: str = "", **headers: str) -> httpx2.Response:
    """Somebody whom nobody has seen before."""
    sent = {"x-forwarded-for": address, **headers}
    if solution:
        sent[SOLUTION_HEADER.decode()] = solution
    async with web.client() as client:
        return await client.post(url(event_id), headers=sent)


async def use_up(web: Web, event_id: str, address: str = HOME) -> None:
    for _ in range(SHARE):
        assert (await join(web, event_id, address)).status_code == 201


def solve(answer: httpx2.Response) -> str:
    challenge = altcha.Challenge.from_dict(answer.json()["challenge"])
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    payload = {"challenge": challenge.to_dict(), "solution": solution.to_dict()}
    return base64.b64encode(json.dumps(payload).encode()).decode()


def assert_refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    body: dict[str, Any] = answer.json()
    return body


async def test_beyond_its_share_an_address_gets_a_place_for_work(system: System, other: Web, event_id: str) -> None:
    await use_up(system.web, event_id)
    for web in (system.web, other):
        asked = await join(web, event_id)
        body = assert_refused(asked, 428, "challenge_required")
        assert body["challenge"]["parameters"]["data"]["room"] == event_id
        assert (await join(web, event_id, solution=solve(asked))).status_code == 201
    assert (await join(system.web, event_id, OFFICE)).status_code == 201, "nobody else is asked"


async def test_a_flood_from_one_address_takes_its_share_and_no_more(system: System, other: Web, event_id: str) -> None:
    """As it was: no cookies, as fast as it can; with two web processes."""
    async with system.web.client() as one, other.client() as two:
        calls = [
            client.post(url(event_id), headers={"x-forwarded-for": HOME}) for _ in range(200) for client in (one, two)
        ]
        found = Counter(answer.status_code for answer in await asyncio.gather(*calls))
    assert found[201] == SHARE
    assert found[201] + found[428] + found[429] == 400
    assert await system.last_number(event_id) == SHARE
    honest = await join(system.web, event_id, OFFICE)
    assert (honest.status_code, honest.json()["number"]) == (201, SHARE + 1), "only the share is before them"


async def test_addresses_of_one_network_share_and_the_box_office_does_not_count(system: System, event_id: str) -> None:
    for at in range(SHARE):
        assert (await join(system.web, event_id, f"2001:db8:0:1::{at + 1:x}")).status_code == 201
        assert (await join(system.web, event_id, BOX_OFFICE)).status_code == 201
    assert_refused(await join(system.web, event_id, "2001:db8:0:1:ffff::9"), 428, "challenge_required")
    assert (await join(system.web, event_id, BOX_OFFICE)).status_code == 201


async def test_forged_addresses_gain_nothing(system: System, other: Web, event_id: str) -> None:
    """A client behind the proxy writes what it likes to the left of its own address."""
    for web in (system.web, other):
        for at in range(SHARE // 2):
            forged = f"10.9.8.{at}, 127.0.0.1, {HOME}"
            assert (await join(web, event_id, forged)).status_code == 201
    for web in (system.web, other):
        assert_refused(await join(web, event_id, f"10.7.7.7, {HOME}"), 428, "challenge_required")


async def test_without_a_trusted_proxy_nobody_says_who_they_are(system: System, event_id: str) -> None:
    for trusted in ("", "10.0.0.1"):
        bare = await system.another_web(trusted_proxies=trusted)
        for _ in range(SHARE + 5):
            assert (await join(bare, event_id, "10.0.0.1")).status_code == 201, "this machine is not counted"
    assert (await join(system.web, event_id, "10.0.0.1")).status_code == 201, "nor was anybody else"


async def test_whoever_has_a_place_comes_back_to_it(system: System, event_id: str) -> None:
    cookies = f"tiketi_holder={system.browser()['tiketi_holder']}"
    first = await join(system.web, event_id, cookie=cookies)
    await use_up(system.web, event_id, OFFICE)
    for _ in range(SHARE):
        again = await join(system.web, event_id, cookie=cookies)
        assert (again.status_code, again.json()["number"]) == (200, first.json()["number"])
    assert (await join(system.web, event_id, OFFICE, cookie=cookies)).status_code == 200
    found = {"x-queue-ticket": first.json()["ticket"]}
    assert_refused(await join(system.web, event_id, OFFICE, **found), 428, "challenge_required")


async def test_a_solution_is_good_once_and_for_its_room_and_address(system: System, other: Web, event_id: str) -> None:
    elsewhere = await system.event()
    await use_up(system.web, event_id)
    asked = await join(system.web, event_id)
    solution = solve(asked)
    assert_refused(await join(system.web, elsewhere, solution=solution), 403, "solution_foreign")
    assert_refused(await join(system.web, event_id, OFFICE, solution), 403, "solution_foreign")
    answers = await asyncio.gather(*(join(web, event_id, HOME, solution) for web in (system.web, other) * 5))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"solution_spent"}


async def test_a_flood_of_wrong_solutions_gets_nothing_and_costs_no_challenge(
    system: System, other: Web, event_id: str
) -> None:
    await use_up(system.web, event_id)
    asked = await join(system.web, event_id)
    wrong = base64.b64encode(
        json.dumps(
            {"challenge": asked.json()["challenge"], "solution": {"counter": 1, "derivedKey": "00" * 32}}
        ).encode()
    ).decode()
    headers = {"x-forwarded-for": HOME, SOLUTION_HEADER.decode(): wrong}
    async with system.web.client() as one, other.client() as two:
        calls = [client.post(url(event_id), headers=headers) for _ in range(150) for client in (one, two)]
        answers = await asyncio.gather(*calls)
    assert Counter(answer.json()["code"] for answer in answers) == {"solution_invalid": 300}
    assert await system.last_number(event_id) == SHARE
    assert (await join(system.web, event_id, OFFICE)).status_code == 201


@pytest.mark.parametrize(("code", "solution"), [("challenged", ""), ("solution_invalid", "x")])
@pytest.mark.parametrize("is_fast", [True, False])
async def test_a_refusal_is_late_and_holds_up_nobody_else(
    system: System, other: Web, event_id: str, monkeypatch: pytest.MonkeyPatch, code: str, solution: str, is_fast: bool
) -> None:
    """So that each connection of a flood is refused a few times a second, and not as often as it can ask."""
    is_late = asyncio.Event()
    monkeypatch.setattr(joining, "_late", is_late.wait)
    monkeypatch.setattr(fast, "REFUSED_AFTER_S", 1e6)
    web = system.web if is_fast else other
    await use_up(web, event_id)
    refused = asyncio.create_task(join(web, event_id, solution=solution))

    async def is_counted() -> bool:
        return (event_id, code) in web.state["meters"].door

    await wait_until(is_counted, description="the refusal is made")
    assert (await join(web, event_id, OFFICE)).status_code == 201
    assert not refused.done()
    refused.cancel()
    is_late.set()


@pytest.mark.parametrize("solution", ["x", "e30=", "A" * 4_000, "A" * 20_000])
async def test_noise_is_no_solution(system: System, event_id: str, solution: str) -> None:
    assert_refused(await join(system.web, event_id, solution=solution), 422, "solution_invalid")
    assert await system.last_number(event_id) == 0


async def test_a_room_may_ask_everybody(system: System, event_id: str) -> None:
    await system.change(event_id, door="challenge")
    asked = await join(system.web, event_id, BOX_OFFICE)
    assert_refused(asked, 428, "challenge_required")
    assert (await join(system.web, event_id, BOX_OFFICE, solve(asked))).status_code == 201


async def test_an_open_door_asks_everybody_under_pressure(system: System, event_id: str) -> None:
    small = await system.another_web(door_pressure_per_s=1)
    at = 0
    while (asked := await join(small, event_id, f"10.1.1.{at}")).status_code == 201:
        at += 1
    more = await asyncio.gather(*(join(small, event_id, f"10.1.2.{each}") for each in range(10)))
    assert {answer.status_code for answer in more} == {428}, "for a while, whoever comes"
    solved = await join(small, event_id, f"10.1.1.{at}", solve(asked))
    assert solved.status_code == 201


async def test_an_address_is_made_so_many_challenges_and_then_asked_to_wait(system: System, event_id: str) -> None:
    await use_up(system.web, event_id)
    async with system.web.client() as client:
        calls = [client.post(url(event_id), headers={"x-forwarded-for": HOME}) for _ in range(AT_ONCE_MAX * 2)]
        answers = await asyncio.gather(*calls)
    late = [answer for answer in answers if answer.status_code == 429]
    assert late
    assert {(answer.json()["code"], answer.headers["retry-after"]) for answer in late} == {("challenges_short", "1")}


async def test_what_happens_at_the_door_is_counted(system: System, event_id: str) -> None:
    await use_up(system.web, event_id)
    asked = await join(system.web, event_id)
    await join(system.web, event_id, solution=solve(asked))
    await join(system.web, event_id, solution="x")
    counts = {outcome: n for (event, outcome), n in system.state["meters"].door.items() if event == event_id}
    assert counts == {"free": SHARE, "challenged": 1, "solved": 1, "solution_invalid": 1}
