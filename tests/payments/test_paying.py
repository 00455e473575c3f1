"""Money and seats agree, whatever the gateway does: every answer, every failure, every repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from app.audit import invariants
from app.domain.charge import SIMULATOR, Charge
from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel, Command, Confirm, Expire, Outcome
from app.lane.errors import LaneUnavailable
from app.ledger import charges, gateway_book
from app.ledger.charges import CHARGES_PER_RESERVATION_MAX
from app.payments.checkout import PaidStatus
from app.payments.gateway_answers import RECHECK_AFTER_WEBHOOK_S
from app.payments.provider import ChargeRequest, GatewayAnswer, Verdict, WebhookEvent
from app.payments.providers.simulator import SimulatedMethod, Simulator, answer_of
from app.payments.webhook_sender import CLAIM, RESEND_AFTER, WebhookSender
from app.payments.webhook_signature import WebhookSecrets
from tests.lane.world import EVENT, HOLD_FOR
from tests.payments.shop import BANK, KAKAO, NAVER, SECRET, Shop
from workers import payer

pytestmark = pytest.mark.both_databases


@pytest.fixture(autouse=True)
async def _i7_holds_at_the_end(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.agrees()
    await shop.drained()
    await shop.agrees()


async def booked(shop: Shop) -> dict[str, str]:
    """What the gateway's book says, by charge."""
    found = [await gateway_book.find(shop.world.db, f"c_{number}") for number in range(60)]
    return {one.charge_id: one.status for one in found if one is not None}


def webhook(charge: Charge, amount: int) -> WebhookEvent:
    """What the simulator says when it has taken this amount."""
    return WebhookEvent(charge.id, GatewayAnswer(Verdict.captured, "sim", amount))


async def status_of(shop: Shop, reservation_id: str) -> ReservationStatus:
    return (await shop.reservation(reservation_id)).status


@pytest.mark.parametrize("method", list(SimulatedMethod))
async def test_a_payment_sells_the_seats_and_a_repeat_is_the_same_payment(shop: Shop, method: SimulatedMethod) -> None:
    held = await shop.held()
    paid = await shop.pay(held, method)
    assert (paid.status, paid.charge.amount) == (PaidStatus.captured, held.total_price)
    again = await shop.pay(held, method)
    assert (again.status, again.charge.id) == (PaidStatus.captured, paid.charge.id)
    assert list((await booked(shop)).values()) == ["captured"]


async def test_eight_requests_at_once_make_one_charge(shop: Shop) -> None:
    held = await shop.held()
    paid = await asyncio.gather(*(shop.pay(held) for _ in range(8)), return_exceptions=True)
    charges = {one.charge.id for one in paid if not isinstance(one, BaseException)}
    assert len(charges) == 1
    assert (await shop.pay(held)).status is PaidStatus.captured
    assert list((await booked(shop)).values()) == ["captured"]


