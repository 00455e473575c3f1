"""The waiting list from outside: who may join it, what is offered, and that nobody passes the line by it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.forms import send
from tests.http.system import BUYER, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"seats_per_buyer_max": 6}


def at(event_id: str) -> str:
    return f"/api/waitlist/{event_id}"


def wishing(quantity: int = 2, *grades: str) -> dict[str, Any]:
    return {"wish": {"quantity": quantity, "grades": list(grades)}}


async def sell_out(system: System, event_id: str) -> list[tuple[Buyer, str]]:
    """Two people hold all twelve seats; their clients stay open until the system stops."""
    holding = []
    for _ in range(2):
        ann = await system.stack.enter_async_context(buyer(system, event_id))
        await ann.enter()
        holding.append((ann, (await ann.hold(quantity=6))["id"]))
    return holding


async def entry(client: httpx2.AsyncClient, event_id: str) -> dict[str, Any]:
    answer = await client.get(at(event_id))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["entry"]
    return found


async def until(client: httpx2.AsyncClient, event_id: str, state: str) -> dict[str, Any]:
    async def stands() -> dict[str, Any] | None:
        found = await entry(client, event_id)
        return found if found["state"] == state else None

    return await wait_until(stands, description=f"the entry is {state}")


async def test_a_freed_seat_is_offered_held_and_sold_to_the_first_on_the_list(system: System, event_id: str) -> None:
    (ann, sold), _ = await sell_out(system, event_id)
    async with system.web.client() as bob, system.web.client() as cat:
        made = await bob.post(at(event_id), json=wishing())
        assert (made.status_code, made.json()["entry"]["place"]) == (201, 1)
        assert (await cat.post(at(event_id), json=wishing(6))).json()["entry"]["place"] == 2
        assert made.json()["entry"]["wish"] == {"quantity": 2, "grades": [], "adjacent": True}
        again = await bob.post(at(event_id), json=wishing(4))
        assert (again.status_code, again.json()["entry"]["wish"]["quantity"]) == (200, 2)
        await ann.client.post(f"/api/reservations/{sold}/cancel")
        offered = await until(bob, event_id, "offered")
        assert offered["place"] is None
        mine = (await bob.get("/api/reservations/my")).json()["reservations"]
        assert [one["id"] for one in mine] == [offered["reservationId"]]
        assert (await entry(cat, event_id))["place"] == 1
        paying = {"reservationId": offered["reservationId"], "paymentMethod": "kakao_pay"}
        assert (await bob.post("/api/payments/process", json=paying)).status_code == 201
        await until(bob, event_id, "bought")
        assert_problem(await bob.delete(at(event_id)), 409, "waitlist_bought")


async def test_leaving_an_offer_gives_its_seats_to_the_next(system: System, event_id: str) -> None:
    (ann, sold), _ = await sell_out(system, event_id)
    async with system.web.client() as bob, system.web.client() as cat:
        await bob.post(at(event_id), json=wishing(6))
        await cat.post(at(event_id), json=wishing(3))
        await ann.client.post(f"/api/reservations/{sold}/cancel")
        await until(bob, event_id, "offered")
        for _ in range(2):
            assert (await bob.delete(at(event_id))).status_code == 200
        await until(bob, event_id, "left")
        await until(cat, event_id, "offered")


async def test_nobody_joins_the_list_past_people_in_line(system: System, event_id: str) -> None:
    (ann, _), _ = await sell_out(system, event_id)
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as waiting, system.web.client() as eve:
        await waiting.join()
        view = system.state["rooms"].views[event_id]

        async def stands() -> bool:
            return view.waiting > 0

        await wait_until(stands, description="somebody waits in line")
        assert_problem(await eve.post(at(event_id), json=wishing()), 409, "line_first")
        assert_problem(await waiting.client.post(at(event_id), json=wishing()), 409, "line_first")
        assert (await ann.client.post(at(event_id), json=wishing())).status_code == 201  # the line moved past her


async def test_the_list_of_a_line_for_accounts_is_for_accounts(system: System, event_id: str) -> None:
    (ann, _), _ = await sell_out(system, event_id)
    await system.change(event_id, door="accounts")
    async with system.web.client() as eve:
        assert_problem(await eve.post(at(event_id), json=wishing()), 401, "login_required")
        eve.headers.update(await system.bearer(BUYER))
        assert (await eve.post(at(event_id), json=wishing())).status_code == 201
    assert (await ann.client.post(at(event_id), json=wishing())).status_code == 201, "she stood in line before"


async def test_the_list_is_for_what_cannot_be_bought(system: System, event_id: str) -> None:
    async with system.web.client() as bob:
        assert_problem(await bob.post(at(event_id), json=wishing()), 409, "seats_left")
        assert_problem(await bob.post(at("later"), json=wishing()), 409, "not_on_sale")
        await sell_out(system, event_id)
        assert_problem(await bob.post(at(event_id), json=wishing(7)), 422, "too_many_seats")
        assert_problem(await bob.post(at(event_id), json=wishing(1, "Z")), 422, "grade_unknown")
        assert_problem(await bob.post(at("nothing"), json=wishing()), 404, "event_unknown")
        for body in ({}, {"wish": None}, {"wish": {"quantity": 0}}, {"wish": {"quantity": 1, "more": 1}}):
            assert_problem(await bob.post(at(event_id), json=body), 422, "payload_invalid")
        assert_problem(await bob.get(at(event_id)), 404, "waitlist_unknown")
        assert_problem(await bob.delete(at(event_id)), 404, "waitlist_unknown")


async def test_a_place_on_the_list_belongs_to_the_account_on_every_device(system: System, event_id: str) -> None:
    await sell_out(system, event_id)
    headers = await system.bearer(BUYER)
    async with system.web.client(headers=headers) as phone, system.web.client(headers=headers) as laptop:
        assert (await phone.post(at(event_id), json=wishing())).status_code == 201
        assert (await laptop.post(at(event_id), json=wishing())).status_code == 200
        assert (await entry(laptop, event_id))["state"] == "waiting"
    async with system.web.client() as nobody:
        assert_problem(await nobody.get(at(event_id)), 404, "waitlist_unknown")


async def test_the_list_as_pages_and_forms(system: System, event_id: str) -> None:
    (ann, sold), _ = await sell_out(system, event_id)
    async with system.web.client(headers={"accept-language": "en"}) as bob:
        assert "Join the waiting list" in (await bob.get(f"/events/{event_id}")).text
        page = f"/events/{event_id}/waitlist"
        assert "Join the list" in (await bob.get(page)).text
        done = await send(bob, page, page, {"quantity": "2"})
        assert (done.status_code, done.headers["location"]) == (303, page)
        assert "You are on the list" in (await bob.get(page)).text
        assert "On the waiting list" in (await bob.get("/reservations")).text
        await ann.client.post(f"/api/reservations/{sold}/cancel")
        await until(bob, event_id, "offered")
        assert "Seats came free" in (await bob.get(page)).text
        assert (await send(bob, page, f"{page}/leave", {})).status_code == 303
        assert "Join the list" in (await bob.get(page)).text


async def test_ones_own_reservations_come_in_pages(system: System) -> None:
    async with buyer(system, "direct") as ann:
        await ann.client.get("/events/direct")
        made = []
        for _ in range(3):
            made.append((await ann.hold(quantity=1))["id"])
            assert (await ann.pay(made[-1])).status_code == 201
        first = (await ann.client.get("/api/reservations/my", params={"limit": 2})).json()
        rest = (await ann.client.get("/api/reservations/my", params={"cursor": first["next"]})).json()
        assert [one["id"] for one in first["reservations"] + rest["reservations"]] == made[::-1]
        assert rest["next"] is None
        for wrong in ({"limit": 0}, {"limit": 101}, {"cursor": "x"}):
            answer = await ann.client.get("/api/reservations/my", params=wrong)
            assert_problem(answer, 422, "payload_invalid")
        for name in made:
            await ann.client.post(f"/api/reservations/{name}/cancel")


async def test_one_address_does_not_take_every_place(system: System, event_id: str) -> None:
    """A browser's id costs nothing: a script has as many as it likes."""
    few = await system.another_web(waitlist_per_address_max=3)
    await sell_out(system, event_id)
    async with few.client() as bob:
        assert (await bob.post(at(event_id), json=wishing())).status_code == 201

        async def script() -> httpx2.Response:
            async with few.client() as nobody:
                return await nobody.post(at(event_id), json=wishing())

        answers = await asyncio.gather(*(script() for _ in range(20)))
        assert sorted({answer.status_code for answer in answers}) == [201, 429]
        assert sum(answer.status_code == 201 for answer in answers) == 2
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert_problem(refused, 429, "too_many_attempts")
        assert int(refused.headers["retry-after"]) > 3600
        assert (await bob.post(at(event_id), json=wishing())).status_code == 200, "who is on it may ask again"
        other = await system.event()
        await sell_out(system, other)
        assert (await bob.post(at(other), json=wishing())).status_code == 201, "each event has a list of its own"


