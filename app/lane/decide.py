"""The allocator's mind: which seats answer which command, decided in memory and in order.

No I/O, no clock, no randomness of its own. `decide` changes the state it is given as if the batch were written;
a caller whose write fails must forget that state and read it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from app.domain.reservation import (
    Batch,
    Known,
    Payment,
    PaymentStatus,
    Reservation,
    ReservationStatus,
    SeatStatus,
    seat_index,
)
from app.domain.sale import SaleStatus
from app.lane.commands import (
    PASSING,
    Cancel,
    Command,
    Confirm,
    Drop,
    Expire,
    Hold,
    Outcome,
    OutcomeStatus,
    Serve,
    held,
    pack,
    unpack_outcome,
)
from app.lane.state import LaneState

_STATUSES = tuple(SeatStatus)


@dataclass(slots=True)
class Decisions:
    """What to write, what to say, and whose turn at the front is over."""

    batch: Batch
    outcomes: list[Outcome] = field(default_factory=list)
    seats: list[tuple[int, int]] = field(default_factory=list)
    finished: list[tuple[int, int]] = field(default_factory=list)  # (epoch, number) of confirmed buyers


def decide(
    state: LaneState,
    commands: Sequence[Command],
    known: Known,
    *,
    now: datetime,
    hold_for: timedelta,
    new_id: Callable[[], str],
    offer_for: timedelta = timedelta(0),
) -> Decisions:
    """Answer each command in order. A command known by its id, here or in the store, gets its first answer again.

    Seats that are free are offered to the waiting list before any other command may hold them. An offer lasts for
    `offer_for`, and never shorter than a hold.
    """
    turn = _Turn(state, known, now, hold_for, new_id, offer_for)
    return turn.concluded([turn.answer(command) for command in commands])


class _Turn:
    """One batch being decided: the state as it goes, and what it was before."""

    def __init__(
        self,
        state: LaneState,
        known: Known,
        now: datetime,
        hold_for: timedelta,
        new_id: Callable[[], str],
        offer_for: timedelta,
    ) -> None:
        self._state = state
        self._known = known
        self._now = now
        self._hold_for = hold_for
        self._new_id = new_id
        self._answered: dict[str, Outcome] = {}
        self._replies: list[tuple[str, str]] = []
        self._seats_before: dict[int, SeatStatus] = {}
        self._statuses_before: dict[str, ReservationStatus | None] = {}  # None: made in this batch
        self._touched: dict[str, Reservation] = {}
        self._payments: list[Payment] = []
        self._refunds: list[str] = []
        self._finished: dict[tuple[int, int], None] = {}
        self._offer_for = max(hold_for, offer_for)
        self._list = list(known.waiting)
        self._list_is_due = True  # seats may have come free since somebody looked
        self._offers: list[tuple[int, str]] = []
        self._offered: list[Outcome] = []

    def answer(self, command: Command) -> Outcome:
        outcome = self._answered.get(command.id) or self._replayed(command)
        if outcome is None:
            outcome = self._decided(command)
            if outcome.status not in PASSING:
                self._answered[command.id] = outcome
                self._replies.append((command.id, pack(outcome).decode()))
        if isinstance(command, Confirm):
            self._finish(outcome)
        return outcome

    def concluded(self, outcomes: list[Outcome]) -> Decisions:
        """The net changes of the batch, grouped as they are written."""
        self._serve_list()
        state = self._state
        if self._touched:
            state.version += 1
        batch = Batch(state.version, payments=self._payments, refunds=self._refunds, replies=self._replies)
        batch.offers = self._offers
        for reservation_id, reservation in self._touched.items():
            before = self._statuses_before[reservation_id]
            if before is None:
                batch.made.append(reservation)
            else:
                batch.turns.setdefault((before, reservation.status), []).append(reservation_id)
        seats = []
        for idx, was in sorted(self._seats_before.items()):
            becomes = _STATUSES[state.statuses[idx]]
            if becomes is not was:
                batch.moves.setdefault((was, becomes), []).append(idx)
                seats.append((idx, int(becomes)))
        return Decisions(batch, [*outcomes, *self._offered], seats, list(self._finished))

    def _finish(self, outcome: Outcome) -> None:
        if outcome.status is OutcomeStatus.confirmed and outcome.epoch is not None and outcome.number is not None:
            self._finished[outcome.epoch, outcome.number] = None

    def _replayed(self, command: Command) -> Outcome | None:
        reply = self._known.replies.get(command.id)
        return None if reply is None else unpack_outcome(reply)

    def _decided(self, command: Command) -> Outcome:
        match command:
            case Hold():
                return replace(self._hold(command), asked=command.asked) if command.asked else self._hold(command)
            case Confirm():
                return self._confirm(command)
            case Cancel():
                return self._cancel(command)
            case Expire():
                return self._expire(command)
            case Drop():
                return self._drop(command)
            case Serve():
                return Outcome(id=command.id, status=OutcomeStatus.served)

    def _serve_list(self) -> None:
        """Hold seats for everybody on the waiting list whose wish now fits, first come first. Called before each hold
        and at the end of the batch, so nobody else gets at seats that fit somebody on the list."""
        if not self._list or not self._list_is_due or self._known.sale is not SaleStatus.on_sale:
            return
        self._list_is_due = False
        still_waiting = []
        for entry in self._list:
            seats = self._state.free.choose(entry.wish)
            if seats is None:
                still_waiting.append(entry)
                continue
            made = self._make(entry.holder, tuple(sorted(seats)), self._offer_for)
            self._offers.append((entry.id, made.id))
            self._offered.append(Outcome(id=f"offer:{entry.id}", status=OutcomeStatus.held, reservation=held(made)))
        self._list = still_waiting

    def _hold(self, command: Hold) -> Outcome:
        holding = self._state.held_by(command)
        if holding is not None:
            return _outcome(command, OutcomeStatus.already_holding, holding)
        if self._known.sale is not SaleStatus.on_sale:
            return Outcome(id=command.id, status=OutcomeStatus.not_on_sale, number=command.number, epoch=command.epoch)
        self._serve_list()
        seats = self._wanted(command)
        if isinstance(seats, OutcomeStatus):
            left = self._state.free.left() if seats is OutcomeStatus.unavailable else None
            return Outcome(id=command.id, status=seats, left=left, number=command.number, epoch=command.epoch)
        made = self._make(command.holder, seats, self._hold_for, command.epoch, command.number)
        return _outcome(command, OutcomeStatus.held, made)

    def _make(
        self,
        holder: str,
        seats: tuple[int, ...],
        lasts: timedelta,
        epoch: int | None = None,
        number: int | None = None,
    ) -> Reservation:
        prices = tuple(self._state.prices[idx] for idx in seats)
        reservation = Reservation(
            id=self._new_id(),
            event_id=self._state.event_id,
            holder=holder,
            status=ReservationStatus.pending,
            seats=seats,
            total_price=sum(prices),
            created_at=self._now,
            expires_at=self._now + lasts,
            epoch=epoch,
            number=number,
            prices=prices,
        )
        self._statuses_before[reservation.id] = None
        self._becomes(reservation, SeatStatus.held)
        return reservation

    def _wanted(self, command: Hold) -> tuple[int, ...] | OutcomeStatus:
        """The seats to hold, all of them free; or why there are none."""
        if command.wish is not None:
            best = self._state.free.choose(command.wish)
            return OutcomeStatus.unavailable if best is None else tuple(sorted(best))
        total = len(self._state.statuses)
        asked = {seat_index(name, total) for name in command.seat_ids or ()}
        seats = tuple(sorted(idx for idx in asked if idx is not None))
        if len(seats) != len(asked):
            return OutcomeStatus.unknown_seat
        if any(self._state.statuses[idx] != SeatStatus.available for idx in seats):
            return OutcomeStatus.unavailable
        return seats

    def _confirm(self, command: Confirm) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None or reservation.holder != command.holder:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is ReservationStatus.confirmed and reservation.reference == command.reference:
            return _outcome(command, OutcomeStatus.confirmed, reservation)
        if reservation.status is not ReservationStatus.pending or self._now >= reservation.expires_at:
            self._payments.append(_payment(command, reservation, PaymentStatus.refund_due))
            return _outcome(command, OutcomeStatus.gone, reservation)
        confirmed = replace(reservation, status=ReservationStatus.confirmed, reference=command.reference)
        self._payments.append(_payment(command, confirmed, PaymentStatus.captured))
        self._becomes(confirmed, SeatStatus.sold)
        return _outcome(command, OutcomeStatus.confirmed, confirmed)

    def _cancel(self, command: Cancel) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None or (command.holder is not None and reservation.holder != command.holder):
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        match reservation.status:
            case ReservationStatus.pending:
                ended = replace(reservation, status=ReservationStatus.cancelled)
            case ReservationStatus.confirmed if command.holder is not None and self._known.begun:
                return _outcome(command, OutcomeStatus.event_begun, reservation)
            case ReservationStatus.confirmed:
                ended = replace(reservation, status=ReservationStatus.refunded)
                self._refunds.append(reservation.id)
            case ReservationStatus.expired:
                return _outcome(command, OutcomeStatus.gone, reservation)
            case _:
                return _outcome(command, OutcomeStatus.cancelled, reservation)
        self._becomes(ended, SeatStatus.available)
        return _outcome(command, OutcomeStatus.cancelled, ended)

    def _expire(self, command: Expire) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is not ReservationStatus.pending:
            return _outcome(command, OutcomeStatus.gone, reservation)
        if self._now < reservation.expires_at:
            return _outcome(command, OutcomeStatus.not_due, reservation)
        expired = replace(reservation, status=ReservationStatus.expired)
        self._becomes(expired, SeatStatus.available)
        return _outcome(command, OutcomeStatus.expired, expired)

    def _drop(self, command: Drop) -> Outcome:
        holding = self._state.places.get((command.epoch, command.number))
        if holding is None:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        reservation = self._state.live[holding]
        if reservation.status is not ReservationStatus.pending:
            return Outcome(id=command.id, status=OutcomeStatus.gone)
        ended = replace(reservation, status=ReservationStatus.cancelled)
        self._becomes(ended, SeatStatus.available)
        return _outcome(command, OutcomeStatus.cancelled, ended)

    def _find(self, reservation_id: str) -> Reservation | None:
        return (
            self._state.live.get(reservation_id)
            or self._touched.get(reservation_id)
            or self._known.ended.get(reservation_id)
        )

    def _becomes(self, reservation: Reservation, seats_become: SeatStatus) -> None:
        """Put a reservation and its seats into their new state, remembering the first one of this batch."""
        state = self._state
        if reservation.id not in self._statuses_before:
            self._statuses_before[reservation.id] = state.live[reservation.id].status
        self._touched[reservation.id] = reservation
        state.keep(reservation)
        for idx in reservation.seats:
            if idx not in self._seats_before:
                self._seats_before[idx] = _STATUSES[state.statuses[idx]]
            state.statuses[idx] = seats_become
        if seats_become is SeatStatus.available:
            state.free.give_back(reservation.seats)
            self._list_is_due = True
        elif seats_become is SeatStatus.held:
            state.free.take(reservation.seats)


def _outcome(command: Command, status: OutcomeStatus, reservation: Reservation) -> Outcome:
    return Outcome(
        id=command.id,
        status=status,
        reservation=held(reservation),
        number=reservation.number,
        epoch=reservation.epoch,
    )


def _payment(command: Confirm, reservation: Reservation, status: PaymentStatus) -> Payment:
    return Payment(
        reservation_id=reservation.id,
        method=command.method,
        reference=command.reference,
        amount=reservation.total_price,
        status=status,
    )
