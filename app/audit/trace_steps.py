"""The steps of one number, from what each store has about it. Pure: records in, steps out.

A step is a code with its details, in no language: whoever shows it finds the words. Where no store keeps a moment, `at`
is None; nothing is guessed. No step names a holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from app.domain.reservation import PaymentStatus, ReservationStatus
from app.domain.wish import unpack_wish
from app.lane.commands import Outcome, OutcomeStatus
from app.lane.place_commands import WaitingCommand
from app.ledger.audit_log import BUYER, PAYMENT_RETURNED
from app.ledger.places import PlaceAction, PlacePayment, PlaceRecords, PlaceReservation
from app.room.number_history import LoggedStep, LogStep, NumberHistory, NumberKeys

SOLD = (ReservationStatus.confirmed, ReservationStatus.refunded)


class Source(StrEnum):
    """Where a step is written down."""

    room_log = "room_log"
    redis = "redis"  # the room's keys, which say how it is and not since when
    lane = "lane"
    sql = "sql"


class What(StrEnum):
    joined = "joined"  # `at` the latest and `after` the earliest moment, as far as they are known
    wish_said = "wish_said"  # kept until the turn
    seen = "seen"  # between `at` and `until`
    passed_over = "passed_over"
    came_back = "came_back"
    admitted = "admitted"  # to be claimed before `until`
    claimed = "claimed"  # the pass ends at `until`
    left = "left"  # or an account that logged in kept another place
    lapsed = "lapsed"
    served = "served"
    room_lost = "room_lost"
    restored = "restored"
    not_restored = "not_restored"
    command_waiting = "command_waiting"  # on the lane, since `at`
    wish_answered = "wish_answered"  # `status` of an outcome
    reserved = "reserved"  # held until `until`
    reservation_cancelled = "reservation_cancelled"
    reservation_expired = "reservation_expired"
    reservation_refunded = "reservation_refunded"
    charge_started = "charge_started"  # `status` is what became of it
    paid = "paid"  # and the seats are sold
    paid_too_late = "paid_too_late"  # the money is due back
    refund_due = "refund_due"
    paid_back = "paid_back"
    admin_acted = "admin_acted"  # `status` refused if it had no effect


class EndedBy(StrEnum):
    """Who or what ended a reservation."""

    buyer = "buyer"
    admin = "admin"
    event_cancelled = "event_cancelled"
    provider = "provider"  # it has paid the money back by itself
    time = "time"  # the hold's own
    turn_lapsed = "turn_lapsed"  # nobody claimed the turn that its wish was for
    place_ended = "place_ended"  # the buyer left the line
    unknown = "unknown"  # the lane's reply is not stored any more


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    at: datetime | None
    source: Source
    what: What
    after: datetime | None = None
    until: datetime | None = None
    status: str = ""
    by: EndedBy | None = None
    who: str = ""
    action: str = ""
    command: str = ""
    reservation_id: str = ""
    charge_id: str = ""
    seats: int = 0
    amount: int = 0
    method: str = ""


Answers = Mapping[str, tuple[Outcome, datetime]]  # by command id, with when it was given


def was_sold(records: PlaceRecords | None) -> bool:
    """Whether seats were bought for the place, refunded or not."""
    return records is not None and any(reservation.status in SOLD for reservation in records.reservations)


def room_steps(history: NumberHistory, sold: bool) -> list[Step]:
    """What the room tells. A place for which seats were sold ended as served, which only SQL knows.

    A number that nobody has proven since a loss of Redis may never have been given: its joining is not told.
    """
    joined = Step(
        at=_moment(history.log.joined_by_ms),
        after=_moment(history.log.joined_after_ms),
        source=Source.room_log,
        what=What.joined,
    )
    logged = list(_logged(history.log.steps, sold))
    unproven = history.keys is not None and history.keys.unproven
    kept = _kept(history.keys, {step.what for step in logged}, sold)
    return [*logged, *kept] if unproven else [joined, *logged, *kept]


def _logged(steps: Sequence[LoggedStep], sold: bool) -> Iterable[Step]:
    passed_over_ms = None
    for what, at_ms, until_ms in steps:
        if what is LogStep.admitted and passed_over_ms is not None:
            after = _moment(passed_over_ms)
            yield Step(at=_moment(at_ms), after=after, source=Source.room_log, what=What.came_back)
        passed_over_ms = at_ms if what is LogStep.passed_over else None
        shown = What.served if what is LogStep.left and sold else What(what.value)
        yield Step(at=_moment(at_ms), until=_moment(until_ms or None), source=Source.room_log, what=shown)


def _kept(keys: NumberKeys | None, logged: set[What], sold: bool) -> Iterable[Step]:
    """What the keys say that the log does not, or no longer."""
    if keys is None:
        return
    if keys.seen_ms is not None:
        until = _moment(keys.seen_until_ms)
        yield Step(at=_moment(keys.seen_ms), until=until, source=Source.redis, what=What.seen)
    if keys.wish:
        yield Step(at=None, source=Source.redis, what=What.wish_said, seats=unpack_wish(keys.wish).quantity)
    if keys.skipped and What.passed_over not in logged:
        yield Step(at=None, source=Source.redis, what=What.passed_over)
    if keys.returned:
        yield Step(at=None, source=Source.redis, what=What.came_back)
    for what, until_ms in ((What.admitted, keys.admitted_until_ms), (What.claimed, keys.claimed_until_ms)):
        if until_ms is not None and what not in logged:
            yield Step(at=None, until=_moment(until_ms), source=Source.redis, what=what)
    if keys.ended and not keys.unproven and not logged & {What.left, What.served, What.lapsed, What.not_restored}:
        ended = What.lapsed if keys.lapsed else What.served if sold else What.left
        yield Step(at=None, source=Source.redis, what=ended)


def lane_steps(waiting: Sequence[WaitingCommand], wish: tuple[Outcome, datetime] | None) -> list[Step]:
    """The commands that wait, and what became of the wish."""
    steps = [
        Step(
            at=command.sent_at,
            source=Source.lane,
            what=What.command_waiting,
            command=command.kind,
            reservation_id=command.reservation_id,
        )
        for command in waiting
    ]
    if wish is not None:
        outcome, at = wish
        made = outcome.reservation
        steps.append(
            Step(
                at=at,
                source=Source.lane,
                what=What.wish_answered,
                status=outcome.status.value,
                seats=len(made.seats) if made else 0,
                reservation_id=made.id if made else "",
            )
        )
    return steps


def ending_commands(reservation_id: str) -> dict[str, EndedBy]:
    """The ids of the commands that may end a reservation, with whose they are."""
    return {
        f"cancel:{reservation_id}": EndedBy.buyer,
        f"cancel:{reservation_id}:desk": EndedBy.admin,
        f"event-cancelled:{reservation_id}": EndedBy.event_cancelled,
        f"expire:{reservation_id}": EndedBy.time,
    }


def lapse_commands(epoch: int, number: int, history: NumberHistory) -> list[str]:
    """The ids of the commands that gave seats back because a turn lapsed."""
    return [f"lapse:{epoch}:{number}:{step.at_ms}" for step in history.log.steps if step.what is LogStep.lapsed]


def sql_steps(records: PlaceRecords, answers: Answers, lapses: Sequence[str], answers_since: datetime) -> list[Step]:
    """Reservations, money and admin actions. `answers_since`: the lane's older answers are not stored any more."""
    steps = [_reserved(reservation) for reservation in records.reservations]
    for reservation in records.reservations:
        if reservation.ended_at is not None:
            by = _ended_by(reservation, records.actions, answers, lapses, answers_since)
            steps.append(_ended(reservation, reservation.ended_at, by))
    for charge in records.charges:
        steps.append(
            Step(
                at=charge.created_at,
                source=Source.sql,
                what=What.charge_started,
                charge_id=charge.id,
                reservation_id=charge.reservation_id,
                amount=charge.amount,
                method=charge.method,
                status=charge.status.value,
            )
        )
    steps += _money(records)
    return steps + [_acted(action) for action in records.actions]