async def test_nobody_waits_for_more_seats_than_there_ever_are(system: System) -> None:
    """Whoever did would be offered the whole hall in the moment its seat map is uploaded."""
    admin = await system.bearer()
    new = {"title": "New", "venue": "Hall", "eventDate": "2099-06-01T19:00", "admission": "open"}
    async with system.web.client() as client, system.web.client(headers={"accept-language": "en"}) as bob:
        made = (await client.post("/api/admin/events", json=new, headers=admin)).json()["event"]["id"]
        assert_problem(await bob.post(at(made), json=wishing(1)), 409, "seats_too_few")
        page = f"/events/{made}/waitlist"
        for lang, words in (("en", "nothing to wait for"), ("ko", "대기할 수 없습니다")):
            bob.headers["accept-language"] = lang
            refused = await send(bob, page, page, {"quantity": "1"})
            assert (refused.status_code, words in refused.text) == (409, True)
        seats = "grade,section,row,number,price\nR,A,1,1,100\nS,A,2,1,50\nS,A,2,2,50\n"
        headers = {**admin, "content-type": "text/csv"}
        uploaded = await client.post(f"/api/admin/events/{made}/seats", content=seats, headers=headers)
        assert uploaded.status_code == 201, uploaded.text
        assert set((await Buyer(bob, made).seat_statuses()).values()) == {"available"}
        assert_problem(await bob.post(at(made), json=wishing(2, "R")), 409, "seats_too_few")
        assert_problem(await bob.post(at(made), json=wishing(4)), 409, "seats_too_few")
        assert_problem(await bob.post(at(made), json=wishing(3)), 409, "seats_left")
        await bob.get(f"/events/{made}")
        await Buyer(bob, made).hold(quantity=1)
        assert (await bob.post(at(made), json=wishing(3))).status_code == 201
