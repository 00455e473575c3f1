"""Money and seats agree, whatever the gateway does: every answer, every failure, every repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.audit import invariants
from app.domain.charge import PaymentMethod
from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel, Command, Confirm, Outcome
from app.lane.stream import LaneBusy
from app.ledger import charges, gateway_book
from app.ledger.charges import CHARGES_PER_RESERVATION_MAX
from app.payments.cashier import PaidStatus
from app.payments.courier import AGAIN, CLAIM, Courier
from app.payments.gateway import Answer, Verdict
from app.payments.hearing import TOLD_CARE_S
from app.payments.simulator import Simulator, answer_of
from tests.lane.world import EVENT, HOLD_FOR
from tests.payments.counter import BANK, KAKAO, NAVER, Counter
from workers import payer


@pytest.fixture(autouse=True)
async def _i7_holds_at_the_end(counter: Counter) -> AsyncIterator[None]:
    yield
    await agree(counter)
    await counter.drained()
    await agree(counter)


async def agree(counter: Counter) -> None:
    found = await invariants.check(counter.world.redis, counter.world.db, EVENT, counter.world.time.at)
    assert [violation for violation in found if violation.invariant == "I7"] == []


async def booked(counter: Counter) -> dict[str, str]:
    """What the gateway's book says, by charge."""
    found = [await gateway_book.find(counter.world.db, f"c_{number}") for number in range(60)]
    return {one.charge_id: one.status for one in found if one is not None}


async def status_of(counter: Counter, reservation_id: str) -> ReservationStatus:
    return (await counter.reservation(reservation_id)).status


@pytest.mark.parametrize("method", list(PaymentMethod))
async def test_a_payment_sells_the_seats_and_a_repeat_is_the_same_payment(
    counter: Counter, method: PaymentMethod
) -> None:
    held = await counter.held()
    paid = await counter.pay(held, method)
    assert (paid.status, paid.charge.amount) == (PaidStatus.captured, held.total_price)
    again = await counter.pay(held, method)
    assert (again.status, again.charge.id) == (PaidStatus.captured, paid.charge.id)
    assert list((await booked(counter)).values()) == ["captured"]


async def test_eight_requests_at_once_make_one_charge(counter: Counter) -> None:
    held = await counter.held()
    paid = await asyncio.gather(*(counter.pay(held) for _ in range(8)), return_exceptions=True)
    charges = {one.charge.id for one in paid if not isinstance(one, BaseException)}
    assert len(charges) == 1
    assert (await counter.pay(held)).status is PaidStatus.captured
    assert list((await booked(counter)).values()) == ["captured"]


