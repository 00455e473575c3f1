"""Some seats of a reservation are given back: their money goes back, once, and the rest stays as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.domain.charge import SIMULATOR
from app.domain.reservation import Reservation, ReservationStatus
from app.lane.commands import Cancel, OutcomeStatus
from app.ledger import gateway_book
from app.ledger.charges import Money
from app.payments.checkout import PaidStatus
from app.payments.provider import GatewayAnswer, Verdict, WebhookEvent, WebhookNotUnderstood
from tests.lane.audit import broken
from tests.lane.world import EVENT
from tests.payments.shop import BANK, KAKAO, Shop


@pytest.fixture(autouse=True)
async def _books_agree_at_the_end(shop: Shop) -> AsyncIterator[None]:
    yield
    await agree(shop)
    await shop.drained()
    await agree(shop)


async def agree(shop: Shop) -> None:
    await shop.agrees()
    assert await broken(shop.world.db) == []


async def holding(shop: Shop, *seats: int) -> Reservation:
    return await shop.held(*seats, holder="ann")


async def gives_back(shop: Shop, held: Reservation, *seats: int, holder: str | None = "ann") -> OutcomeStatus:
    names = [f"s{idx}" for idx in seats]
    command = Cancel(id=f"x{next(shop.names)}", reservation_id=held.id, holder=holder, seat_ids=names)
    (outcome,) = await shop.world.do(command)
    return outcome.status


async def paid_back(shop: Shop, charge_id: str) -> tuple[str, int]:
    book = await gateway_book.find(shop.world.db, charge_id)
    assert book is not None
    return book.status, book.refunded


async def test_a_seat_of_a_paid_reservation_goes_back_with_its_money(shop: Shop) -> None:
    held = await holding(shop, 0, 1, 6)
    paid = await shop.pay(held)
    assert await gives_back(shop, held, 1) is OutcomeStatus.reduced
    now = await shop.reservation(held.id)
    assert (now.status, now.seats, now.total_price) == (ReservationStatus.confirmed, (0, 6), 150)
    assert list((await shop.world.statuses())[:2]) == [2, 0]
    assert await shop.money(held) == Money("captured", "kakao_pay", 150, returning=100)
    await shop.behaves(KAKAO, lost=1.0)
    await shop.later()
    await shop.behaves(KAKAO)
    await shop.later()
    assert await paid_back(shop, paid.charge.id) == ("captured", 100)
    assert await shop.money(held) == Money("captured", "kakao_pay", 150, returned=100)
    assert await gives_back(shop, held, 0) is OutcomeStatus.reduced
    assert await gives_back(shop, held, 6) is OutcomeStatus.cancelled
    await shop.later()
    assert await paid_back(shop, paid.charge.id) == ("refunded", 250)
    assert (await shop.reservation(held.id)).status is ReservationStatus.refunded


async def test_a_seat_of_a_hold_goes_back_and_the_rest_is_paid_for(shop: Shop) -> None:
    held = await holding(shop, 0, 1, 6)
    assert await gives_back(shop, held, 0, 6) is OutcomeStatus.reduced
    rest = await shop.reservation(held.id)
    assert (rest.status, rest.seats, rest.total_price) == (ReservationStatus.pending, (1,), 100)
    paid = await shop.pay(rest)
    assert (paid.status, paid.charge.amount) == (PaidStatus.captured, 100)


async def test_seats_of_others_or_of_none_are_not_given_back(shop: Shop) -> None:
    held, other = await holding(shop, 0, 1), await holding(shop, 2)
    for seats in ((2,), (0, 2), (99,), (0, 1, 2)):
        assert await gives_back(shop, held, *seats) is OutcomeStatus.unknown_seat
    assert await gives_back(shop, other, 2, holder="bob") is OutcomeStatus.not_found
    assert (await shop.reservation(held.id)).seats == (0, 1)


async def test_money_for_seats_that_were_given_back_meanwhile_goes_back_whole(shop: Shop) -> None:
    """The gateway takes the price of both seats after one was given back: the hold stays, to be paid again."""
    held = await holding(shop, 0, 1)
    await shop.behaves(BANK, late_s=5.0)
    late = await shop.pay(held, BANK)
    assert await gives_back(shop, held, 0) is OutcomeStatus.reduced
    shop.world.time.pass_s(5)
    await gateway_book.capture_due(shop.world.db, shop.world.time.at, 10)
    event = WebhookEvent(late.charge.id, GatewayAnswer(Verdict.captured, "sim", 200))
    assert await shop.checkout().handle_webhook(SIMULATOR, event)
    await shop.later(5)
    await shop.later(5)
    assert await paid_back(shop, late.charge.id) == ("refunded", 200)
    rest = await shop.reservation(held.id)
    assert (rest.status, rest.seats) == (ReservationStatus.pending, (1,))
    assert (await shop.pay(rest)).status is PaidStatus.captured


async def test_the_gateway_may_pay_all_back_while_a_part_is_on_its_way(shop: Shop) -> None:
    held = await holding(shop, 0, 1)
    paid = await shop.pay(held)
    await gives_back(shop, held, 0)
    await shop.simulator().refund(paid.charge.id, 200)
    event = WebhookEvent(paid.charge.id, GatewayAnswer(Verdict.refunded, "sim", 200))
    assert await shop.checkout().handle_webhook(SIMULATOR, event)
    await shop.world.allocator().run(EVENT)
    assert (await shop.reservation(held.id)).status is ReservationStatus.refunded


async def test_a_part_that_the_gateway_paid_back_by_itself_is_not_understood(shop: Shop) -> None:
    held = await holding(shop, 0, 1)
    paid = await shop.pay(held)
    answer = GatewayAnswer(Verdict.captured, "sim", 200, refunded=100)
    with pytest.raises(WebhookNotUnderstood):
        await shop.checkout().handle_webhook(SIMULATOR, WebhookEvent(paid.charge.id, answer))
    await gives_back(shop, held, 1)
    assert await shop.checkout().handle_webhook(SIMULATOR, WebhookEvent(paid.charge.id, answer))


async def test_held_paid_and_given_back_in_one_batch(shop: Shop) -> None:
    held = await holding(shop, 0, 1)
    give = Cancel(id="x", reservation_id=held.id, holder="ann", seat_ids=["s0"])
    rest = Cancel(id="y", reservation_id=held.id, holder="ann")
    paid = await shop.pay(held)
    assert [outcome.status for outcome in await shop.world.do(give, rest, give)] == ["reduced", "cancelled", "reduced"]
    await shop.later()
    assert await paid_back(shop, paid.charge.id) == ("refunded", 200)
