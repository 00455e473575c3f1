"""A payment that was begun in time keeps its hold for a while; one that is begun too late charges nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.domain.charge import SIMULATOR
from app.domain.reservation import Reservation, ReservationStatus
from app.lane.commands import Expire, OutcomeStatus, ReleasePlace
from app.ledger import gateway_book, reservations
from app.payments.checkout import PaidStatus
from app.payments.provider import GatewayAnswer, Verdict, WebhookEvent
from tests.lane.world import EVENT, HOLD_FOR, hold
from tests.payments.shop import BANK, KAKAO, NAVER, Shop

HOLD_S = HOLD_FOR.total_seconds()


@pytest.fixture(autouse=True)
async def _books_agree_at_the_end(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.drained()
    await shop.agrees()


async def swept(shop: Shop) -> list[OutcomeStatus]:
    """What becomes of the holds that are due."""
    due = await reservations.due(shop.world.db, shop.world.time.at, 10)
    expiries = [Expire(id=f"expire:{name}", reservation_id=name) for _, name in due]
    return [outcome.status for outcome in await shop.world.do(*expiries)] if expiries else []


async def begun_late(shop: Shop, method: str = BANK) -> Reservation:
    """A hold whose payment is begun 1.5 s before its end and not decided by the gateway."""
    held = await shop.held()
    await shop.behaves(BANK, late_s=1000.0)
    shop.world.time.pass_s(HOLD_S - 1.5)
    assert (await shop.pay(held, method)).status is PaidStatus.pending
    return held


async def captured(shop: Shop) -> None:
    """The gateway takes the money, and tells so."""
    db = shop.world.db
    await gateway_book.capture_due(db, shop.world.time.at + timedelta(seconds=1000), 10)
    (charge,) = await gateway_book.changed_since(db, shop.world.time.at, "", 10)
    event = WebhookEvent(charge.charge_id, GatewayAnswer(Verdict.captured, "sim", charge.amount))
    assert await shop.checkout().handle_webhook(SIMULATOR, event)
    await shop.world.allocator().run(EVENT)


async def test_a_payment_begun_in_time_keeps_its_hold_until_its_grace_is_over(shop: Shop) -> None:
    held = await begun_late(shop)
    shop.world.time.pass_s(100)
    assert await swept(shop) == []
    (sent,) = await shop.world.do(Expire(id="early", reservation_id=held.id))
    assert sent.status is OutcomeStatus.not_due
    assert (await shop.reservation(held.id)).ends_at == held.expires_at + timedelta(seconds=120 - 1.5)
    await captured(shop)
    assert (await shop.reservation(held.id)).status is ReservationStatus.confirmed


async def test_after_its_grace_the_hold_ends_and_late_money_goes_back(shop: Shop) -> None:
    held = await begun_late(shop)
    shop.world.time.pass_s(121)
    assert await swept(shop) == [OutcomeStatus.expired]
    await captured(shop)
    assert (await shop.reservation(held.id)).status is ReservationStatus.expired
    assert getattr(await shop.money(held), "status", None) == "refund_due"


async def test_a_place_that_lapses_does_not_end_what_is_being_paid(shop: Shop) -> None:
    (outcome,) = await shop.world.do(hold("h", [0], number=3))
    assert outcome.reservation is not None
    held = await shop.reservation(outcome.reservation.id)
    await shop.behaves(BANK, late_s=1000.0)
    await shop.pay(held, BANK)
    (released,) = await shop.world.do(ReleasePlace(id="r", epoch=1, number=3))
    assert released.status is OutcomeStatus.not_due
    await captured(shop)
    assert (await shop.reservation(held.id)).status is ReservationStatus.confirmed


async def test_a_payment_that_is_declined_keeps_nothing(shop: Shop) -> None:
    held = await shop.held()
    shop.world.time.pass_s(HOLD_S - 1)
    await shop.behaves(decline=1.0)
    assert (await shop.pay(held)).status is PaidStatus.declined
    shop.world.time.pass_s(1)
    assert (await shop.pay(held, NAVER)).status is PaidStatus.hold_over
    assert await swept(shop) == [OutcomeStatus.expired]


async def test_another_way_to_pay_does_not_prolong_the_grace(shop: Shop) -> None:
    held = await begun_late(shop)
    shop.world.time.pass_s(100)
    await shop.behaves(KAKAO, late_s=1000.0)
    assert (await shop.pay(held, KAKAO)).status is PaidStatus.pending
    assert (await shop.reservation(held.id)).ends_at == held.expires_at + timedelta(seconds=120 - 1.5)
    shop.world.time.pass_s(21)
    assert await swept(shop) == [OutcomeStatus.expired]
    assert (await shop.pay(held, NAVER)).status is PaidStatus.hold_over


def test_a_bank_transfer_has_longer(shop: Shop) -> None:
    providers, usual = shop.checkout().providers, timedelta(seconds=120)
    assert providers.grace(KAKAO, usual) == usual
    assert providers.grace(BANK, usual) == timedelta(seconds=900)
