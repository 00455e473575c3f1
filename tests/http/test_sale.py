"""The sale window, felt everywhere: rooms open and close with it, and nothing is sold outside it or once cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import redis_keys
from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOUR = timedelta(hours=1)
SOON = timedelta(seconds=1)


async def edit(system: System, event_id: str, **wanted: Any) -> dict[str, Any]:
    sent = {name: each.isoformat() if isinstance(each, datetime) else each for name, each in wanted.items()}
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.put(f"/api/admin/events/{event_id}", json=sent)
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()["event"]
    return event


async def cancel(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.post(f"/api/admin/events/{event_id}/cancel")
    assert answer.status_code == 200, answer.text


async def status(system: System, event_id: str) -> str:
    async with system.web.client() as client:
        found: str = (await client.get(f"/api/events/{event_id}")).json()["event"]["status"]
        return found


async def room_is(system: System, event_id: str, state: str) -> None:
    async def stands() -> bool:
        async with system.web.client() as client:
            found = (await client.get(f"/api/queue/{event_id}/status")).json()["state"]
            return bool(found == state)

    await wait_until(stands, description=f"the room is {state}")


async def test_an_event_made_by_the_api_has_its_room_when_the_answer_comes(system: System) -> None:
    wanted: dict[str, Any] = {"title": "Gig", "venue": "Hall", "eventDate": (datetime.now(UTC) + HOUR).isoformat()}
    wanted["room"] = {"ratePerSecond": 2.5, "burst": 3, "maxActive": 4}
    async with system.web.client(headers=await system.bearer()) as client:
        made = (await client.post("/api/admin/events", json=wanted)).json()["event"]
        room = (await client.get(f"/api/admin/events/{made['id']}/admission")).json()
        assert (room["state"], room["ratePerSecond"], room["burst"], room["maxActive"]) == ("open", 2.5, 3, 4)
        assert (await client.post(f"/api/queue/{made['id']}/join")).status_code == 201


async def test_a_sale_that_is_moved_moves_its_room_at_once(system: System, event_id: str) -> None:
    now = datetime.now(UTC)
    event = await edit(system, event_id, saleOpensAt=now + HOUR)
    assert event["status"] == "upcoming"
    async with buyer(system, event_id) as ann:
        refused = assert_problem(await ann.join(), 409, "room_not_open")
        assert datetime.fromisoformat(refused["opensAt"]) == datetime.fromisoformat(event["saleOpensAt"])
        assert (await edit(system, event_id, saleOpensAt=now))["status"] == "on_sale"
        await room_is(system, event_id, "open")
        assert (await ann.join()).status_code == 201


async def test_a_room_opens_and_closes_at_its_moment_by_itself(system: System, event_id: str) -> None:
    await edit(system, event_id, saleOpensAt=datetime.now(UTC) + HOUR)
    assert await status(system, event_id) == "upcoming"
    async with buyer(system, event_id) as ann:
        opens = datetime.now(UTC) + SOON
        await edit(system, event_id, saleOpensAt=opens)
        await room_is(system, event_id, "open")
        assert datetime.now(UTC) >= opens
        await ann.join()
        async with ann.stream() as stream:
            closes = datetime.now(UTC) + SOON
            await edit(system, event_id, saleClosesAt=closes)
            told = await stream.rest()
        assert datetime.now(UTC) >= closes
        assert told[-1].data["reason"] == "sale_ended"
        assert await status(system, event_id) == "ended"
        position = await ann.position()
        assert (position["room"], position["reason"]) == ("closed", "sale_ended")
    async with buyer(system, event_id) as ben:
        assert assert_problem(await ben.join(), 410, "room_closed")["reason"] == "sale_ended"


async def test_a_sale_that_is_prolonged_after_its_end_begins_a_new_line(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        await edit(system, event_id, saleClosesAt=datetime.now(UTC))
        await room_is(system, event_id, "closed")
        await edit(system, event_id, saleClosesAt=datetime.now(UTC) + HOUR)
        await room_is(system, event_id, "open")
        assert_problem(await ann.client.get(f"/api/queue/{event_id}/position"), 410, "ticket_old_epoch")
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (201, 2)


async def test_what_an_admin_decided_stays_when_the_sale_is_moved(system: System, event_id: str) -> None:
    for state in ("paused", "closed"):
        await system.change(event_id, state=state)
        await edit(system, event_id, saleClosesAt=datetime.now(UTC) + HOUR)
        await edit(system, event_id, saleClosesAt=datetime.now(UTC) + 2 * HOUR)
        assert system.state["rooms"].views[event_id].state == state


async def test_a_line_long_over_is_said_to_be_closed_also_when_its_keys_are_gone(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        now = datetime.now(UTC)
        await edit(system, event_id, saleOpensAt=now - 99 * HOUR, saleClosesAt=now - 49 * HOUR)
        rooms = system.state["rooms"]

        async def forgotten() -> bool:
            return event_id not in rooms.views

        await wait_until(forgotten, description="the keeper has retired the room")
        assert (await ann.position())["room"] == "closed"
        await system.redis.delete(redis_keys.room(event_id))
        assert assert_problem(await ann.join(), 410, "room_closed")["reason"] == "sale_ended"
        page = await ann.client.get(f"/events/{event_id}", headers={"accept-language": "en"})
        assert page.status_code == 200
        assert "This sale has ended." in page.text
        await edit(system, event_id, saleClosesAt=now + HOUR)
        await room_is(system, event_id, "open")
        assert (await ann.join()).status_code == 201


async def test_whoever_opens_the_line_opens_the_sale(system: System, event_id: str) -> None:
    await edit(system, event_id, saleOpensAt=datetime.now(UTC) + HOUR)
    async with system.web.client(headers=await system.bearer()) as client:
        room = f"/api/admin/events/{event_id}/admission"
        assert (await client.patch(room, json={"state": "open"})).status_code == 200
        assert await status(system, event_id) == "on_sale"
        async with buyer(system, event_id) as ann:
            await ann.enter()
            await ann.hold(seatIds=["s0"])
        await edit(system, event_id, saleClosesAt=datetime.now(UTC))
        assert_problem(await client.patch(room, json={"state": "open"}), 409, "change_refused")


async def test_a_pass_buys_nothing_outside_the_sale_but_pays_what_it_holds(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        held = await ann.hold(seatIds=["s0", "s1"])
        await edit(system, event_id, saleClosesAt=datetime.now(UTC))
        refused = assert_problem(await ben.reserve(seatIds=["s2"]), 409, "sale_ended")
        assert datetime.fromisoformat(refused["endedAt"]) <= datetime.now(UTC)
        assert (await ann.pay(held["id"])).status_code == 201


async def test_without_a_room_the_window_holds_too(system: System) -> None:
    async with buyer(system, "direct") as ann:
        await ann.client.get("/events/direct")  # for its cookie
        await edit(system, "direct", saleOpensAt=datetime.now(UTC) + HOUR)
        refused = assert_problem(await ann.reserve(seatIds=["s0"]), 409, "sale_not_open")
        assert datetime.fromisoformat(refused["opensAt"]) > datetime.now(UTC)
        key = {"idempotency-key": "once"}
        assert_problem(await ann.reserve(seatIds=["s0"], headers=key), 409, "sale_not_open")
        await edit(system, "direct", saleOpensAt=datetime.now(UTC) - HOUR)
        assert (await ann.reserve(seatIds=["s0"], headers=key)).status_code == 201, "too early is not remembered"
        await cancel(system, "direct")
    async with buyer(system, "direct") as ben:
        await ben.client.get("/events/direct")
        assert_problem(await ben.reserve(seatIds=["s1"]), 410, "event_cancelled")


async def test_a_buyer_gives_nothing_back_that_is_paid_once_the_event_has_begun(system: System, event_id: str) -> None:
    async with buyer(system, event_id, headers={"accept-language": "en"}) as ann, buyer(system, event_id) as ben:
        names = []
        for one in (ann, ben):
            await one.enter()
            names.append((await one.hold(quantity=1))["id"])
        paid, held = names
        await ann.pay(paid)
        assert f"/reservations/{paid}/cancel" in (await ann.client.get(f"/reservations/{paid}")).text
        await edit(system, event_id, eventDate=datetime.now(UTC))
        assert_problem(await ann.client.post(f"/api/reservations/{paid}/cancel"), 409, "event_begun")
        shown = (await ann.client.get(f"/reservations/{paid}")).text
        assert "/cancel" not in shown
        assert (await ben.client.post(f"/api/reservations/{held}/cancel")).status_code == 200, "it was never paid"
        async with system.web.client(headers=await system.bearer()) as admin:
            assert (await admin.post(f"/api/admin/reservations/{paid}/refund")).status_code == 200


async def test_cancelling_tells_everyone_and_gives_all_of_it_back(system: System, event_id: str) -> None:
    async with (
        buyer(system, event_id) as paid,
        buyer(system, event_id) as holding,
        buyer(system, event_id) as inside,
        buyer(system, event_id) as waiting,
    ):
        await paid.enter()
        bought = await paid.hold(seatIds=["s0", "s1"])
        await paid.pay(bought["id"])
        await holding.enter()
        held = await holding.hold(seatIds=["s2"])
        await inside.enter()
        await system.change(event_id, max_active=1)
        await waiting.join()
        async with waiting.stream() as stream:
            await stream.next("position")
            await cancel(system, event_id)
            told = await stream.rest()
        assert told[-1].name == "closed"
        assert told[-1].data["reason"] == "event_cancelled"
        assert "message" not in told[-1].data, "the reason says it, in whatever language"
        position = await waiting.position()
        assert (position["room"], position["reason"]) == ("closed", "event_cancelled")
        async with buyer(system, event_id) as late:
            assert_problem(await late.join(), 410, "event_cancelled")
        assert_problem(await inside.reserve(seatIds=["s5"]), 410, "event_cancelled")
        for who, made, end in ((paid, bought, "refunded"), (holding, held, "cancelled")):

            async def has_ended(who: Any = who, made: Any = made, end: str = end) -> bool:
                answer = await who.client.get(f"/api/reservations/{made['id']}")
                return bool(answer.json()["reservation"]["status"] == end)

            await wait_until(has_ended, description=f"the reservation is {end}")

        async def all_are_free() -> bool:  # a process hears of the seats after they are free
            return set((await paid.seat_statuses()).values()) == {"available"}

        await wait_until(all_are_free, description="every seat is free again")


async def test_a_cancelled_line_cannot_be_opened_again(system: System, event_id: str) -> None:
    await cancel(system, event_id)
    async with system.web.client(headers=await system.bearer()) as client:
        answer = await client.patch(f"/api/admin/events/{event_id}/admission", json={"state": "open"})
        assert_problem(answer, 409, "change_refused")
    assert system.state["rooms"].views[event_id].state == "closed"


async def test_a_change_of_prices_is_on_the_map_and_leaves_what_is_reserved(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0", "s6"])
        assert [seat["price"] for seat in held["seats"]] == [100, 50]
        prices = [{"grade": "R", "price": 120}, {"grade": "S", "price": 50}]
        await edit(system, event_id, ticketTypes=prices)
        seats = (await ann.client.get(f"/api/seats/events/{event_id}")).json()["seats"]
        assert {seat["price"] for seat in seats if seat["grade"] == "R"} == {120}
        kept = (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"]
        assert kept == held
        assert (await ann.pay(held["id"])).json()["payment"]["amount"] == 150
    async with buyer(system, event_id) as ben:
        await ben.enter()
        assert (await ben.hold(seatIds=["s1"]))["totalPrice"] == 120