async def test_a_key_gives_its_first_payment_again_and_refuses_another_question(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(decline=1.0)
    first = await shop.pay(held, KAKAO, "ann:1")
    await shop.behaves()
    assert first.status is PaidStatus.declined
    again = await shop.pay(held, KAKAO, "ann:1")
    assert (again.status, again.charge.id) == (PaidStatus.declined, first.charge.id)
    assert (await shop.pay(held, NAVER, "ann:1")).status is PaidStatus.key_reused
    assert (await shop.pay(held, KAKAO, "ann:2")).status is PaidStatus.captured


async def test_declined_money_leaves_the_hold_to_be_paid_another_way(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(KAKAO, decline=1.0)
    assert (await shop.pay(held, KAKAO)).status is PaidStatus.declined
    assert await status_of(shop, held.id) is ReservationStatus.pending
    assert (await shop.pay(held, NAVER)).status is PaidStatus.captured
    assert await status_of(shop, held.id) is ReservationStatus.confirmed


async def test_attempts_to_pay_for_one_reservation_have_a_limit(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(decline=1.0)
    for _ in range(CHARGES_PER_RESERVATION_MAX):
        assert (await shop.pay(held)).status is PaidStatus.declined
    assert (await shop.pay(held)).status is PaidStatus.too_many


async def test_an_answer_that_was_lost_is_found_out_by_the_payer(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(lost=1.0)
    assert (await shop.pay(held)).status is PaidStatus.unclear
    assert await status_of(shop, held.id) is ReservationStatus.pending
    await shop.behaves()
    await shop.later()
    assert await status_of(shop, held.id) is ReservationStatus.confirmed


async def test_asking_again_after_a_lost_answer_charges_once(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(lost=1.0)
    lost = await shop.pay(held)
    await shop.behaves()
    paid = await shop.pay(held)
    assert (paid.status, paid.charge.id) == (PaidStatus.captured, lost.charge.id)


async def test_a_charge_that_never_arrived_is_given_up_so_that_it_can_never_be_taken(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(network=1.0)
    never = await shop.pay(held)
    assert never.status is PaidStatus.unreachable
    assert len(shop.slept) == 3
    await shop.behaves()
    await shop.later()
    late = await shop.simulator().charge(
        ChargeRequest(never.charge.id, KAKAO, held.total_price, "https://shop.example")
    )
    assert late.verdict is Verdict.refunded
    assert (await shop.pay(held)).status is PaidStatus.captured


async def test_another_way_to_pay_gives_up_the_one_under_way(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(KAKAO, lost=1.0)
    lost = await shop.pay(held, KAKAO)
    paid = await shop.pay(held, NAVER)
    assert paid.status is PaidStatus.captured
    await shop.behaves(KAKAO)
    await shop.later()
    assert (await booked(shop))[lost.charge.id] == "refunded"
    assert (await booked(shop))[paid.charge.id] == "captured"
    assert (await shop.pay(held, KAKAO)).status is PaidStatus.already_paid


async def test_money_whose_hold_is_gone_goes_back_and_the_buyer_is_told(shop: Shop) -> None:
    async def slow(event_id: str, command: Confirm) -> Outcome:
        await shop.world.do(Cancel(id="x", reservation_id=held.id))
        return await shop.submit(event_id, command)

    held = await shop.held()
    late = await shop.checkout(submit=slow).pay(held, KAKAO, None)
    assert late.status is PaidStatus.refund_due
    assert getattr(await shop.money(held), "status", None) == "refund_due"
    await shop.later()
    assert getattr(await shop.money(held), "status", None) == "refunded"
    assert (await booked(shop))[late.charge.id] == "refunded"


async def test_a_lost_answer_for_a_hold_that_is_gone_ends_in_a_refund(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(lost=1.0)
    lost = await shop.pay(held)
    await shop.behaves()
    shop.world.time.pass_s(HOLD_FOR.total_seconds())
    await shop.world.do(Expire(id="x", reservation_id=held.id))
    for _ in range(3):
        await shop.later()
    assert (await booked(shop))[lost.charge.id] == "refunded"


async def test_cancelling_what_is_paid_pays_back_once_however_often_the_answer_is_lost(shop: Shop) -> None:
    held = await shop.held()
    paid = await shop.pay(held)
    await shop.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    assert await status_of(shop, held.id) is ReservationStatus.refunded
    assert getattr(await shop.money(held), "status", None) == "refund_due"
    await shop.behaves(lost=1.0)
    await shop.later()
    assert getattr(await shop.money(held), "status", None) == "refund_due"
    await shop.behaves()
    await shop.later()
    assert getattr(await shop.money(held), "status", None) == "refunded"
    assert (await booked(shop))[paid.charge.id] == "refunded"


async def owed(shop: Shop, seats: Sequence[int]) -> None:
    """Paid reservations that were cancelled."""
    for seat in seats:
        held = await shop.held(seat, holder=f"buyer-{seat}")
        await shop.pay(held)
        await shop.world.do(Cancel(id=f"x-{seat}", reservation_id=held.id))


async def test_a_big_cancellation_is_paid_back_in_one_pass_and_a_slow_gateway_ends_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payer, "PASS_MAX", 2)
    await owed(shop, range(5))
    assert await shop.payer().round() == 5
    monkeypatch.setattr(payer, "PASS_S", 0.0)
    await owed(shop, range(5, 10))
    assert await shop.payer().round() == 2, "no further portion is begun after its time"


async def test_what_waits_for_its_turn_is_not_stuck_but_what_nobody_tries_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> int:
        found = await invariants.check(shop.world.redis, shop.world.db, EVENT, shop.world.time.at, [shop.simulator()])
        return sum(violation.detail.endswith("nobody sees to it") for violation in found)

    await owed(shop, range(4))
    assert await stuck() == 0
    shop.world.time.pass_s(61)
    assert await stuck() == 4, "there is no payer at all"
    first, *_ = await charges.due_refunds(shop.world.db, shop.world.time.at, 4)
    assert await charges.claim_refund(shop.world.db, first, shop.world.time.at)
    shop.world.time.pass_s(61)
    monkeypatch.setattr(payer, "PASS_MAX", 1)
    monkeypatch.setattr(payer, "PORTIONS_MAX", 1)
    assert await shop.payer().round() == 1
    assert await stuck() == 1, "somebody took it on and died; the other two wait for their turn"
    monkeypatch.undo()
    await shop.payer().round()
    assert await stuck() == 0


async def test_a_gateway_that_answers_later_tells_by_webhook(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(BANK, late_s=30.0, twice=True)
    waiting = await shop.pay(held, BANK)
    assert waiting.status is PaidStatus.pending
    assert (await shop.pay(held, BANK)).charge.id == waiting.charge.id
    shop.world.time.pass_s(30)
    assert await shop.webhook_sender().round() == 1
    shop.world.time.pass_s(5)
    assert await shop.webhook_sender().round() == 1, "`twice` is set"
    assert await shop.webhook_sender().round() == 0
    event = webhook(waiting.charge, held.total_price)
    for _ in range(2):
        assert await shop.checkout().handle_webhook(SIMULATOR, event)
        await shop.world.allocator().run(EVENT)
        assert await status_of(shop, held.id) is ReservationStatus.confirmed
    assert not await shop.checkout().handle_webhook(SIMULATOR, event._replace(charge_id="c_none"))


async def test_a_webhook_is_sent_by_one_sender_and_again_only_when_it_was_not_accepted(shop: Shop) -> None:
    """A webhook_sender whose webhooks nobody answers must not see to it that the same ones are sent again and again."""
    held = await shop.held()
    await shop.behaves(BANK, late_s=30.0)
    await shop.pay(held, BANK)
    shop.world.time.pass_s(30)
    posting, answered = asyncio.Event(), asyncio.Event()

    async def silent(body: bytes, headers: dict[str, str]) -> int:
        posting.set()
        await answered.wait()
        return 0

    db, now = shop.world.db, shop.world.time.now
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(WebhookSender(db=db, post=silent, secret=b"s" * 32, now=now).round())
        await posting.wait()
        shop.world.time.pass_s(5)
        assert await shop.webhook_sender().round() == 0, "it is being sent"
        answered.set()
    assert slow.result() == 1
    shop.world.time.pass_s(RESEND_AFTER.total_seconds())
    assert await shop.webhook_sender().round() == 1
    shop.world.time.pass_s(RESEND_AFTER.total_seconds())
    assert await shop.webhook_sender().round() == 0


async def test_a_webhook_whose_sender_died_is_sent_by_another(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(BANK, late_s=30.0)
    await shop.pay(held, BANK)
    shop.world.time.pass_s(30)
    await gateway_book.capture_due(shop.world.db, shop.world.time.at, 10)
    assert await gateway_book.claim_webhooks(shop.world.db, shop.world.time.at, CLAIM, 10)
    shop.world.time.pass_s(CLAIM.total_seconds())
    assert await shop.webhook_sender().round() == 1


async def test_a_webhook_waits_for_no_lane_and_the_payer_sends_a_confirm_that_got_lost(shop: Shop) -> None:
    async def lost(event_id: str, commands: Sequence[Confirm]) -> None:
        raise LaneUnavailable("the lane is full")

    async def never(event_id: str, command: Confirm) -> Outcome:
        raise AssertionError("a webhook does not wait for the lane")

    held = await shop.held()
    await shop.behaves(BANK, late_s=30.0)
    waiting = await shop.pay(held, BANK)
    shop.world.time.pass_s(30)
    await gateway_book.capture_due(shop.world.db, shop.world.time.at, 10)
    event = webhook(waiting.charge, held.total_price)
    assert await shop.checkout(submit=never, send=lost).handle_webhook("simulator", event)
    assert await status_of(shop, held.id) is ReservationStatus.pending
    await shop.later(RECHECK_AFTER_WEBHOOK_S)
    assert await status_of(shop, held.id) is ReservationStatus.confirmed


async def test_a_webhook_that_comes_after_the_refund_changes_nothing(shop: Shop) -> None:
    held = await shop.held()
    paid = await shop.pay(held)
    await shop.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    await shop.later()
    assert await shop.checkout().handle_webhook(SIMULATOR, webhook(paid.charge, held.total_price))
    assert await status_of(shop, held.id) is ReservationStatus.refunded


async def test_a_late_payment_whose_hold_ends_first_is_given_up(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(BANK, late_s=3000.0)
    waiting = await shop.pay(held, BANK)
    await shop.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    await shop.later()
    found = await gateway_book.find(shop.world.db, waiting.charge.id)
    assert found is not None
    assert answer_of(found).verdict is Verdict.refunded


async def test_captured_money_that_the_lane_could_not_be_told_of_is_told_by_the_payer(shop: Shop) -> None:
    async def busy(event_id: str, command: Confirm) -> Outcome:
        raise LaneUnavailable("no answer")

    held = await shop.held()
    with pytest.raises(LaneUnavailable):
        await shop.checkout(submit=busy).pay(held, KAKAO, None)
    await shop.later()
    assert await status_of(shop, held.id) is ReservationStatus.confirmed


async def test_one_charge_that_the_lane_cannot_be_told_of_keeps_no_other(shop: Shop) -> None:
    async def busy(event_id: str, command: Confirm) -> Outcome:
        raise LaneUnavailable("no answer")

    async def send(event_id: str, command: Command) -> None:
        if isinstance(command, Confirm) and command.reservation_id == lost.id:
            raise LaneUnavailable("it went away in the middle")
        await shop.send(event_id, command)

    lost, other = await shop.held(0), await shop.held(1)
    for held in (lost, other):
        with pytest.raises(LaneUnavailable):
            await shop.checkout(submit=busy).pay(held, KAKAO, None)
    shop.world.time.pass_s(60)
    assert await shop.payer(send=send).settle() == 2
    await shop.world.allocator().run(EVENT)
    assert await status_of(shop, other.id) is ReservationStatus.confirmed
    await shop.later()
    assert await status_of(shop, lost.id) is ReservationStatus.confirmed


async def test_another_amount_than_was_asked_for_goes_back(shop: Shop) -> None:
    held = await shop.held()
    await shop.behaves(BANK, late_s=0.0)
    waiting = await shop.pay(held, BANK)
    assert await shop.checkout().handle_webhook("simulator", webhook(waiting.charge, 1))
    await shop.later()
    assert (await booked(shop))[waiting.charge.id] == "refunded"
    assert await status_of(shop, held.id) is ReservationStatus.pending


async def test_two_payers_at_once_refund_once_each(shop: Shop) -> None:
    reservations = [await shop.held(seat) for seat in range(4)]
    for held in reservations:
        await shop.pay(held)
        await shop.world.do(Cancel(id=f"x{held.id}", reservation_id=held.id, holder=held.holder))
    shop.world.time.pass_s(1)
    worked = await asyncio.gather(*(shop.payer().round() for _ in range(3)))
    assert sum(worked) == 4


async def test_a_charge_that_is_taken_while_the_payer_is_about_to_give_it_up_keeps_its_seats(shop: Shop) -> None:
    held = await shop.held()
    gateway = shop.simulator()

    class Slow(Simulator):
        async def find(self, charge_id: str) -> GatewayAnswer | None:
            """Has not heard of it, and by the time it says so the buyer has asked again."""
            answer = await gateway.find(charge_id)
            assert (await shop.pay(held)).status is PaidStatus.captured
            return answer

    await shop.behaves(network=1.0)
    never = await shop.pay(held)
    await shop.behaves()
    shop.world.time.pass_s(60)
    slow = Slow(
        shop.world.db,
        secrets=WebhookSecrets([SECRET]),
        now=shop.world.time.now,
        sleep=shop.sleep,
        chance=shop.chance.random,
    )
    assert await shop.payer(provider=slow).round() == 1
    assert (await booked(shop))[never.charge.id] == "captured"
    assert await status_of(shop, held.id) is ReservationStatus.confirmed
