"""Where no money is taken: a price of 0 needs no gateway, and what was taken and goes back is never called nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.domain.charge import FREE, NO_PROVIDER
from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel
from app.ledger import charges, editing, gateway_book
from app.ledger.events import AdminAction, GradeSpec
from app.payments.checkout import PaidStatus
from tests.lane.world import EVENT
from tests.payments.shop import BANK, KAKAO, Shop
from tests.payments.test_paying import webhook


@pytest.fixture(autouse=True)
async def _books_agree_at_the_end(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.agrees()
    await shop.drained()
    await shop.agrees()


async def test_a_total_of_nothing_is_sold_and_given_back_without_a_gateway(shop: Shop) -> None:
    grades = [GradeSpec(name="R", price=0), GradeSpec(name="S", price=50)]
    by = AdminAction("ann", "event.edit", {})
    await editing.edit(shop.world.db, EVENT, editing.Edit(grades=grades), by, shop.world.time.at)
    for method in (KAKAO, BANK):
        await shop.behaves(method, fault=1.0)
    held = await shop.held(0, 1)
    for _ in range(2):
        paid = await shop.pay(held, "")
        assert (paid.status, paid.charge.method, paid.charge.provider) == (PaidStatus.captured, FREE, NO_PROVIDER)
    assert (await shop.reservation(held.id)).status is ReservationStatus.confirmed
    await shop.world.do(Cancel(id="x", reservation_id=held.id, seat_ids=["s0"]))
    await shop.world.do(Cancel(id="y", reservation_id=held.id))
    await shop.later()
    assert (await shop.reservation(held.id)).status is ReservationStatus.refunded
    assert await gateway_book.find(shop.world.db, paid.charge.id) is None
    for method in (KAKAO, BANK):
        await shop.behaves(method)


async def test_money_that_was_taken_and_goes_back_is_not_called_nothing(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(BANK, late_s=0.0)
    waiting = await shop.pay(held, BANK)
    assert await shop.checkout().handle_webhook("simulator", webhook(waiting.charge, 1))
    for _ in range(2):
        assert getattr(await shop.money(held), "status", None) == "given_up"
        await shop.later()
    await shop.behaves(KAKAO, decline=1.0)
    await shop.pay(held, KAKAO)
    assert getattr(await shop.money(held), "status", None) == "failed"


async def test_a_gateway_that_is_away_after_an_unclear_request_may_have_taken_money(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(lost=1.0)
    assert (await shop.pay(held)).status is PaidStatus.unclear
    await shop.behaves(network=1.0)
    assert (await shop.pay(held)).status is PaidStatus.unclear, "the first request was carried out"
    await shop.behaves()
    (charge,) = await charges.due(shop.world.db, shop.world.time.at.replace(year=2030), 10)
    book = await gateway_book.find(shop.world.db, charge.id)
    assert book is not None
    assert book.status == "captured"
