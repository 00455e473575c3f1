"""A turn nobody takes ends by itself, and whoever comes next is let in."""

from __future__ import annotations

import pytest

from tests.http.buyer import assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

SETTINGS = {"claim_window_s": 1}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_turn_nobody_takes_lapses_and_the_buyer_may_join_again(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            told = await stream.rest()
        assert told[-1].data == {"reason": "lapsed"}
        assert (await ann.position())["state"] == "lapsed"
        assert_problem(await ann.claim(), 410, "turn_lapsed")
        again = await ann.join()
        assert (again.status_code, again.json()["number"]) == (201, 2)


async def test_capacity_that_lapses_goes_to_the_next_in_line(system: System, event_id: str) -> None:
    await system.change(event_id, max_active=1)
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.join()
        await ann.until("lapsed", "admitted")
        await ben.join()
        await ben.until("admitted", "lapsed")  # the turn is short: either says that it came
        assert (await ann.position())["state"] == "lapsed"


async def test_nobody_is_let_in_while_all_capacity_is_taken(system: System, event_id: str) -> None:
    await system.change(event_id, max_active=1)
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.join()
        await ben.join()

        async def is_over() -> bool:
            view = system.state["rooms"].views[event_id]
            assert not (2 in view.admitted and 1 in view.admitted)
            return 2 in view.ended

        await wait_until(is_over, description="both turns came and lapsed, one after the other")


async def test_the_seats_held_for_a_turn_nobody_takes_are_free_when_it_ends(system: System, event_id: str) -> None:
    """They would be held for minutes more, by somebody who is not there and cannot pay."""
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 2})
        await ann.given()
        await ann.until("lapsed")

        async def are_free() -> bool:
            return set((await ann.seat_statuses()).values()) == {"available"}

        await wait_until(are_free, description="the seats are free")
