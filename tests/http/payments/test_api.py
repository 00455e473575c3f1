"""Paying from outside while the gateway misbehaves: each answer says what became of the money; webhooks are believed
only when signed."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from app.ledger import audit_log
from app.payments.providers.simulator import SIGNATURE_HEADER, FaultProfile, SimulatedMethod, set_fault_profile
from app.payments.webhook_sender import WebhookSender
from app.payments.webhook_signature import TOLERANCE_S, sign
from config.keys import load_keys
from tests.http.buyer import Answer, Buyer, assert_problem, buyer
from tests.http.system import ADMIN, BUYER, System
from tests.waiting import wait_until

SECRET = b"k" * 32
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _well_again(system: System) -> AsyncIterator[None]:
    yield
    for method in SimulatedMethod:
        await set_fault_profile(system.db, method, FaultProfile())


async def behaves(system: System, **profile: Any) -> None:
    await set_fault_profile(system.db, SimulatedMethod.kakao_pay, FaultProfile(**profile))


async def holding(ann: Buyer) -> str:
    await ann.enter()
    made = await ann.hold(seatIds=["s0"])
    return str(made["id"])


async def shown(ann: Buyer, reservation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await ann.client.get(f"/api/reservations/{reservation_id}")).json()["reservation"]
    return found


async def sold(ann: Buyer, reservation_id: str) -> None:
    """Wait until the lane has sold the seats: a webhook is answered before that."""

    async def is_sold() -> bool:
        return bool((await shown(ann, reservation_id))["status"] == "confirmed")

    await wait_until(is_sold, description="the seats are sold")


def secret_of(system: System) -> bytes:
    """With which the simulator signs its webhooks."""
    return load_keys(system.settings.data_dir).webhook_secret


async def tell(system: System, body: bytes, at_s: int | None = None) -> Answer:
    """A webhook, signed as the gateway signs."""
    signature = sign(secret_of(system), body, int(time.time()) if at_s is None else at_s)
    async with system.web.client() as client:
        return await client.post("/api/payments/webhook", content=body, headers={SIGNATURE_HEADER: signature})


@pytest.mark.parametrize(
    ("profile", "status", "code"),
    [
        ({"decline": 1.0}, 402, "payment_declined"),
        ({"network": 1.0}, 503, "payment_unreachable"),
        ({"lost": 1.0}, 504, "payment_unclear"),
        ({"fault": 1.0}, 504, "payment_unclear"),
    ],
    ids=str,
)
async def test_what_the_gateway_does_is_told_and_the_seats_can_still_be_paid(
    system: System, event_id: str, profile: dict[str, float], status: int, code: str
) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        await behaves(system, **profile)
        assert_problem(await ann.pay(reservation_id), status, code)
        assert (await shown(ann, reservation_id))["status"] == "pending"
        await behaves(system)
        assert (await ann.pay(reservation_id)).status_code == 201


async def test_an_idempotency_key_gives_one_payment_and_refuses_another(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        body = {"reservationId": reservation_id, "paymentMethod": "kakao_pay"}
        key = {"idempotency-key": "once"}
        first = await ann.client.post("/api/payments/process", json=body, headers=key)
        again = await ann.client.post("/api/payments/process", json=body, headers=key)
        assert (first.status_code, first.text) == (again.status_code, again.text)
        other = await ann.client.post("/api/payments/process", json={**body, "paymentMethod": "naver_pay"}, headers=key)
        assert_problem(other, 422, "key_reused")
        long = await ann.client.post("/api/payments/process", json=body, headers={"idempotency-key": "k" * 61})
        assert_problem(long, 422, "payload_invalid")


async def test_a_late_answer_comes_by_webhook_and_the_page_waits_for_it(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        await behaves(system, late_s=600.0, twice=True)
        answer = await ann.pay(reservation_id)
        assert (answer.status_code, answer.json()["payment"]["status"]) == (202, "pending")
        assert (await shown(ann, reservation_id))["payment"]["status"] == "pending"
        for lang, words in (("en", "being checked"), ("ko", "확인하고 있습니다")):
            page = await ann.client.get(f"/reservations/{reservation_id}", headers={"accept-language": lang})
            assert words in page.text
            assert f'<meta http-equiv="refresh" content="5; url=/reservations/{reservation_id}">' in page.text
        later = datetime.now(UTC) + timedelta(seconds=601)

        async def post(body: bytes, headers: dict[str, str]) -> int:
            signature = sign(secret_of(system), body, int(time.time()))
            async with system.web.client() as client:
                answer = await client.post(
                    "/api/payments/webhook", content=body, headers={**headers, SIGNATURE_HEADER: signature}
                )
            return answer.status_code

        for wait in (0, 10):
            moment = later + timedelta(seconds=wait)
            webhook_sender = WebhookSender(db=system.db, post=post, secret=SECRET, now=lambda at=moment: at)  # type: ignore[misc]
            assert await webhook_sender.round() >= 1
        await sold(ann, reservation_id)
        page = await ann.client.get(f"/reservations/{reservation_id}", headers={"accept-language": "en"})
        assert "Paid: " in page.text


async def test_a_webhook_is_believed_only_when_signed_lately(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        await behaves(system, late_s=600.0)
        payment = (await ann.pay(reservation_id)).json()["payment"]
        event = {"chargeId": payment["id"], "status": "captured", "reference": "x", "amount": payment["amount"]}
        body = msgspec.json.encode(event)
        assert_problem(await ann.client.post("/api/payments/webhook", content=body), 401, "signature_invalid")
        assert_problem(await tell(system, body, int(time.time()) - TOLERANCE_S - 5), 401, "signature_invalid")
        forged = sign(SECRET, body, int(time.time()))
        answer = await ann.client.post("/api/payments/webhook", content=body, headers={SIGNATURE_HEADER: forged})
        assert_problem(answer, 401, "signature_invalid")
        assert (await shown(ann, reservation_id))["status"] == "pending"
        unknown = msgspec.json.encode({**event, "chargeId": "c_none"})
        assert_problem(await tell(system, unknown), 404, "charge_unknown")
        assert_problem(await tell(system, b"[]"), 422, "webhook_not_understood")
        for _ in range(2):
            assert (await tell(system, body)).json() == {"received": True}
        await sold(ann, reservation_id)


async def test_a_charge_back_is_acted_on_and_admins_see_it(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, system.web.client() as client:
        reservation_id = await holding(ann)
        payment = (await ann.pay(reservation_id)).json()["payment"]
        event = {"chargeId": payment["id"], "status": "refunded", "reference": "x", "amount": payment["amount"]}
        assert (await tell(system, msgspec.json.encode(event))).json() == {"received": True}

        async def is_refunded() -> bool:
            now = await shown(ann, reservation_id)
            return (now["status"], now["payment"]["status"]) == ("refunded", "refunded")

        await wait_until(is_refunded, description="the reservation is refunded")
        trail = await client.get("/api/admin/trail", params={"subject": reservation_id}, headers=await system.bearer())
        (entry,) = trail.json()["entries"]
        assert (entry["who"], entry["action"]) == ("simulator", "payment.returned")


async def test_paid_money_goes_back_after_cancelling_and_the_buyer_sees_it(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        await ann.pay(reservation_id)
        await ann.client.post(f"/api/reservations/{reservation_id}/cancel")

        async def money_is_back() -> bool:
            return bool((await shown(ann, reservation_id))["payment"]["status"] == "refunded")

        assert (await shown(ann, reservation_id))["status"] == "refunded"
        await wait_until(money_is_back, description="the payer has paid the money back")
        page = await ann.client.get(f"/reservations/{reservation_id}", headers={"accept-language": "en"})
        assert "was given back to you" in page.text


async def test_the_form_says_why_a_payment_failed_and_offers_the_others(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        page = f"/reservations/{reservation_id}"
        await behaves(system, decline=1.0)
        for lang, words in (("en", "The payment was declined"), ("ko", "결제가 거절되었습니다")):
            form = (await ann.client.get(page)).text
            token = re.findall(r'name="csrf" value="([^"]+)"', form)[-1]
            answer = await ann.client.post(
                f"{page}/pay", data={"method": "kakao_pay", "csrf": token}, headers={"accept-language": lang}
            )
            back = answer.headers["location"]
            assert (answer.status_code, back) == (303, f"{page}?said=payment_declined&method=kakao_pay")
            shown_page = (await ann.client.get(back, headers={"accept-language": lang})).text
            assert words in shown_page
            assert shown_page.count('name="method"') == 3
            assert 'value="kakao_pay" required checked' in shown_page, "the chosen way to pay stays chosen"
            assert 'href="?said=payment_declined&amp;method=kakao_pay&amp;lang=en"' in shown_page, (
                "said in any language"
            )
            assert f'content="60; url={page}"' in shown_page
            assert (await ann.client.get(f"{page}/pay")).status_code == 405
        assert "Free text" not in (await ann.client.get(f"{page}?said=Free+text&method=Free+text")).text
        await behaves(system)
        assert (await ann.pay(reservation_id)).status_code == 201
        assert "was declined" not in (await ann.client.get(back, headers={"accept-language": "en"})).text


async def test_a_gateway_that_cannot_be_reached_is_told_and_not_that_a_payment_is_being_checked(
    system: System, event_id: str
) -> None:
    async with buyer(system, event_id) as ann:
        page = f"/reservations/{await holding(ann)}"
        await behaves(system, network=1.0)
        for lang, words in (
            ("en", "The payment service cannot be reached."),
            ("ko", "결제 서비스에 연결할 수 없습니다."),
        ):
            said = {"accept-language": lang}
            token = re.findall(r'name="csrf" value="([^"]+)"', (await ann.client.get(page)).text)[-1]
            answer = await ann.client.post(f"{page}/pay", data={"method": "kakao_pay", "csrf": token}, headers=said)
            back = answer.headers["location"]
            assert (answer.status_code, back) == (303, f"{page}?said=payment_unreachable&method=kakao_pay")
            shown_page = (await ann.client.get(back, headers=said)).text
            assert words in shown_page
            assert 'id="payment"' not in shown_page, "nothing reached it, so nothing is being checked"
            assert f'content="60; url={page}"' in shown_page
        await behaves(system)


async def test_admins_turn_the_gateways_moods_and_nobody_else(system: System, event_id: str) -> None:
    path = "/api/admin/payments/simulator"
    async with system.web.client() as client:
        assert (await client.put(f"{path}/kakao_pay", json={"decline": 1})).status_code == 401
        buyers = await system.bearer(BUYER)
        assert (await client.put(f"{path}/kakao_pay", json={"decline": 1}, headers=buyers)).status_code == 403
        admins = await system.bearer(ADMIN)
        assert_problem(await client.put(f"{path}/cash", json={}, headers=admins), 404, "method_unknown")
        bad = await client.put(f"{path}/kakao_pay", json={"decline": 2}, headers=admins)
        assert_problem(bad, 422, "payload_invalid")
        turned = await client.put(f"{path}/kakao_pay", json={"decline": 1}, headers=admins)
        assert turned.json()["moods"]["kakao_pay"]["decline"] == 1.0
        assert (await client.get(path, headers=admins)).json() == turned.json()
        await client.put(f"{path}/kakao_pay", json={"decline": 1, "slowMs": 3}, headers=admins)
        newest, first = await audit_log.listed(system.db, audit_log.AuditFilter(action="gateway.change"), 2)
        assert (first.subject, first.change["decline"], first.change["was"]) == ("kakao_pay", 1.0, {"decline": 0.0})
        assert (newest.change["slowMs"], newest.change["was"]) == (3, {"slowMs": 0})
    async with buyer(system, event_id) as ann:
        assert_problem(await ann.pay(await holding(ann)), 402, "payment_declined")
