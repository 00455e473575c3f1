"""A hold nobody pays ends by itself."""

from __future__ import annotations

import pytest

from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

SETTINGS = {"hold_s": 1}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status_of(ann: Buyer, reservation_id: str) -> str:
    answer = await ann.client.get(f"/api/reservations/{reservation_id}")
    status: str = answer.json()["reservation"]["status"]
    return status


async def test_a_hold_nobody_pays_expires_and_its_seats_are_free(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])

        async def is_over() -> bool:
            return await status_of(ann, held["id"]) == "expired"

        await wait_until(is_over, description="the hold has expired")
        assert_problem(await ann.pay(held["id"]), 409, "reservation_over")
        assert_problem(await ann.client.post(f"/api/reservations/{held['id']}/cancel"), 409, "reservation_over")

        async def is_free() -> bool:
            return (await ann.seat_statuses())["s0"] == "available"

        await wait_until(is_free, description="the seat is free")
        async with buyer(system, event_id) as ben:
            await ben.enter()
            assert (await ben.hold(seatIds=["s0"]))["id"] != held["id"]
