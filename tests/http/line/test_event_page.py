"""What the event page, the waiting page and the waiting list say to somebody in the middle of it: no way leads into a
refusal, and no sentence contradicts another.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.http.buyer import buyer
from tests.http.pages import page, send, visitor
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALREADY = "You are already in line."


async def test_who_is_inside_is_shown_to_the_seats_and_not_back_to_the_line(system: System, event_id: str) -> None:
    async with visitor(system, event_id) as one:
        await one.join()
        await one.until("admitted")
        shown = await page(one)
        assert "It is your turn" in shown
        assert f'action="/events/{event_id}/claim"' in shown
        assert ALREADY not in shown
        await one.claim()

        async def is_inside() -> bool:
            return "You are in" in await page(one)

        await wait_until(is_inside, description="the process knows that the turn was taken up")
        shown = await page(one)
        assert f'class="button big" href="/events/{event_id}/seats"' in shown
        assert ALREADY not in shown
        held = await one.hold(quantity=1)
        shown = await page(one)
        assert "Your seats are held" in shown
        assert f'class="button big" href="/reservations/{held["id"]}"' in shown
        assert ALREADY not in shown
        assert 'id="mine"' not in shown, "it is said once"


async def test_from_a_cancelled_reservation_a_way_leads_to_the_map_while_the_pass_runs(
    system: System, event_id: str
) -> None:
    async with visitor(system, event_id) as one:
        await one.enter()
        held = (await send(one, f"/events/{event_id}/reserve", quantity="1")).headers["location"]
        assert (await send(one, f"{held}/cancel")).headers["location"] == held
        shown = await page(one, held)
        assert f'class="button big" href="/events/{event_id}/seats"' in shown
        assert f'class="button big" href="/events/{event_id}/seats"' in await page(one)
        await one.post("leave")

        async def is_out() -> bool:
            return f'href="/events/{event_id}/seats"' not in await page(one, held)

        await wait_until(is_out, description="the process knows that the place is over")
        assert f'class="button" href="/events/{event_id}"' in await page(one, held)


async def sell_out(system: System, event_id: str) -> None:
    """Twelve seats, six to a buyer."""
    for _ in range(2):
        async with buyer(system, event_id) as one:
            await one.enter()
            await one.hold(quantity=6)


async def test_a_list_that_nobody_may_join_past_the_line_is_not_offered(system: System, event_id: str) -> None:
    await sell_out(system, event_id)
    await system.change(event_id, state="paused")
    async with AsyncExitStack() as stack:
        waits, late = [await stack.enter_async_context(visitor(system, event_id)) for _ in range(2)]
        assert f'class="button big" href="/events/{event_id}/waitlist"' in await page(late)
        assert f'action="/events/{event_id}/waitlist"' in await page(late, "waitlist")
        await waits.join()
        view = system.state["rooms"].views[event_id]

        async def stands() -> bool:
            return view.waiting > 0

        await wait_until(stands, description="somebody waits in line")
        for who in (waits, late):
            assert f'href="/events/{event_id}/waitlist"' not in await page(who)
            shown = await page(who, "waitlist")
            assert "People are standing in line." in shown
            assert f'action="/events/{event_id}/waitlist"' not in shown
            assert f'class="button big" href="/events/{event_id}"' in shown
            assert f'href="/events/{event_id}/waitlist"' not in await page(who, "seats")
        shown = await page(late)
        assert "People are standing in line." in shown
        assert 'class="button big" id="join-button"' in shown, "then joining the line is what can be done"


async def test_a_list_for_accounts_asks_to_log_in_and_comes_back(system: System, event_id: str) -> None:
    await sell_out(system, event_id)
    await system.change(event_id, door="accounts")
    async with visitor(system, event_id) as late:
        shown = await page(late, "waitlist")
        assert f'class="button big" href="/login?next=/events/{event_id}/waitlist"' in shown
        assert f'action="/events/{event_id}/waitlist"' not in shown


async def test_a_cancelled_event_is_the_heading_of_its_waiting_page(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as waits:
        await waits.join()
        headers = await system.bearer()
        answer = await waits.client.post(f"/api/admin/events/{event_id}/cancel", headers=headers)
        assert answer.status_code == 200, answer.text

        async def is_closed() -> bool:
            return 'data-state="closed"' in await page(waits, "wait")

        await wait_until(is_closed, description="the room has closed")
        shown = await page(waits, "wait")
        assert '<h1 id="closed-title" tabindex="-1">This event was cancelled</h1>' in shown
        assert "<title>This event was cancelled" in shown


async def test_who_is_in_line_is_not_sent_to_join_it_by_the_map(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with visitor(system, event_id) as ann:
        assert "To hold seats, join the line first." in await page(ann, "seats")
        await ann.join()
        shown = await page(ann, "seats")
    assert f'{ALREADY} <a href="/events/{event_id}/wait">' in shown
    assert 'class="notice info">To hold seats' not in shown