async def test_a_key_gives_its_first_payment_again_and_refuses_another_question(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(decline=1.0)
    first = await counter.pay(held, KAKAO, "ann:1")
    await counter.behaves()
    assert first.status is PaidStatus.declined
    again = await counter.pay(held, KAKAO, "ann:1")
    assert (again.status, again.charge.id) == (PaidStatus.declined, first.charge.id)
    assert (await counter.pay(held, NAVER, "ann:1")).status is PaidStatus.key_reused
    assert (await counter.pay(held, KAKAO, "ann:2")).status is PaidStatus.captured


async def test_declined_money_leaves_the_hold_to_be_paid_another_way(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(KAKAO, decline=1.0)
    assert (await counter.pay(held, KAKAO)).status is PaidStatus.declined
    assert await status_of(counter, held.id) is ReservationStatus.pending
    assert (await counter.pay(held, NAVER)).status is PaidStatus.captured
    assert await status_of(counter, held.id) is ReservationStatus.confirmed


async def test_attempts_to_pay_for_one_reservation_have_a_limit(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(decline=1.0)
    for _ in range(CHARGES_PER_RESERVATION_MAX):
        assert (await counter.pay(held)).status is PaidStatus.declined
    assert (await counter.pay(held)).status is PaidStatus.too_many


async def test_an_answer_that_was_lost_is_found_out_by_the_payer(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(lost=1.0)
    assert (await counter.pay(held)).status is PaidStatus.unclear
    assert await status_of(counter, held.id) is ReservationStatus.pending
    await counter.behaves()
    await counter.later()
    assert await status_of(counter, held.id) is ReservationStatus.confirmed


async def test_asking_again_after_a_lost_answer_charges_once(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(lost=1.0)
    lost = await counter.pay(held)
    await counter.behaves()
    paid = await counter.pay(held)
    assert (paid.status, paid.charge.id) == (PaidStatus.captured, lost.charge.id)


async def test_a_charge_that_never_arrived_is_given_up_so_that_it_can_never_be_taken(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(network=1.0)
    never = await counter.pay(held)
    assert never.status is PaidStatus.unreachable
    assert len(counter.slept) == 3
    await counter.behaves()
    await counter.later()
    late = await counter.gateway().charge(never.charge.id, KAKAO, held.total_price)
    assert late.verdict is Verdict.refunded
    assert (await counter.pay(held)).status is PaidStatus.captured


async def test_another_way_to_pay_gives_up_the_one_under_way(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(KAKAO, lost=1.0)
    lost = await counter.pay(held, KAKAO)
    paid = await counter.pay(held, NAVER)
    assert paid.status is PaidStatus.captured
    await counter.behaves(KAKAO)
    await counter.later()
    assert (await booked(counter))[lost.charge.id] == "refunded"
    assert (await booked(counter))[paid.charge.id] == "captured"
    assert (await counter.pay(held, KAKAO)).status is PaidStatus.already_paid


async def test_money_whose_hold_is_gone_goes_back_and_the_buyer_is_told(counter: Counter) -> None:
    held = await counter.held()
    counter.world.time.pass_s(HOLD_FOR.total_seconds())
    late = await counter.pay(held)
    assert late.status is PaidStatus.refund_due
    assert getattr(await counter.money(held), "status", None) == "refund_due"
    await counter.later()
    assert getattr(await counter.money(held), "status", None) == "refunded"
    assert (await booked(counter))[late.charge.id] == "refunded"


async def test_a_lost_answer_for_a_hold_that_is_gone_ends_in_a_refund(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(lost=1.0)
    lost = await counter.pay(held)
    await counter.behaves()
    await counter.later(HOLD_FOR.total_seconds())
    await counter.later()
    await counter.later()
    assert (await booked(counter))[lost.charge.id] == "refunded"


async def test_cancelling_what_is_paid_pays_back_once_however_often_the_answer_is_lost(counter: Counter) -> None:
    held = await counter.held()
    paid = await counter.pay(held)
    await counter.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    assert await status_of(counter, held.id) is ReservationStatus.refunded
    assert getattr(await counter.money(held), "status", None) == "refund_due"
    await counter.behaves(lost=1.0)
    await counter.later()
    assert getattr(await counter.money(held), "status", None) == "refund_due"
    await counter.behaves()
    await counter.later()
    assert getattr(await counter.money(held), "status", None) == "refunded"
    assert (await booked(counter))[paid.charge.id] == "refunded"


async def owed(counter: Counter, seats: Sequence[int]) -> None:
    """Paid reservations that were cancelled."""
    for seat in seats:
        held = await counter.held(seat, f"buyer-{seat}")
        await counter.pay(held)
        await counter.world.do(Cancel(id=f"x-{seat}", reservation_id=held.id))


async def test_a_big_cancellation_is_paid_back_in_one_pass_and_a_slow_gateway_ends_it(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payer, "PASS_MAX", 2)
    await owed(counter, range(5))
    assert await counter.payer().round() == 5
    monkeypatch.setattr(payer, "PASS_S", 0.0)
    await owed(counter, range(5, 10))
    assert await counter.payer().round() == 2, "no further portion is begun after its time"


async def test_what_waits_for_its_turn_is_not_stuck_but_what_nobody_tries_is(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> int:
        found = await invariants.check(counter.world.redis, counter.world.db, EVENT, counter.world.time.at)
        return sum(violation.detail.endswith("nobody sees to it") for violation in found)

    await owed(counter, range(4))
    assert await stuck() == 0
    counter.world.time.pass_s(61)
    assert await stuck() == 4, "there is no payer at all"
    first, *_ = await charges.due_refunds(counter.world.db, counter.world.time.at, 4)
    assert await charges.claim_refund(counter.world.db, first, counter.world.time.at)
    counter.world.time.pass_s(61)
    monkeypatch.setattr(payer, "PASS_MAX", 1)
    monkeypatch.setattr(payer, "PORTIONS_MAX", 1)
    assert await counter.payer().round() == 1
    assert await stuck() == 1, "somebody took it on and died; the other two wait for their turn"
    monkeypatch.undo()
    await counter.payer().round()
    assert await stuck() == 0


async def test_a_gateway_that_answers_later_tells_by_webhook(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(BANK, late_s=30.0, twice=True)
    waiting = await counter.pay(held, BANK)
    assert waiting.status is PaidStatus.pending
    assert (await counter.pay(held, BANK)).charge.id == waiting.charge.id
    counter.world.time.pass_s(30)
    assert await counter.courier().round() == 1
    counter.world.time.pass_s(5)
    assert await counter.courier().round() == 1, "it was told to tell twice"
    assert await counter.courier().round() == 0
    told = Answer(Verdict.captured, "sim", held.total_price)
    for _ in range(2):
        assert await counter.cashier().told(waiting.charge.id, told)
        await counter.world.allocator().run(EVENT)
        assert await status_of(counter, held.id) is ReservationStatus.confirmed
    assert not await counter.cashier().told("c_none", told)


async def test_news_is_told_by_one_courier_and_again_only_when_nobody_heard_it(counter: Counter) -> None:
    """A courier whose webhooks nobody answers must not see to it that the same ones are sent again and again."""
    held = await counter.held()
    await counter.behaves(BANK, late_s=30.0)
    await counter.pay(held, BANK)
    counter.world.time.pass_s(30)
    posting, answered = asyncio.Event(), asyncio.Event()

    async def silent(body: bytes, headers: dict[str, str]) -> int:
        posting.set()
        await answered.wait()
        return 0

    db, now = counter.world.db, counter.world.time.now
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(Courier(db=db, post=silent, secret=b"s" * 32, now=now).round())
        await posting.wait()
        counter.world.time.pass_s(5)
        assert await counter.courier().round() == 0, "it is being told"
        answered.set()
    assert slow.result() == 1
    counter.world.time.pass_s(AGAIN.total_seconds())
    assert await counter.courier().round() == 1
    counter.world.time.pass_s(AGAIN.total_seconds())
    assert await counter.courier().round() == 0


async def test_news_of_a_courier_that_died_is_told_by_another(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(BANK, late_s=30.0)
    await counter.pay(held, BANK)
    counter.world.time.pass_s(30)
    await gateway_book.settle(counter.world.db, counter.world.time.at, 10)
    assert await gateway_book.take_news(counter.world.db, counter.world.time.at, CLAIM, 10)
    counter.world.time.pass_s(CLAIM.total_seconds())
    assert await counter.courier().round() == 1


async def test_a_webhook_waits_for_no_lane_and_the_payer_sends_a_confirm_that_got_lost(counter: Counter) -> None:
    async def lost(event_id: str, commands: Sequence[Confirm]) -> None:
        raise LaneBusy("the lane is full")

    async def never(event_id: str, command: Confirm) -> Outcome:
        raise AssertionError("a webhook does not wait for the lane")

    held = await counter.held()
    await counter.behaves(BANK, late_s=30.0)
    waiting = await counter.pay(held, BANK)
    counter.world.time.pass_s(30)
    await gateway_book.settle(counter.world.db, counter.world.time.at, 10)
    told = Answer(Verdict.captured, "sim", held.total_price)
    assert await counter.cashier(submit=never, send=lost).told(waiting.charge.id, told)
    assert await status_of(counter, held.id) is ReservationStatus.pending
    await counter.later(TOLD_CARE_S)
    assert await status_of(counter, held.id) is ReservationStatus.confirmed


async def test_news_that_come_after_the_refund_change_nothing(counter: Counter) -> None:
    held = await counter.held()
    paid = await counter.pay(held)
    await counter.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    await counter.later()
    assert await counter.cashier().told(paid.charge.id, Answer(Verdict.captured, "sim", held.total_price))
    assert await status_of(counter, held.id) is ReservationStatus.refunded


async def test_a_late_payment_whose_hold_ends_first_is_given_up(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(BANK, late_s=3000.0)
    waiting = await counter.pay(held, BANK)
    await counter.world.do(Cancel(id="x", reservation_id=held.id, holder="ann"))
    await counter.later()
    found = await gateway_book.find(counter.world.db, waiting.charge.id)
    assert found is not None
    assert answer_of(found).verdict is Verdict.refunded


async def test_captured_money_that_the_lane_could_not_be_told_of_is_told_by_the_payer(counter: Counter) -> None:
    async def busy(event_id: str, command: Confirm) -> Outcome:
        raise LaneBusy("no answer")

    held = await counter.held()
    with pytest.raises(LaneBusy):
        await counter.cashier(submit=busy).pay(held, KAKAO, None)
    await counter.later()
    assert await status_of(counter, held.id) is ReservationStatus.confirmed


async def test_one_charge_that_the_lane_cannot_be_told_of_keeps_no_other(counter: Counter) -> None:
    async def busy(event_id: str, command: Confirm) -> Outcome:
        raise LaneBusy("no answer")

    async def send(event_id: str, command: Command) -> None:
        if isinstance(command, Confirm) and command.reservation_id == lost.id:
            raise RedisConnectionError("it went away in the middle")
        await counter.send(event_id, command)

    lost, other = await counter.held(0), await counter.held(1)
    for held in (lost, other):
        with pytest.raises(LaneBusy):
            await counter.cashier(submit=busy).pay(held, KAKAO, None)
    counter.world.time.pass_s(60)
    assert await counter.payer(send=send).settle() == 2
    await counter.world.allocator().run(EVENT)
    assert await status_of(counter, other.id) is ReservationStatus.confirmed
    await counter.later()
    assert await status_of(counter, lost.id) is ReservationStatus.confirmed


async def test_another_amount_than_was_asked_for_goes_back(counter: Counter) -> None:
    held = await counter.held()
    await counter.behaves(BANK, late_s=0.0)
    waiting = await counter.pay(held, BANK)
    assert await counter.cashier().told(waiting.charge.id, Answer(Verdict.captured, "sim", 1))
    await counter.later()
    assert (await booked(counter))[waiting.charge.id] == "refunded"
    assert await status_of(counter, held.id) is ReservationStatus.pending


async def test_two_payers_at_once_refund_once_each(counter: Counter) -> None:
    reservations = [await counter.held(seat) for seat in range(4)]
    for held in reservations:
        await counter.pay(held)
        await counter.world.do(Cancel(id=f"x{held.id}", reservation_id=held.id, holder=held.holder))
    counter.world.time.pass_s(1)
    worked = await asyncio.gather(*(counter.payer().round() for _ in range(3)))
    assert sum(worked) == 4


async def test_a_charge_that_is_taken_while_the_payer_is_about_to_give_it_up_keeps_its_seats(counter: Counter) -> None:
    held = await counter.held()
    gateway = counter.gateway()

    class Slow(Simulator):
        async def find(self, charge_id: str) -> Answer | None:
            """Has not heard of it, and by the time it says so the buyer has asked again."""
            answer = await gateway.find(charge_id)
            assert (await counter.pay(held)).status is PaidStatus.captured
            return answer

    await counter.behaves(network=1.0)
    never = await counter.pay(held)
    await counter.behaves()
    counter.world.time.pass_s(60)
    slow = Slow(counter.world.db, now=counter.world.time.now, sleep=counter.sleep, chance=counter.chance.random)
    assert await counter.payer(gateway=slow).round() == 1
    assert (await booked(counter))[never.charge.id] == "captured"
    assert await status_of(counter, held.id) is ReservationStatus.confirmed
