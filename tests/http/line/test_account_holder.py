"""A place, a turn and a pass of an account are worth nothing to whoever is not logged in to it, wherever shown."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from app.ledger import users
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.forms import send
from tests.http.system import System, Web

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "a long enough one"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["fast", "ordinary"])
async def web(request: pytest.FixtureRequest, system: System) -> AsyncIterator[Web]:
    yield await system.another_web(fast_path=request.param)


@dataclass
class Sold:
    """Somebody's ticket and pass, with seats held for them, and whoever else has got hold of both."""

    owner: Buyer
    thief: Buyer
    ticket: dict[str, str]
    admission_pass: dict[str, str]
    reservation_id: str


async def log_in(system: System, person: Buyer) -> None:
    """To an account of their own."""
    user_id = f"u_{secrets.token_hex(6)}"
    made = {"user_id": user_id, "email": f"{user_id}@holders.example", "name": "Ann", "password": PASSWORD}
    assert await users.create(system.db, **made, role="buyer", now=datetime.now(UTC))
    login = {"email": made["email"], "password": PASSWORD}
    assert (await person.client.post("/api/auth/login", json=login)).status_code == 200


@pytest_asyncio.fixture(loop_scope="module", params=["a browser", "another account", "whoever logged out"])
async def sold(request: pytest.FixtureRequest, system: System, web: Web) -> AsyncIterator[Sold]:
    event_id = await system.event()
    await system.change(event_id, door="accounts")
    await web.state["rooms"].reload(event_id)
    async with AsyncExitStack() as stack:
        owner, thief = [await stack.enter_async_context(buyer(system, event_id, web)) for _ in range(2)]
        await log_in(system, owner)
        ticket = (await owner.join()).json()["ticket"]
        await owner.until("admitted")
        admission_pass = (await owner.claim()).json()["pass"]
        held = await owner.hold(quantity=1)
        if request.param == "another account":
            await log_in(system, thief)
        if request.param == "whoever logged out":
            await log_in(system, thief)
            await thief.client.post("/api/auth/logout")
        thief.client.cookies.set(f"tiketi_ticket_{event_id}", ticket)
        thief.client.cookies.set(f"tiketi_pass_{event_id}", admission_pass)
        yield Sold(owner, thief, {"x-queue-ticket": ticket}, {"x-admission-pass": admission_pass}, held["id"])


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "cookie"])
async def test_the_api_opens_nothing_for_them(sold: Sold, by_header: bool) -> None:
    thief, ticket, admission = sold.thief, sold.ticket, sold.admission_pass
    if by_header:
        thief.client.cookies.delete(f"tiketi_ticket_{thief.event_id}")
        thief.client.cookies.delete(f"tiketi_pass_{thief.event_id}")
    else:
        ticket = admission = {}
    for verb in ("claim", "leave"):
        assert_problem(await thief.post(verb, headers=ticket), 403, "holder_other")
    assert_problem(await thief.reserve(quantity=1, headers=admission), 403, "holder_other")
    told = await thief.client.get(f"/api/queue/{thief.event_id}/position", headers=ticket)
    assert (told.status_code, told.json().get("reservation")) == (200, None)
    async with thief.stream(headers=ticket) as stream:
        assert "reservation" not in (await stream.next("position")).data
    one = f"/api/reservations/{sold.reservation_id}"
    for answer in (await thief.client.get(one), await thief.client.post(f"{one}/cancel")):
        assert answer.status_code == 404
    assert (await thief.pay(sold.reservation_id)).status_code == 404
    assert (await thief.client.get("/api/reservations/my")).json().get("reservations", []) == []
    assert (await sold.owner.pay(sold.reservation_id)).status_code == 201


async def test_the_pages_open_nothing_for_them(sold: Sold) -> None:
    thief, event_id = sold.thief.client, sold.thief.event_id
    thief.headers["accept-language"] = "en"
    at = f"/events/{event_id}"
    assert "You are already in line." not in (await thief.get(at)).text
    seats = (await thief.get(f"{at}/seats")).text
    assert sold.reservation_id not in seats
    assert '"mayHold": false' in seats or '"mayHold":false' in seats
    waiting = await thief.get(f"{at}/wait")
    assert sold.reservation_id not in waiting.text
    for form in ("claim", "leave"):
        answer = await send(thief, "/login", f"{at}/{form}", {})
        assert answer.headers.get("location", f"{at}/wait") == f"{at}/wait"
        assert not answer.cookies.get(f"tiketi_pass_{event_id}")
    assert (await thief.get(f"/reservations/{sold.reservation_id}")).status_code == 404
    assert (await sold.owner.position())["state"] == "claimed"


async def test_an_open_stream_tells_nothing_that_is_reserved_once_its_account_has_logged_out(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        await log_in(system, ann)
        await ann.join()
        await ann.until("admitted")
        await ann.claim()
        held = await ann.hold(quantity=1)
        async with ann.stream() as stream:
            assert (await stream.next("position")).data["reservation"] == held
            assert (await ann.client.post("/api/auth/logout")).status_code == 200
            system.state["hub"].poke()
            assert "reservation" not in (await stream.next("position")).data
