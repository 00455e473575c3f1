"""Who waits in line is told when every seat is taken, and when that is over."""

from __future__ import annotations

import re

import pytest

from tests.http.pages import ENGLISH, page, visitor
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_who_waits_is_told_that_nothing_is_left(system: System, event_id: str) -> None:
    async with visitor(system, event_id) as ann, visitor(system, event_id) as ben, visitor(system, event_id) as cy:
        await ann.enter()
        await ben.enter()
        await system.change(event_id, state="paused")
        await cy.join()

        async def is_told() -> bool:
            said = re.search(r'<p id="sold-out"[^>]*>', await page(cy, "wait"))
            assert said is not None
            return " hidden" not in said[0]

        assert not await is_told()
        await ann.hold(quantity=8)
        held = await ben.hold(quantity=4)
        await wait_until(is_told, description="the page says that every seat is taken")
        await ben.client.post(f"/api/reservations/{held['id']}/cancel", headers=ENGLISH)

        async def is_over() -> bool:
            return not await is_told()

        await wait_until(is_over, description="seats are to be had again")
