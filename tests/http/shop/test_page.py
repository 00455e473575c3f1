"""What the buyer's pages say at the edges of a sale: full, sold out, declined, over, bought."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from app.cache.tags import EVENTS
from app.http.accounts.credentials import BUYER_COOKIE_LIFE_S
from app.http.kit.cookies import COOKIE_LIFE_S
from app.ledger import events
from tests.http.buyer import buyer
from tests.http.pages import page, send, visitor
from tests.http.system import STARTS_IN, System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_full_room_says_so_and_promises_no_wait(system: System, event_id: str) -> None:
    await system.change(event_id, max_active=1)
    async with visitor(system, event_id) as inside, visitor(system, event_id) as waits:
        await inside.enter()
        await waits.join()

        async def is_full() -> dict[str, Any] | None:
            position = await waits.position()
            return position if position.get("full") else None

        position = await wait_until(is_full, description="the line is known to wait for a place inside")
        assert (position["state"], position["etaSeconds"]) == ("waiting", None)
        shown = await page(waits, "wait")
        assert "The line moves as soon as somebody finishes" in shown
        assert "room-full" in shown
        assert "unknown while it stands still" in shown


async def sell_out(system: System, event_id: str) -> None:
    """Twelve seats, two to a buyer."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(6):
            one = await stack.enter_async_context(buyer(system, event_id))
            await one.enter()
            await one.hold(quantity=2)


async def test_a_sold_out_event_offers_its_waiting_list_first(system: System, event_id: str) -> None:
    await sell_out(system, event_id)
    async with visitor(system, event_id) as late:
        shown = await page(late)
        assert "sale-sold_out" in shown
        assert "room-open" not in shown
        assert "Every seat is taken" in shown
        assert shown.index(f'href="/events/{event_id}/waitlist"') < shown.index('id="join-button"')
        assert 'class="button big plain" id="join-button"' in shown, "held seats may come free: joining stays possible"
        card = (await page(late, "/")).partition(f'href="/events/{event_id}"')
        assert "sale-sold_out" in card[0].rpartition("<li")[2]
        assert "from ₩" not in card[2].partition("</li>")[0]
    left = await events.free_seats(system.db, datetime.now(UTC))
    assert not any(left[event_id].values()), "as who never opened its map sees it"


async def test_an_event_without_seats_invites_nobody(system: System) -> None:
    async with visitor(system, "bare") as early:
        made: dict[str, object] = {"title": "Bare", "venue": "Hall", "eventDate": "2099-01-01T19:00:00Z"}
        made |= {"admission": "open", "ticketTypes": [{"grade": "R", "price": 5}]}
        answer = await early.client.post("/api/admin/events", json=made, headers=await system.bearer())
        assert answer.status_code == 201, answer.text
        early.event_id = answer.json()["event"]["id"]
        shown = await page(early)
        assert "No seats yet" in shown
        assert 'id="join-button"' not in shown
        assert f"/events/{early.event_id}/seats" not in shown
        card = (await page(early, "/")).partition(f'href="/events/{early.event_id}"')[0].rpartition("<li")[2]
        assert "sale-no_seats" in card


def kept_for_s(answer: httpx2.Response) -> int | None:
    """How long the browser is to keep its id from this answer on."""
    found = re.search(r"tiketi_holder=[^;]+; Max-Age=(\d+)", " ".join(answer.headers.get_list("set-cookie")))
    return None if found is None else int(found[1])


async def test_a_guest_who_bought_keeps_the_tickets_until_long_after_the_event(system: System) -> None:
    async with visitor(system, "direct") as guest, visitor(system, "direct") as other:
        assert kept_for_s(await guest.client.get("/events/direct")) == COOKIE_LIFE_S
        held = (await send(guest, "/events/direct/reserve", quantity="1")).headers["location"]
        await send(guest, f"{held}/pay", method="kakao_pay")
        shown = await guest.client.get(held)
        assert kept_for_s(shown) == BUYER_COOKIE_LIFE_S > STARTS_IN.total_seconds()
        assert f'href="/register?next={held}"' in shown.text, "an account keeps them on every device"
        assert kept_for_s(await guest.client.get("/reservations")) == BUYER_COOKIE_LIFE_S
        await other.client.get("/events/direct")
        assert kept_for_s(await other.client.get("/reservations")) is None, "who has nothing is forgotten as before"
        fields = {"name": "Gil", "email": "gil@example.com", "password": "long-enough", "next": held}
        assert (await send(guest, "/register", **fields)).status_code == 200
        assert (await send(guest, "/login", **fields)).headers["location"] == held
        shown = await guest.client.get(held)
        assert 'data-status="confirmed"' in shown.text
        assert "/register?" not in shown.text