def _reserved(reservation: PlaceReservation) -> Step:
    return Step(
        at=reservation.created_at,
        until=reservation.expires_at,
        source=Source.sql,
        what=What.reserved,
        reservation_id=reservation.id,
        seats=reservation.seats,
        amount=reservation.total_price,
    )


def _ended(reservation: PlaceReservation, at: datetime, by: EndedBy) -> Step:
    what = What(f"reservation_{reservation.status.value}")
    return Step(at=at, source=Source.sql, what=what, by=by, reservation_id=reservation.id)


def _ended_by(
    reservation: PlaceReservation,
    actions: Iterable[PlaceAction],
    answers: Answers,
    lapses: Sequence[str],
    answers_since: datetime,
) -> EndedBy:
    """Whose command came first of those that were answered; else what nobody else can have done."""
    if reservation.status is ReservationStatus.expired:
        return EndedBy.time
    ended = {name: by for name, by in ending_commands(reservation.id).items() if _has_ended(answers.get(name))}
    if ended:
        return ended[min(ended, key=lambda name: answers[name][1])]
    if any(action.action == PAYMENT_RETURNED and action.reservation_id == reservation.id for action in actions):
        return EndedBy.provider
    done = {action.who == BUYER for action in actions if action.reservation_id == reservation.id and not action.refused}
    if done:
        return EndedBy.admin if False in done else EndedBy.buyer
    for lapse in lapses:
        outcome, at = answers.get(lapse, (None, None))
        if outcome is not None and outcome.status is OutcomeStatus.cancelled and at == reservation.ended_at:
            return EndedBy.turn_lapsed
    assert reservation.ended_at is not None, "asked only of a reservation that ended"
    return EndedBy.place_ended if reservation.ended_at > answers_since else EndedBy.unknown


def _has_ended(answer: tuple[Outcome, datetime] | None) -> bool:
    return answer is not None and answer[0].status is OutcomeStatus.cancelled


def _money(records: PlaceRecords) -> Iterable[Step]:
    """The first payment of a reservation that was sold bought its seats; every other came too late, and goes back."""
    unpaid = {reservation.id for reservation in records.reservations if reservation.status in SOLD}
    for payment in records.payments:
        if not payment.part:
            what = What.paid if payment.reservation_id in unpaid else What.paid_too_late
            unpaid.discard(payment.reservation_id)
            yield _payment(payment, payment.created_at, what)
        if payment.status is PaymentStatus.refund_due:
            yield _payment(payment, None, What.refund_due)
        if payment.refunded_at is not None:
            yield _payment(payment, payment.refunded_at, What.paid_back)


def _payment(payment: PlacePayment, at: datetime | None, what: What) -> Step:
    return Step(
        at=at,
        source=Source.sql,
        what=what,
        charge_id=payment.reference,
        reservation_id=payment.reservation_id,
        amount=payment.amount,
        method=payment.method,
    )


def _acted(action: PlaceAction) -> Step:
    return Step(
        at=action.at,
        source=Source.sql,
        what=What.admin_acted,
        who=action.who,
        action=action.action,
        reservation_id=action.reservation_id,
        status="refused" if action.refused else "",
    )


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
