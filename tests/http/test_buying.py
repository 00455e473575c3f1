"""The path of one buyer through the API: join, wait, claim, hold, pay; and all the ways off it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from app import redis_keys
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_buyer_joins_waits_claims_holds_and_pays(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        first, second = await ann.join(), await ben.join()
        assert (first.status_code, second.status_code) == (201, 201)
        assert (first.json()["number"], second.json()["number"]) == (1, 2)
        assert (first.json()["ahead"], second.json()["ahead"]) == (0, 1)
        assert_problem(await ann.claim(), 409, "not_admitted")
        await system.change(event_id, state="open")
        admitted = await ann.until("admitted")
        assert datetime.fromisoformat(admitted["claimBefore"]).utcoffset() == timedelta(0)
        claimed = (await ann.claim()).json()
        assert set(claimed) == {"pass", "expiresAt"}
        held = await ann.hold(seatIds=["s3", "s2"])
        assert [seat["id"] for seat in held["seats"]] == ["s2", "s3"]
        assert (held["status"], held["totalPrice"], held["eventId"]) == ("pending", 200, event_id)
        assert (await ann.seat_statuses())["s2"] == "held"
        paid = await ann.pay(held["id"])
        assert paid.status_code == 201
        payment = paid.json()["payment"]
        assert (payment["amount"], payment["method"], payment["status"]) == (200, "kakao_pay", "captured")
        shown = (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"]
        money = {"status": "captured", "method": "kakao_pay", "amount": 200}
        assert shown == {**held, "status": "confirmed", "payment": money}
        assert (await ann.seat_statuses())["s3"] == "sold"
        mine = (await ann.client.get("/api/reservations/my")).json()["reservations"]
        assert mine == [shown]


async def test_a_join_answers_all_a_client_needs_to_go_on(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused", message='잠시만요 "5분"')
    async with buyer(system, event_id) as ann:
        body = (await ann.join()).json()
        assert body.pop("ticket") == ann.client.cookies[f"tiketi_ticket_{event_id}"]
        assert body.pop("streamUrl") == f"/api/queue/{event_id}/stream"
        assert 900 <= body.pop("pollAfterMs") <= 1100
        assert body == {
            "state": "waiting",
            "room": "paused",
            "number": 1,
            "ahead": 0,
            "etaSeconds": None,
            "message": '잠시만요 "5분"',
        }


async def test_a_wish_finds_its_seats_held_when_the_turn_comes(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 2, "grades": ["R"]})
        held = await ann.given()
        assert [seat["grade"] for seat in held["seats"]] == ["R", "R"]
        claimed = (await ann.claim()).json()
        assert claimed["reservation"] == held
        assert (await ann.pay(held["id"])).status_code == 201


async def test_a_wish_that_finds_nothing_says_so_and_the_buyer_may_choose(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as bob:
        await bob.enter()
        await bob.hold(seatIds=["s1"])
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 6, "grades": ["R"]})

        async def is_told() -> bool:
            return (await ann.position()).get("wish") == "unavailable"

        await wait_until(is_told, description="the position says that the wish found nothing")
        assert (await ann.claim()).status_code == 200
        assert (await ann.hold(seatIds=["s0"]))["status"] == "pending"


async def test_a_grade_the_event_does_not_have_takes_no_number_and_no_seat(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        unknown: dict[str, Any] = {"quantity": 2, "grades": ["R", "ZZ"]}
        assert assert_problem(await ann.join(unknown), 422, "grade_unknown")["grade"] == "ZZ"
        assert await system.last_number(event_id) == 0
        await ann.enter()
        assert_problem(await ann.reserve(**unknown), 422, "grade_unknown")
        assert set((await ann.seat_statuses()).values()) == {"available"}


async def test_best_available_gives_neighbours_of_the_first_grade_that_has_them(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(quantity=3, grades=["S", "R"])
        assert [seat["grade"] for seat in held["seats"]] == ["S"] * 3
        numbers = [seat["number"] for seat in held["seats"]]
        assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_required_neighbours_are_given_or_refused_with_what_is_left(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ben, buyer(system, event_id) as ann:
        await ben.enter()
        assert (await ben.hold(seatIds=["s2"]))["together"] is True
        await ann.enter()
        refused = assert_problem(
            await ann.reserve(quantity=4, grades=["R"], adjacent="required"), 409, "seats_unavailable"
        )
        assert (refused["left"], refused["leftTogether"]) == ({"R": 5, "S": 6}, {"R": 3, "S": 3})
        held = await ann.hold(quantity=3, grades=["R"], adjacent="required")
        assert (held["together"], held["groups"]) == (True, 1)
        assert [seat["id"] for seat in held["seats"]] == ["s3", "s4", "s5"]


async def test_a_wish_for_required_neighbours_finds_none_but_neighbours(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ben, buyer(system, event_id) as ann:
        await ben.enter()
        await ben.hold(seatIds=["s2", "s8"])
        await ann.join({"quantity": 4, "adjacent": "required"})

        async def is_told() -> bool:
            return (await ann.position()).get("wish") == "unavailable"

        await wait_until(is_told, description="the position says that the wish found nothing")


async def test_a_choice_that_leaves_one_seat_alone_is_told_so_or_refused_if_one_asks(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        refused = assert_problem(await ann.reserve(seatIds=["s1"], leaveSingle=False), 409, "leaves_single_seat")
        assert (refused["seatIds"], refused["mayHold"]) == (["s0"], True)
        assert (await ann.reserve(seatIds=["s1"])).json()["singleSeatIds"] == ["s0"]


async def test_an_event_may_refuse_choices_that_leave_one_seat_alone(system: System, event_id: str) -> None:
    async with system.web.client(headers=await system.bearer()) as client:
        edited = await client.put(f"/api/admin/events/{event_id}", json={"singleSeats": "refused"})
        assert edited.json()["event"]["singleSeats"] == "refused"
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben, buyer(system, event_id) as cleo:
        for one in (ann, ben, cleo):
            await one.enter()
        refused = assert_problem(await ann.reserve(seatIds=["s1", "s4"]), 409, "leaves_single_seat")
        assert (refused["seatIds"], refused["mayHold"]) == (["s0", "s5"], False)
        await ben.hold(seatIds=["s0", "s1", "s2"])
        answer = await ann.reserve(seatIds=["s3", "s4"])
        assert answer.status_code == 201, "two of the last three leave one alone, whichever they are"
        assert answer.json()["singleSeatIds"] == ["s5"]
        assert (await cleo.reserve(seatIds=["s5"])).json()["singleSeatIds"] == []


async def test_of_many_who_want_one_seat_exactly_one_gets_it(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben, buyer(system, event_id) as cleo:
        everyone = [ann, ben, cleo]
        for one in everyone:
            await one.enter()
        answers = await asyncio.gather(*(one.reserve(seatIds=["s5"]) for one in everyone))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
        loser = next(answer for answer in answers if answer.status_code == 409)
        assert assert_problem(loser, 409, "seats_unavailable")["left"] == {"R": 5, "S": 6}


async def test_all_of_several_seats_are_held_or_none(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        await ann.hold(seatIds=["s1"])
        assert_problem(await ben.reserve(seatIds=["s0", "s1", "s2"]), 409, "seats_unavailable")
        statuses = await ben.seat_statuses()
        assert (statuses["s0"], statuses["s1"], statuses["s2"]) == ("available", "held", "available")


async def test_a_place_in_line_holds_one_reservation_at_a_time(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        refused = assert_problem(await ann.reserve(seatIds=["s1"]), 409, "already_holding")
        assert refused["reservation"] == held


async def test_a_cancelled_hold_frees_its_seats_and_the_buyer_may_choose_again(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        cancelled = await ann.client.post(f"/api/reservations/{held['id']}/cancel")
        assert cancelled.status_code == 200
        assert set(cancelled.json()) == {"message"}
        assert (await ann.seat_statuses())["s0"] == "available"
        assert_problem(await ann.pay(held["id"]), 409, "reservation_over")
        assert (await ann.hold(seatIds=["s0"]))["id"] != held["id"]


async def test_a_paid_reservation_can_be_cancelled_and_is_refunded(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        await ann.pay(held["id"])
        assert (await ann.client.post(f"/api/reservations/{held['id']}/cancel")).status_code == 200
        shown = (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"]
        assert shown["status"] == "refunded"
        assert (await ann.seat_statuses())["s0"] == "available"


async def test_every_post_repeated_gives_the_same_answer(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        first, again = await ann.join(), await ann.join()
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["number"] == again.json()["number"]
        await ann.until("admitted")
        once, twice = await ann.claim(), await ann.claim()
        assert once.json() == twice.json()
        key = {"idempotency-key": "my first try"}
        held = [await ann.reserve(headers=key, seatIds=["s0"]) for _ in range(2)]
        assert held[0].status_code == held[1].status_code == 201
        assert held[0].json() == held[1].json()
        reservation_id = held[0].json()["reservation"]["id"]
        paid = [await ann.pay(reservation_id) for _ in range(2)]
        assert paid[0].json() == paid[1].json()
        cancelled = [await ann.client.post(f"/api/reservations/{reservation_id}/cancel") for _ in range(2)]
        assert [answer.status_code for answer in cancelled] == [200, 200]
        left = [await ann.post("leave") for _ in range(2)]
        assert [(answer.status_code, answer.json()) for answer in left] == [(200, {}), (200, {})]


async def test_the_same_post_many_times_at_once_gives_the_same_answer(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        joins = await asyncio.gather(*(ann.join() for _ in range(8)))
        assert {answer.json()["number"] for answer in joins} == {1}
        await ann.until("admitted")
        claims = await asyncio.gather(*(ann.claim() for _ in range(8)))
        assert len({answer.text for answer in claims}) == 1
        key = {"idempotency-key": "k"}
        holds = await asyncio.gather(*(ann.reserve(headers=key, seatIds=["s4"]) for _ in range(8)))
        assert len({answer.text for answer in holds}) == 1
        pays = await asyncio.gather(*(ann.pay(holds[0].json()["reservation"]["id"]) for _ in range(8)))
        assert {(answer.status_code, answer.text) for answer in pays} == {(201, pays[0].text)}
        assert await system.last_number(event_id) == 1


async def test_an_idempotency_key_belongs_to_its_sender(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        key = {"idempotency-key": "1"}
        hers = (await ann.reserve(headers=key, seatIds=["s0"])).json()
        his = (await ben.reserve(headers=key, seatIds=["s1"])).json()
        assert hers["reservation"]["id"] != his["reservation"]["id"]


async def test_an_idempotency_key_is_of_one_wish_and_tells_how_its_reservation_is_now(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        key = {"idempotency-key": "1"}
        made = (await ann.reserve(headers=key, seatIds=["s0", "s1"])).json()["reservation"]
        for other in ({"seatIds": ["s0"]}, {"seatIds": ["s2", "s3"]}, {"quantity": 2}):
            assert_problem(await ann.reserve(headers=key, **other), 422, "key_reused")
        again = await ann.reserve(headers=key, seatIds=["s1", "s0"])
        assert (again.status_code, again.json()["reservation"]) == (201, made)
        await ann.client.post(f"/api/reservations/{made['id']}/cancel")
        over = assert_problem(await ann.reserve(headers=key, seatIds=["s0", "s1"]), 409, "reservation_over")
        assert over["reservation"] == {**made, "status": "cancelled"}


async def test_who_leaves_is_out_and_may_join_again_at_the_back(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.join()
        await ben.join()
        await ann.post("leave")
        assert (await ann.until("left"))["number"] == 1

        async def moved_up() -> bool:
            return bool((await ben.position())["ahead"] == 0)

        await wait_until(moved_up, description="who was behind moved up")
        assert_problem(await ann.claim(), 410, "place_given_up")
        again = await ann.join()
        assert (again.status_code, again.json()["number"], again.json()["ahead"]) == (201, 3, 1)


async def test_leaving_with_seats_held_frees_them(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        claimed = await ann.enter()
        await ann.hold(seatIds=["s0"])

        async def nobody_is_awake() -> bool:
            return not await system.redis.exists(redis_keys.lane_lease(event_id))

        await wait_until(nobody_is_awake, description="the allocator has let go of the lane")
        assert (await ann.post("leave")).status_code == 200
        assert (await ann.seat_statuses())["s0"] == "available"
        await ann.until("left")
        spent = await ann.reserve(headers={"x-admission-pass": claimed["pass"]}, seatIds=["s0"])
        assert_problem(spent, 410, "pass_spent")


async def test_leaving_before_the_wish_is_answered_holds_no_seats(system: System, event_id: str) -> None:
    """The hold is on the lane when the buyer leaves: nobody can know the reservation that it is going to be."""
    lease = redis_keys.lane_lease(event_id)
    await system.redis.set(lease, "an allocator that stands still", px=60_000)
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 3})
        await ann.until("admitted")

        async def is_asked_for() -> bool:
            return bool(await system.redis.xlen(redis_keys.lane(event_id)))

        async def is_decided() -> bool:
            return not await is_asked_for()

        await wait_until(is_asked_for, description="the wish is on the lane")
        assert (await ann.post("leave")).status_code == 200
        await system.redis.delete(lease)
        await wait_until(is_decided, description="another allocator has carried on")
        mine = (await ann.client.get("/api/reservations/my")).json()["reservations"]
        assert [each["status"] for each in mine] == ["cancelled"]


async def test_leaving_a_line_that_is_closed_frees_the_seats_too(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s0"])
        await system.change(event_id, state="closed")
        assert (await ann.seat_statuses())["s0"] == "held", "it may still be paid"
        assert (await ann.post("leave")).status_code == 200
        assert (await ann.seat_statuses())["s0"] == "available"


async def test_a_pass_that_is_over_does_not_keep_its_buyer_from_giving_the_seats_back(
    system: System, event_id: str
) -> None:
    """A turn ends without its seats: whoever holds some may still pay. Leaving says that they will not."""
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await ann.hold(seatIds=["s0"])
        await system.redis.zadd(f"tiketi:{{{event_id}}}:1:active", {"1": 1})  # its time is over
        await ann.until("lapsed")
        assert (await ann.seat_statuses())["s0"] == "held"
        assert (await ann.post("leave")).status_code == 200
        assert (await ann.seat_statuses())["s0"] == "available"


async def test_a_second_tab_is_the_same_place(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as tab:
        await tab.join()
        async with buyer(system, event_id, cookies=dict(tab.client.cookies)) as other:
            assert (await other.join()).json()["number"] == 1
            assert (await other.position())["number"] == 1
        lost_its_ticket = {"tiketi_holder": tab.client.cookies["tiketi_holder"]}
        async with buyer(system, event_id, cookies=lost_its_ticket) as other:
            assert (await other.join()).json()["number"] == 1
        assert await system.last_number(event_id) == 1


async def test_a_program_sends_the_ticket_the_pass_and_its_own_cookie_itself(system: System, event_id: str) -> None:
    async with system.web.client() as client:
        joined = await client.post(f"/api/queue/{event_id}/join")
    headers = {"x-queue-ticket": joined.json()["ticket"], "cookie": f"tiketi_holder={joined.cookies['tiketi_holder']}"}
    async with system.web.client(headers=headers, cookies=NoCookies()) as client:
        ann = Buyer(client, event_id)
        assert (await ann.join()).status_code == 200
        await ann.until("admitted")
        admission_pass = (await ann.claim()).json()["pass"]
        held = await ann.reserve(headers={"x-admission-pass": admission_pass}, quantity=1)
        assert held.status_code == 201
        reservation_id = held.json()["reservation"]["id"]
        assert (await ann.pay(reservation_id)).status_code == 201
        assert (await client.get(f"/api/seats/reservation/{reservation_id}")).status_code == 200
        mine = (await client.get("/api/reservations/my")).json()["reservations"]
        assert [one["id"] for one in mine] == [reservation_id]


class NoCookies(httpx2.Cookies):
    """Takes none."""

    def extract_cookies(self, response: httpx2.Response) -> None:
        return


async def test_each_event_has_its_own_line_and_ticket(system: System) -> None:
    one, two = await system.event(), await system.event()
    await system.change(one, state="paused")
    await system.change(two, state="paused")
    async with buyer(system, one) as ann:
        at_two = Buyer(ann.client, two)
        assert (await ann.join()).json()["number"] == 1
        assert (await at_two.join()).json()["number"] == 1
        await system.change(one, state="open")
        await ann.until("admitted")
        assert (await at_two.position())["state"] == "waiting"
        admission_pass = (await ann.claim()).json()["pass"]
        refused = await at_two.reserve(headers={"x-admission-pass": admission_pass}, seatIds=["s0"])
        assert_problem(refused, 403, "pass_foreign_event")
        assert_problem(await at_two.reserve(seatIds=["s0"]), 401, "pass_missing")


async def test_an_event_without_a_line_is_sold_to_any_browser(system: System) -> None:
    async with buyer(system, "direct") as ann:
        assert_problem(await ann.reserve(seatIds=["s0"]), 401, "holder_missing")
        ann.client.cookies.update(system.browser())
        held = await ann.hold(seatIds=["s0"])
        assert (await ann.pay(held["id"])).status_code == 201
        assert_problem(await ann.join(), 404, "event_unknown")


async def test_a_line_that_is_not_open_yet_says_when_it_opens(system: System) -> None:
    async with buyer(system, "later") as ann:
        refused = assert_problem(await ann.join(), 409, "room_not_open")
        opens_at = datetime.fromisoformat(refused["opensAt"])
        assert opens_at.utcoffset() == timedelta(0)
        assert await system.last_number("later") == 0


@pytest.mark.parametrize("state", ["draining", "closed"])
async def test_a_line_that_ends_takes_nobody_more(system: System, event_id: str, state: str) -> None:
    await system.change(event_id, state=state)
    async with buyer(system, event_id) as ann:
        assert_problem(await ann.join(), 410, "room_closed")
        assert await system.last_number(event_id) == 0


async def test_paying_another_way_what_is_paid_already_charges_nothing_and_says_so(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        await ann.pay(held["id"], "kakao_pay")
        assert_problem(await ann.pay(held["id"], "naver_pay"), 409, "already_paid")
        shown = (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"]
        assert shown["status"] == "confirmed"


async def lose_the_line(system: System, event_id: str) -> None:
    """Redis loses what it knows of this room; returns when it is made again and this process knows."""
    await system.redis.delete(*await system.redis.keys(f"tiketi:{{{event_id}}}:*"))

    async def is_made_again() -> bool:
        return system.state["rooms"].views[event_id].state == "recovering"

    await wait_until(is_made_again, description="the room is made again")


async def test_a_pass_is_good_for_seats_after_a_loss_of_redis(system: System, event_id: str) -> None:
    """It stands on its own: whoever shops does not poll, so nobody shows their ticket for them."""
    async with buyer(system, event_id) as ann:
        await ann.enter()
        await lose_the_line(system, event_id)
        held = await ann.hold(seatIds=["s0"])
        assert (await ann.pay(held["id"])).status_code == 201


@pytest.mark.parametrize("fast_path", [True, False])
async def test_who_joins_again_after_a_loss_of_redis_has_their_old_place(
    system: System, event_id: str, fast_path: bool
) -> None:
    web = await system.another_web(fast_path=fast_path)
    await system.change(event_id, state="paused")
    async with buyer(system, event_id, web) as ann:
        number = (await ann.join()).json()["number"]
        await lose_the_line(system, event_id)

        async def that_process_knows() -> bool:
            return bool(web.state["rooms"].views[event_id].unproven)

        await wait_until(that_process_knows, description="the other process knows of the loss")
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (200, number)


async def test_who_streams_through_a_loss_of_redis_has_their_old_place(system: System, event_id: str) -> None:
    """They ask for nothing, so the stream itself shows their ticket."""
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        number = (await ann.join()).json()["number"]
        async with ann.stream() as stream:
            await stream.next("position")
            await lose_the_line(system, event_id)

            async def is_back() -> bool:
                return number not in system.state["rooms"].views[event_id].ended

            await wait_until(is_back, description="the place is back")


async def test_a_claim_after_a_loss_of_redis_ends_no_place(system: System, event_id: str) -> None:
    """The line is made again with every number set aside until its ticket is shown."""
    async with buyer(system, event_id) as ann:
        await ann.join()
        await ann.until("admitted")
        await lose_the_line(system, event_id)
        refused = assert_problem(await ann.claim(), 409, "not_admitted")
        assert refused["position"]["state"] == "waiting"