async def test_who_bought_is_told_so_and_has_no_clock_running(system: System, event_id: str) -> None:
    async with visitor(system, event_id) as one:
        await one.enter()
        shown = await page(one, "seats")
        assert 'id="pass" data-until=' in shown
        assert re.search(r'<form id="rejoin"[^>]* hidden>', shown), "for when the pass ends while the map is open"
        held = await one.hold(quantity=1)
        assert f'You already hold seats. <a href="/reservations/{held["id"]}"' in await page(one, "seats")
        assert (await one.pay(held["id"])).status_code == 201

        async def is_over() -> bool:
            return bool((await one.position())["state"] == "left")

        await wait_until(is_over, description="the place in line has ended with the purchase")
        shown = await page(one)
        assert f'You have tickets for this event. <a href="/reservations/{held["id"]}"' in shown
        assert 'class="button big plain" id="join-button"' in shown, "more tickets are the second thing"
        shown = await page(one, "seats")
        assert "You have tickets for this event." in shown
        assert "Your place in line is over" in shown
        assert "data-until" not in shown
        assert re.search(rf'<form id="rejoin" method="post" action="/events/{event_id}/join">', shown)
        assert '"mayHold":false' in shown
    async with visitor(system, event_id) as stranger:
        assert 'id="mine"' not in await page(stranger)


async def test_what_was_asked_for_is_shown_while_waiting(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as one, visitor(system, event_id) as other:
        await one.join({"quantity": 2, "grades": ["R", "S"], "adjacent": True})
        await other.join()
        assert "2 seats · R, S · Side by side if possible" in await page(one, "wait")
        assert 'id="wish"' not in await page(other, "wait")


async def test_a_reservation_in_several_groups_says_so(system: System, event_id: str) -> None:
    """Rows of six: the middle of each is taken, so four people sit in two pairs."""
    async with visitor(system, event_id) as first, visitor(system, event_id) as one:
        await first.enter()
        await first.hold(seatIds=["s2", "s3", "s8", "s9"])
        await one.enter()
        held = await one.hold(quantity=4)
        assert (held["together"], held["groups"]) == (False, 2)
        assert "yours are in 2 groups close to each other" in await page(one, f"/reservations/{held['id']}")


async def test_required_neighbours_that_are_not_left_are_refused_on_the_page_with_what_is(
    system: System, event_id: str
) -> None:
    """Rows of six, in an event of its own: what other tests buy changes what is left side by side."""
    async with visitor(system, event_id) as one:
        await one.enter()
        refused = await send(one, f"/events/{event_id}/reserve", quantity="8", adjacent="required")
        assert refused.status_code == 409
        assert "Side by side still: R: 6 seats left" in refused.text


async def test_cancelling_what_was_paid_says_what_becomes_of_the_money(system: System) -> None:
    async with visitor(system, "direct") as one:
        await one.client.get("/events/direct")
        held = (await send(one, "/events/direct/reserve", quantity="1", grade="R")).headers["location"]
        assert "₩100 goes back to you" not in await page(one, held)
        await send(one, f"{held}/pay", method="kakao_pay")
        assert "₩100 goes back to you" in await page(one, held)


async def test_who_counts_down_is_told_that_the_places_are_drawn(system: System) -> None:
    async with system.web.client(headers={"accept-language": "en"}) as client:
        assert "is put in random order by one draw" in (await client.get("/events/later")).text


async def test_only_the_map_itself_and_buying_open_a_map(system: System, event_id: str) -> None:
    """A map has tens of thousands of seats: who looks at an event, or at what they bought, needs a few of them."""
    seats = system.state["seats"]
    async with visitor(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(quantity=2)
        assert (await ann.pay(held["id"])).status_code == 201
        paths = (f"/api/reservations/{held['id']}", "/api/reservations/my", f"/api/events/{event_id}")
        open_map = [(await ann.client.get(path)).json() for path in paths]
        seats._close(event_id)
        await system.state["cache"].invalidate(EVENTS)
        assert [(await ann.client.get(path)).json() for path in paths] == open_map, "from SQL they are the same"
        for path in ("/", f"/events/{event_id}", "/reservations", f"/reservations/{held['id']}"):
            await page(ann, path)
        assert seats.get(event_id) is None
        await ann.client.get(f"/api/seats/events/{event_id}")
        assert seats.get(event_id) is not None
