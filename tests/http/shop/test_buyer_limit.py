"""Nobody takes a whole hall: what one person holds and buys of an event has a limit, whatever way they ask."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from app.ledger import events
from app.ledger.tables import events as tables
from tests.http.buyer import assert_problem, buyer
from tests.http.forms import send
from tests.http.system import BUYER, System, event_spec
from tests.lane import world
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"trusted_proxies": "127.0.0.1", "holds_per_address_max": 20}
HOME, OFFICE = {"x-forwarded-for": "203.0.113.7"}, {"x-forwarded-for": "203.0.113.8"}


async def _hall(system: System, event_id: str, seats: int = 120) -> str:
    """An event without a line, which anybody may buy from at once."""
    now = datetime.now(UTC)
    spec = event_spec(
        event_id, now, admission="open", room={}, seats=world.spec(rows=10, seats_per_row=seats // 10).seats
    )
    assert await events.create(system.db, spec, now)
    return event_id


async def test_one_cookie_that_asks_for_every_seat_of_a_hall_gets_eight(system: System) -> None:
    async with buyer(system, await _hall(system, "cookie"), cookies=system.browser()) as ann:
        answers = await asyncio.gather(*(ann.reserve(seatIds=[f"s{idx}"]) for idx in range(20)))
        assert sorted(answer.status_code for answer in answers) == [201] * 8 + [409] * 12
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert assert_problem(refused, 409, "buyer_limit")["left"] == 0
        assert list((await ann.seat_statuses()).values()).count("held") == 8


async def test_logging_in_does_not_begin_the_count_anew(system: System) -> None:
    event_id = await _hall(system, "account")
    bearer = await system.bearer(BUYER)
    async with buyer(system, event_id, cookies=system.browser()) as ann:
        await ann.hold(quantity=6)
        login = {"email": BUYER[0], "password": BUYER[1]}
        assert (await ann.client.post("/api/auth/login", json=login)).status_code == 200
    async with buyer(system, event_id, headers=bearer) as ann:
        assert assert_problem(await ann.reserve(quantity=3), 409, "buyer_limit")["left"] == 2
        await ann.hold(quantity=2)


async def test_who_logs_in_where_more_seats_are_held_may_not_pay_for_them_all(system: System) -> None:
    """Until then nobody could know that the browser and the account are one person."""
    event_id = await _hall(system, "twice")
    async with buyer(system, event_id, cookies=system.browser()) as ann:
        held = await ann.hold(quantity=8)
        async with buyer(system, event_id, headers=await system.bearer(BUYER)) as at_home:
            first, second = await at_home.hold(quantity=5), await at_home.hold(quantity=3)
            assert (await at_home.pay(first["id"])).status_code == 201
        login = {"email": BUYER[0], "password": BUYER[1]}
        assert (await ann.client.post("/api/auth/login", json=login)).status_code == 200
        assert assert_problem(await ann.pay(held["id"]), 409, "buyer_limit")["left"] == 3
        assert (await ann.pay(second["id"])).status_code == 201, "up to the limit one may choose"
        assert assert_problem(await ann.pay(held["id"]), 409, "buyer_limit")["left"] == 0
        assert (await ann.pay(first["id"])).status_code == 201, "a repeat is no further payment"
        assert assert_problem(await ann.reserve(quantity=1), 409, "buyer_limit")["left"] == 0


async def test_a_wish_for_more_than_one_may_have_is_refused_before_it_takes_a_place(system: System) -> None:
    event_id = await system.event()
    async with system.web.client(headers=await system.bearer()) as client:
        edited = await client.put(f"/api/admin/events/{event_id}", json={"seatsPerBuyer": 2})
        assert edited.json()["event"]["seatsPerBuyer"] == 2
    async with buyer(system, event_id) as ann:
        assert assert_problem(await ann.join({"quantity": 3}), 409, "buyer_limit")["left"] == 2
        await ann.join({"quantity": 2})
        await ann.given()


async def test_a_wish_that_comes_on_top_of_what_was_bought_before_is_answered_so(system: System) -> None:
    event_id = await system.event()
    async with system.web.client(headers=await system.bearer()) as client:
        await client.put(f"/api/admin/events/{event_id}", json={"seatsPerBuyer": 3})
    async with buyer(system, event_id) as ann:
        await ann.enter({"quantity": 2})
        assert (await ann.pay((await ann.given())["id"])).status_code == 201
        await ann.until("left", "lapsed", "served")
        assert (await ann.join({"quantity": 2})).status_code == 201

        async def is_told() -> bool:
            return (await ann.position()).get("wish") == "buyer_limit"

        await wait_until(is_told, description="the position says that the person has what one may have")


async def test_an_event_says_its_limit_and_takes_none_or_a_sensible_one(system: System) -> None:
    wanted = {"title": "Gala", "venue": "Hall", "eventDate": "2099-06-01T19:00"}
    async with system.web.client(headers=await system.bearer()) as client:
        for sent, shown in (({}, 8), ({"seatsPerBuyer": None}, None), ({"seatsPerBuyer": 2}, 2)):
            made = await client.post("/api/admin/events", json={**wanted, **sent})
            assert (made.status_code, made.json()["event"]["seatsPerBuyer"]) == (201, shown)
        for wrong in (0, -1, 10_001, "many", 1.5):
            answer = await client.post("/api/admin/events", json={**wanted, "seatsPerBuyer": wrong})
            assert_problem(answer, 422, "payload_invalid")


async def test_one_address_with_many_cookies_does_not_take_a_hall(system: System) -> None:
    event_id = await _hall(system, "cookies")

    async def asks(idx: int, address: dict[str, str]) -> int:
        async with buyer(system, event_id, cookies=system.browser(), headers=address) as somebody:
            return (await somebody.reserve(seatIds=[f"s{idx}"])).status_code

    assert [await asks(idx, HOME) for idx in range(25)] == [201] * 20 + [429] * 5
    assert await asks(99, OFFICE) == 201


@pytest.mark.parametrize("way", ["api", "page"])
async def test_one_cookie_has_so_many_holds_at_once_and_letting_go_of_one_makes_room(system: System, way: str) -> None:
    event_id = await _hall(system, f"holds-{way}")
    async with system.db.write() as tx:
        await tx.execute(update(tables.events).where(tables.events.c.id == event_id).values(seats_per_buyer=None))
    async with buyer(system, event_id, cookies=system.browser(), headers=HOME | {"accept-language": "en"}) as ann:
        held = [await ann.hold(quantity=1) for _ in range(8)]
        if way == "page":
            page = f"/events/{event_id}/seats"
            answer = await send(ann.client, page, f"/events/{event_id}/reserve", {"quantity": "1"})
            assert answer.status_code == 429
            assert "pay for those" in answer.text.lower()
        else:
            refused = await ann.reserve(quantity=1)
            assert_problem(refused, 429, "too_many_holds")
            assert 1 <= int(refused.headers["retry-after"]) <= 300
        assert (await ann.client.post(f"/api/reservations/{held[0]['id']}/cancel")).status_code == 200
        await ann.hold(quantity=1)
        assert (await ann.pay(held[1]["id"])).status_code == 201
        await ann.hold(quantity=1)
