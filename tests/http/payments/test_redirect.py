"""A provider with a page of its own: buyers are sent there and come back; only it is believed about its charges."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.payments import registry
from app.payments.providers.simulator import SIGNATURE_HEADER
from app.payments.webhook_signature import sign
from config.keys import load_keys
from tests.http.buyer import Answer, Buyer, assert_problem, buyer
from tests.http.system import System
from tests.payments.acme import ORIGIN, SIGNATURE, AcmePay
from tests.waiting import wait_until

EVENTS = 4
SETTINGS = {"payment_providers": "acme simulator"}
ACME = AcmePay(secret=b"a" * 32)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", autouse=True)
def _acme_is_known() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.MAKERS, "acme", lambda _: ACME)
        yield


async def holding(ann: Buyer) -> str:
    await ann.enter()
    return str((await ann.hold(seatIds=["s0"]))["id"])


async def shown(ann: Buyer, reservation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await ann.client.get(f"/api/reservations/{reservation_id}")).json()["reservation"]
    return found


async def webhook(system: System, provider: str, body: bytes, headers: dict[str, str]) -> Answer:
    async with system.web.client() as client:
        return await client.post(f"/api/payments/webhooks/{provider}", content=body, headers=headers)


async def becomes(ann: Buyer, reservation_id: str, status: str, money: str) -> None:
    async def is_so() -> bool:
        now = await shown(ann, reservation_id)
        return (now["status"], now["payment"]["status"]) == (status, money)

    await wait_until(is_so, description=f"the reservation is {status} and its money {money}")


async def test_a_buyer_is_sent_to_the_page_pays_there_and_is_refunded(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        answer = await ann.pay(reservation_id, "card")
        payment = answer.json()["payment"]
        assert (answer.status_code, payment["status"]) == (202, "pending")
        assert payment["redirectUrl"] == f"{ORIGIN}/checkout?order={payment['id']}"
        assert ACME.orders[payment["id"]].return_url.endswith(f"/reservations/{reservation_id}")
        body = ACME.buyer_pays(payment["id"])
        assert (await webhook(system, "acme", body, {SIGNATURE: ACME.sign(body)})).json() == {"received": True}
        await becomes(ann, reservation_id, "confirmed", "captured")
        await ann.client.post(f"/api/reservations/{reservation_id}/cancel")
        await becomes(ann, reservation_id, "refunded", "refunded")
        assert ACME.orders[payment["id"]].state == "VOID"


async def test_the_form_leads_to_the_page_and_the_browser_lets_it(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        page = f"/reservations/{reservation_id}"
        for lang, name in (("ko", "신용카드"), ("en", "Credit card")):
            form = await ann.client.get(page, headers={"accept-language": lang})
            assert f'value="card" required checked> {name}' in form.text
        assert f"form-action 'self' {ORIGIN};" in form.headers["content-security-policy"]
        token = re.findall(r'name="csrf" value="([^"]+)"', form.text)[-1]
        sent = await ann.client.post(f"{page}/pay", data={"method": "card", "csrf": token})
        assert (sent.status_code, sent.headers["location"].split("=")[0]) == (303, f"{ORIGIN}/checkout?order")
        waiting = await ann.client.get(page, headers={"accept-language": "en"})
        assert "being checked" in waiting.text
        ACME.buyer_pays(sent.headers["location"].split("=")[1], "REJECTED")
        await becomes(ann, reservation_id, "pending", "failed")
        unknown = await ann.client.post(f"{page}/pay", data={"method": "cash", "csrf": token})
        assert unknown.status_code == 422


async def test_each_provider_is_believed_at_its_own_address_with_its_own_secret(system: System, event_id: str) -> None:
    simulators = load_keys(system.settings.data_dir).webhook_secret
    async with buyer(system, event_id) as ann:
        reservation_id = await holding(ann)
        payment = (await ann.pay(reservation_id, "card")).json()["payment"]
        body = ACME.buyer_pays(payment["id"])
        signed = {SIGNATURE: ACME.sign(body)}
        forged = {SIGNATURE: AcmePay(secret=simulators).sign(body)}
        simulated = {SIGNATURE_HEADER: sign(simulators, body, int(time.time()))}
        for provider, headers in (
            ("acme", {}),
            ("acme", forged),
            ("acme", simulated),
            ("simulator", signed),
            ("simulator", forged),
        ):
            assert_problem(await webhook(system, provider, body, headers), 401, "signature_invalid")
        assert_problem(await webhook(system, "nobody", body, signed), 404, "provider_unknown")
        assert_problem(await webhook(system, "simulator", body, simulated), 422, "webhook_not_understood")
        new = b'{"type": "SOMETHING_NEW"}'
        answer = await webhook(system, "acme", new, {SIGNATURE: ACME.sign(new)})
        assert_problem(answer, 422, "webhook_not_understood")
        other = b'{"type": "REPORT_READY"}'
        assert (await webhook(system, "acme", other, {SIGNATURE: ACME.sign(other)})).status_code == 200
        assert (await webhook(system, "acme", body, signed)).status_code == 200
        await becomes(ann, reservation_id, "confirmed", "captured")


async def test_the_simulator_cannot_speak_for_another_providers_charge(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        payment = (await ann.pay(await holding(ann), "card")).json()["payment"]
        body = b'{"chargeId": "%s", "status": "captured", "reference": "x", "amount": 100}' % payment["id"].encode()
        signature = sign(load_keys(system.settings.data_dir).webhook_secret, body, int(time.time()))
        answer = await webhook(system, "simulator", body, {SIGNATURE_HEADER: signature})
        assert_problem(answer, 404, "charge_unknown")
