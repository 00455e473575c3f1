"""Giving seats back, all or some, over the API and the page; a request that says something else cancels nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.http.buyer import Answer, Buyer, assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def holding(ann: Buyer, *seats: str) -> str:
    await ann.enter()
    return str((await ann.hold(seatIds=list(seats)))["id"])


async def shown(ann: Buyer, reservation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await ann.client.get(f"/api/reservations/{reservation_id}")).json()["reservation"]
    return found


async def cancel(ann: Buyer, reservation_id: str, **body: Any) -> Answer:
    return await ann.client.post(f"/api/reservations/{reservation_id}/cancel", json=body)


async def test_a_part_of_a_paid_reservation_and_its_money_go_back(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann, "s0", "s1", "s2")
        price = (await ann.pay(reservation_id)).json()["payment"]["amount"]
        for _ in range(2):
            assert (await cancel(ann, reservation_id, seatIds=["s1"], reason="ill")).status_code == 200
        now = await shown(ann, reservation_id)
        given_back = price - now["totalPrice"]
        assert (now["status"], [seat["id"] for seat in now["seats"]]) == ("confirmed", ["s0", "s2"])
        assert sum(seat["price"] for seat in now["seats"]) == now["totalPrice"]

        async def is_back() -> bool:
            payment = (await shown(ann, reservation_id))["payment"]
            return bool(payment["status"] == "captured" and payment.get("returned") == given_back)

        await wait_until(is_back, description="the money of one seat is back")
        for lang, words in (("en", "the seats you gave back was returned"), ("ko", "취소한 좌석의")):
            page = await ann.client.get(f"/reservations/{reservation_id}", headers={"accept-language": lang})
            assert words in page.text
        async with system.web.client() as client:
            trail = await client.get(
                "/api/admin/trail", params={"subject": reservation_id}, headers=await system.bearer()
            )
        (entry,) = trail.json()["entries"]
        assert (entry["who"], entry["change"]["reason"], entry["change"]["seatIds"]) == ("buyer", "ill", ["s1"])


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b"[]", b'{"seats": ["s0"]}', b'{"seatIds": []}', b'{"seatIds": "s0"}', b'{"reason": 1}'],
    ids=str,
)
async def test_a_body_that_says_something_else_cancels_nothing(system: System, event_id: str, body: bytes) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann, "s0", "s1")
        path = f"/api/reservations/{reservation_id}/cancel"
        assert_problem(await ann.client.post(path, content=body), 422, "payload_invalid")
        assert (await shown(ann, reservation_id))["status"] == "pending"
        assert_problem(await cancel(ann, reservation_id, seatIds=["s2"]), 422, "seat_unknown")
        assert (await ann.client.post(path)).status_code == 200
        assert (await shown(ann, reservation_id))["status"] == "cancelled"


async def test_an_admin_gives_back_a_part_of_anybodys_reservation(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, system.web.client() as client:
        reservation_id = await holding(ann, "s0", "s1", "s2")
        admin = await system.bearer()
        for path, seat in (
            (f"/api/reservations/{reservation_id}", "s0"),
            (f"/api/admin/reservations/{reservation_id}", "s1"),
        ):
            answer = await client.post(f"{path}/cancel", json={"seatIds": [seat], "reason": "broken"}, headers=admin)
            assert answer.status_code == 200, answer.text
        assert [seat["id"] for seat in (await shown(ann, reservation_id))["seats"]] == ["s2"]
        async with buyer(system, event_id) as bob:
            assert_problem(await cancel(bob, reservation_id), 404, "reservation_unknown")


async def test_the_page_lets_one_choose_which_seats_to_give_back(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann, "s0", "s1")
        page = f"/reservations/{reservation_id}"
        form = (await ann.client.get(page)).text
        assert re.findall(r'name="seat" value="(s\d+)" checked', form) == ["s0", "s1"]
        token = re.findall(r'name="csrf" value="([^"]+)"', form)[-1]
        none = await ann.client.post(f"{page}/cancel", data={"choose": "seats", "csrf": token})
        assert none.headers["location"] == f"{page}?said=seats_not_chosen"
        assert len((await shown(ann, reservation_id))["seats"]) == 2
        await ann.client.post(f"{page}/cancel", data={"choose": "seats", "seat": "s0", "csrf": token})
        assert [seat["id"] for seat in (await shown(ann, reservation_id))["seats"]] == ["s1"]
        assert 'name="seat"' not in (await ann.client.get(page)).text
