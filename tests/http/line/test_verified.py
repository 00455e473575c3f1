"""A line for verified accounts: a session says who may take a place in it, and ends when an admin takes that back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from app.ledger import users
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.forms import send
from tests.http.system import System, Web
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "a long enough one"
USERS = "/api/admin/users"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["fast", "ordinary"])
async def web(request: pytest.FixtureRequest, system: System) -> AsyncIterator[Web]:
    yield await system.another_web(fast_path=request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def strict(system: System, web: Web) -> str:
    """An event whose line is for verified accounts."""
    event_id = await system.event()
    await system.change(event_id, door="verified")
    await web.state["rooms"].reload(event_id)
    return event_id


async def account(system: System, person: Buyer) -> str:
    """Make an account, nobody's yet, and log this person in to it; its id."""
    user_id = f"u_{secrets.token_hex(6)}"
    made = {"user_id": user_id, "email": f"{user_id}@verified.example", "name": "Ann", "password": PASSWORD}
    assert await users.create(system.db, **made, role="buyer", now=datetime.now(UTC))
    await log_in(person, user_id)
    return user_id


async def log_in(person: Buyer, user_id: str) -> None:
    login = {"email": f"{user_id}@verified.example", "password": PASSWORD}
    answer = await person.client.post("/api/auth/login", json=login)
    assert answer.status_code == 200, answer.text


async def as_admin(system: System, user_id: str, verb: str) -> dict[str, Any]:
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.post(f"{USERS}/{user_id}/{verb}")
    assert answer.status_code == 200, answer.text
    user: dict[str, Any] = answer.json()["user"]
    return user


async def test_only_a_verified_account_gets_a_place_which_it_keeps(web: Web, system: System, strict: str) -> None:
    async with buyer(system, strict, web) as ann:
        assert_problem(await ann.join(), 401, "login_required")
        user_id = await account(system, ann)
        assert_problem(await ann.join(), 403, "verification_required")
        assert (await as_admin(system, user_id, "verify"))["verifiedAt"]
        assert_problem(await ann.join(), 403, "verification_required")
        assert await system.last_number(strict) == 0
        await log_in(ann, user_id)
        assert ((await ann.join()).status_code, (await ann.join()).status_code) == (201, 200)
        assert await system.last_number(strict) == 1
        await ann.until("admitted")
        assert (await ann.claim()).status_code == 200


async def test_a_verification_that_is_taken_back_is_worth_nothing_from_then_on(
    web: Web, system: System, strict: str
) -> None:
    async with buyer(system, strict, web) as bob:
        user_id = await account(system, bob)
        await as_admin(system, user_id, "verify")
        await log_in(bob, user_id)
        assert (await as_admin(system, user_id, "unverify"))["verifiedAt"] is None

        async def is_over() -> bool:
            return (await bob.client.get("/account/password")).status_code == 303

        await wait_until(is_over, description="the session ends in this process")
        assert_problem(await bob.join(), 401, "login_required")
        await log_in(bob, user_id)
        assert_problem(await bob.join(), 403, "verification_required")
        assert await system.last_number(strict) == 0


async def test_whoever_is_in_line_stays_when_the_door_is_closed_to_them(web: Web, system: System) -> None:
    event_id = await system.event()
    async with buyer(system, event_id, web) as carl, buyer(system, event_id, web) as guest:
        await account(system, carl)
        await carl.join()
        await guest.join()
        await system.change(event_id, door="verified")
        await web.state["rooms"].reload(event_id)
        assert [(await one.join()).status_code for one in (carl, guest)] == [200, 200]


async def test_a_proof_of_work_does_not_pass_for_a_verification(web: Web, system: System, strict: str) -> None:
    async with buyer(system, strict, web) as dora:
        await account(system, dora)
        solved = {"x-challenge-solution": "v"}
        assert (await dora.join(headers=solved)).status_code in (403, 422)
        assert await system.last_number(strict) == 0


async def test_the_waiting_list_asks_for_the_same(web: Web, system: System, strict: str) -> None:
    async with buyer(system, strict, web) as first:
        user_id = await account(system, first)
        await as_admin(system, user_id, "verify")
        await log_in(first, user_id)
        await first.enter()
        await first.hold(quantity=6, grades=["R"])
    async with buyer(system, strict, web) as eve:
        wish = {"wish": {"quantity": 6, "grades": ["R"]}}
        list_of = f"/api/waitlist/{strict}"
        assert_problem(await eve.client.post(list_of, json=wish), 401, "login_required")
        user_id = await account(system, eve)
        assert_problem(await eve.client.post(list_of, json=wish), 403, "verification_required")
        await as_admin(system, user_id, "verify")
        await log_in(eve, user_id)
        assert (await eve.client.post(list_of, json=wish)).status_code == 201


async def test_the_page_says_what_to_do(web: Web, system: System, strict: str) -> None:
    async with buyer(system, strict, web, headers={"accept-language": "en"}) as fay:
        page = f"/events/{strict}"
        shown = (await fay.client.get(page)).text
        assert "people with a verified account" in shown
        assert f"/login?next={page}" in shown
        assert 'id="join"' not in shown
        user_id = await account(system, fay)
        shown = (await fay.client.get(page)).text
        assert "yours is not verified" in shown
        assert 'id="join"' not in shown
        async with system.web.client(headers=await system.bearer()) as admin:
            at = f"/admin/users/{user_id}"
            assert (await send(admin, at, at, {"do": "verify"})).status_code == 303
            assert "Take the verification back" in (await admin.get(at, headers={"accept-language": "en"})).text
            found = (await admin.get(USERS, params={"q": user_id, "verified": "true"})).json()["users"]
            assert [one["id"] for one in found] == [user_id]
            assert (await admin.get(USERS, params={"q": user_id, "verified": "false"})).json()["users"] == []
        await log_in(fay, user_id)
        assert (await send(fay.client, page, f"{page}/join", {})).headers["location"] == f"{page}/wait"
