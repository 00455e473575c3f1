"""Money that the gateway gives back by itself, as after a charge-back: the seats go back too, and admins see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from app.audit import invariants
from app.domain.charge import SIMULATOR, Charge, ChargeStatus
from app.domain.reservation import ReservationStatus, SeatStatus
from app.lane.commands import Cancel, Command, Outcome
from app.lane.errors import LaneUnavailable
from app.ledger import audit_log, charges
from app.ledger.audit_log import AuditFilter
from app.payments.checkout import PaidStatus
from app.payments.provider import GatewayAnswer, Verdict, WebhookEvent
from tests.lane.world import EVENT
from tests.payments.shop import KAKAO, NAVER, Shop


@pytest.fixture(autouse=True)
async def _i7_holds_at_the_end(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.drained()
    found = await invariants.check(shop.world.redis, shop.world.db, EVENT, shop.world.time.at, [shop.simulator()])
    assert [violation for violation in found if violation.invariant in ("I5", "I7")] == []


async def gives_back(shop: Shop, charge: Charge) -> WebhookEvent:
    """The gateway pays the buyer back, without being asked by us; what it tells us of it."""
    await shop.simulator().refund(charge.id, charge.amount)
    return WebhookEvent(charge.id, GatewayAnswer(Verdict.refunded, "sim", charge.amount))


async def told(shop: Shop, event: WebhookEvent) -> None:
    assert await shop.checkout().handle_webhook(SIMULATOR, event)


async def test_a_refund_that_the_gateway_tells_of_gives_the_seats_back_and_is_seen_by_admins(shop: Shop) -> None:
    held = await shop.held()
    paid = await shop.pay(held)
    event = await gives_back(shop, paid.charge)
    for _ in range(2):
        await told(shop, event)
        await shop.world.allocator().run(EVENT)
        assert (await shop.reservation(held.id)).status is ReservationStatus.refunded
        assert (await shop.world.statuses())[0] == SeatStatus.available
    await shop.later()
    assert getattr(await shop.money(held), "status", None) == "refunded"
    (entry,) = await audit_log.listed(shop.world.db, AuditFilter(subject=held.id), 10)
    assert (entry.who, entry.action, entry.event_id) == ("simulator", "payment.returned", EVENT)
    assert entry.change == {"charge": paid.charge.id, "amount": held.total_price}


async def test_our_own_refund_that_the_gateway_tells_of_is_no_other_one(shop: Shop) -> None:
    held = await shop.held()
    paid = await shop.pay(held)
    await shop.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    await told(shop, await gives_back(shop, paid.charge))
    await shop.later()
    await told(shop, await gives_back(shop, paid.charge))
    assert await audit_log.listed(shop.world.db, AuditFilter(subject=held.id), 10) == []
    stored = await charges.get(shop.world.db, paid.charge.id)
    assert stored is not None
    assert stored.status is ChargeStatus.settled


async def test_a_refund_told_before_the_lane_knew_of_the_payment_sells_nothing_for_long(shop: Shop) -> None:
    async def busy(event_id: str, command: Command) -> Outcome:
        raise LaneUnavailable("no answer")

    held = await shop.held()
    with pytest.raises(LaneUnavailable):
        await shop.checkout(submit=busy).pay(held, KAKAO, None)
    (charge,) = await charges.due(shop.world.db, shop.world.time.at.replace(year=2030), 10)
    await told(shop, await gives_back(shop, charge))
    await shop.world.allocator().run(EVENT)
    assert (await shop.reservation(held.id)).status is ReservationStatus.refunded


async def test_a_refund_told_while_the_lane_is_away_is_acted_on_by_the_payer(shop: Shop) -> None:
    async def lost(event_id: str, commands: Sequence[Command]) -> None:
        raise LaneUnavailable("the lane is full")

    held = await shop.held()
    paid = await shop.pay(held)
    event = await gives_back(shop, paid.charge)
    assert await shop.checkout(send=lost).handle_webhook(SIMULATOR, event)
    assert (await shop.reservation(held.id)).status is ReservationStatus.confirmed
    await shop.later()
    assert (await shop.reservation(held.id)).status is ReservationStatus.refunded
    assert (await shop.pay(held)).status is PaidStatus.refunded


async def test_a_refund_of_another_charge_leaves_the_seats_to_the_one_that_paid_for_them(shop: Shop) -> None:
    """A charge that we gave up, and whose money the gateway took and returned, is not the one that paid."""
    held = await shop.held()
    await shop.behaves(KAKAO, lost=1.0)
    lost = await shop.pay(held, KAKAO)
    await shop.behaves(KAKAO)
    assert (await shop.pay(held, NAVER)).status is PaidStatus.captured
    await told(shop, await gives_back(shop, lost.charge))
    await shop.later()
    assert (await shop.reservation(held.id)).status is ReservationStatus.confirmed
