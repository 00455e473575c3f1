"""An admin looks up one number of a real buyer: by the API in codes, on the page in either language and in words."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.http.admin.pages.test_events import admin
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import System
from tests.http.test_buying import lose_the_line
from tests.waiting import wait_until

EVENTS = 6
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def asked(system: System, event_id: str, number: int | str) -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        return await client.get(f"/api/admin/events/{event_id}/places/{number}")


async def trace(system: System, event_id: str, number: int = 1) -> dict[str, Any]:
    answer = await asked(system, event_id, number)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def codes(told: dict[str, Any]) -> list[str]:
    """The steps whose order is certain: the last time a buyer was seen is between any of them."""
    return [step["what"] for step in told["steps"] if step["what"] != "seen"]


async def bought(ann: Buyer) -> str:
    """The id of a reservation that a wish made and that is paid."""
    await ann.join({"quantity": 2})
    reservation: str = (await ann.given())["id"]
    assert (await ann.claim()).status_code == 200
    assert (await ann.pay(reservation)).status_code == 201
    return reservation


async def ended(system: System, event_id: str, standing: str) -> dict[str, Any]:
    """The trace once the place has ended as it must."""

    async def has_ended() -> dict[str, Any] | None:
        told = await trace(system, event_id)
        return told if told["standing"] == standing else None

    return await wait_until(has_ended, description=f"the place has ended as {standing}")


async def test_a_buyer_who_waits(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.join()
        await ben.join({"quantity": 2})
        await ben.position()
    told = await trace(system, event_id, 2)
    assert (told["eventId"], told["number"], told["epoch"], told["room"]) == (event_id, 2, 1, "paused")
    assert (told["standing"], told["ahead"], told["until"], told["gaps"]) == ("waiting", 1, None, [])
    assert codes(told) == ["joined", "wish_said"]
    assert any(step["what"] == "seen" for step in told["steps"])


async def test_a_buyer_who_bought_and_got_the_money_back(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation = await bought(ann)
        told = await ended(system, event_id, "served")
        way = ["joined", "admitted", "wish_answered", "reserved", "claimed", "charge_started", "paid", "served"]
        assert sorted(codes(told)) == sorted(way)
        assert codes(told)[:2] == ["joined", "admitted"]
        paid = next(step for step in told["steps"] if step["what"] == "paid")
        assert (paid["amount"], paid["method"], paid["reservationId"]) == (200, "kakao_pay", reservation)
        assert (await ann.client.post(f"/api/reservations/{reservation}/cancel")).status_code == 200

        async def is_paid_back() -> dict[str, Any] | None:
            told = await trace(system, event_id)
            return told if "paid_back" in codes(told) else None

        told = await wait_until(is_paid_back, description="the money is back")
        refunded = next(step for step in told["steps"] if step["what"] == "reservation_refunded")
        assert (told["standing"], refunded["by"], refunded["source"]) == ("served", "buyer", "sql")


async def test_a_reservation_that_an_admin_refunded_names_the_admin(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation = await bought(ann)
    async with system.web.client(headers=await system.bearer()) as client:
        asked = await client.post(f"/api/admin/reservations/{reservation}/refund", json={"reason": "concert was bad"})
        assert asked.status_code == 200, asked.text
    steps = {step["what"]: step for step in (await trace(system, event_id))["steps"]}
    assert steps["reservation_refunded"]["by"] == "admin"
    assert (steps["admin_acted"]["who"], steps["admin_acted"]["action"]) == ("boss@example.com", "reservation.refund")


async def test_a_place_that_a_loss_of_redis_took_and_gave_back(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        await lose_the_line(system, event_id)
        told = await trace(system, event_id)
        assert (told["standing"], codes(told)) == ("set_aside", ["room_lost"])
        assert [gap["missing"] for gap in told["gaps"]] == ["log_cut"]
        await ann.join()
        told = await ended(system, event_id, "waiting")
        assert codes(told) == ["joined", "room_lost", "restored"]


async def test_a_number_that_nobody_has_and_an_event_without_a_line(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
    refused = assert_problem(await asked(system, event_id, 2), 404, "number_never_given")
    assert refused["detail"] == "Number 2 was never given; the last one is 1."
    for number in ("0", "ann", "1.5", "-1", "9" * 40):
        assert_problem(await asked(system, event_id, number), 404, "number_never_given")
    assert_problem(await asked(system, "nothing", 1), 404, "event_unknown")


async def test_an_admin_finds_the_steps_from_the_page_of_the_room_in_either_language(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        reservation = await bought(ann)
    await ended(system, event_id, "served")
    async with admin(system) as client:
        room = (await client.get(f"/admin/events/{event_id}")).text
        assert f'action="/admin/events/{event_id}/places"' in room
        sent = await client.get(f"/admin/events/{event_id}/places?number=1")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/admin/events/{event_id}/places/1")
        english = (await client.get(sent.headers["location"])).text
        assert "<h1>Number 1</h1>" in english
        assert "The place has ended: seats were bought." in english
        assert reservation in english
        assert "was paid by Kakao Pay" in english
        assert "What cannot be told" not in english
        korean = (await client.get(f"{sent.headers['location']}?lang=ko")).text
        assert "<h1>1번</h1>" in korean
        assert "좌석을 구매해 순서가 끝났습니다." in korean
        assert "카카오페이" in korean
        assert "kakao_pay" not in english + korean
        for number in ("2", "ann", "<script>"):
            never = await client.get(f"/admin/events/{event_id}/places", params={"number": number, "lang": "en"})
            shown = await client.get(never.headers["location"], params={"lang": "en"})
            assert shown.status_code == 404
            assert "No buyer has this number: it was never given." in shown.text
            assert 'name="number"' in shown.text
            assert "<script>" not in shown.text.replace("<script type", "")
