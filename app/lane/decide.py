"""Decides the outcomes of the lane's commands, in order and in memory: which command gets which seats.

No I/O, no clock and no randomness: all of it comes as arguments. `decide` changes the given state as if the batch were
written; if the write fails, the caller must discard that state and read it from SQL again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from app.domain.reservation import (
    Batch,
    Known,
    Payment,
    PaymentStatus,
    Reduced,
    Reservation,
    ReservationStatus,
    SeatStatus,
    seat_index,
)
from app.domain.sale import SaleStatus
from app.lane.changes import Changes
from app.lane.commands import (
    NOT_RECORDED,
    Cancel,
    Command,
    Confirm,
    Expire,
    Hold,
    OfferToWaitlist,
    Outcome,
    OutcomeStatus,
    ReleasePlace,
    Reverse,
    held,
    pack,
    unpack_outcome,
)
from app.lane.live_holds import HOLDS_MAX, HoldsMax
from app.lane.state import LaneState


@dataclass(slots=True)
class Decisions:
    """What to write to SQL and what to publish. `finished`: the places in line that have paid, as (epoch, number).
    `late_s`: how long after their time holds were ended.

    `outcomes` has one per command, in the order of the commands, then one per offer to the waiting list.
    """

    batch: Batch
    outcomes: list[Outcome] = field(default_factory=list)
    seats: list[tuple[int, int]] = field(default_factory=list)  # the changed seats: (position, new status)
    finished: list[tuple[int, int]] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)


def decide(
    state: LaneState,
    commands: Sequence[Command],
    known: Known,
    *,
    now: datetime,
    hold_for: timedelta,
    new_id: Callable[[], str],
    offer_for: timedelta = timedelta(0),
    holds_max: HoldsMax = HOLDS_MAX,
) -> Decisions:
    """Decide the commands in order. A command whose id has an outcome already, from this batch or an earlier one, gets
    the same outcome again.

    The waiting list gets free seats before any Hold does. A hold lasts `hold_for`; an offer lasts `offer_for`, but at
    least `hold_for`.
    """
    batch = _Batch(state, known, now, hold_for, new_id, max(hold_for, offer_for), holds_max)
    return batch.decisions([batch.answer(command) for command in commands])


class _Batch:
    """The working state of one batch."""

    def __init__(
        self,
        state: LaneState,
        known: Known,
        now: datetime,
        hold_for: timedelta,
        new_id: Callable[[], str],
        offer_for: timedelta,
        holds_max: HoldsMax,
    ) -> None:
        self._state = state
        self._known = known
        self._now = now
        self._hold_for = hold_for
        self._new_id = new_id
        self._offer_for = offer_for
        self._holds_max = holds_max
        self._changes = Changes(state)
        self._recorded: dict[str, Outcome] = {}  # outcomes of this batch by command id
        self._finished: dict[tuple[int, int], None] = {}  # an ordered set
        self._late_s: list[float] = []
        self._waiting = list(known.waiting)
        self._seats_came_free = True  # since seats were last offered to the waiting list
        self._offers: list[tuple[int, Reservation]] = []  # (id of the waiting list's entry, reservation)

    def answer(self, command: Command) -> Outcome:
        outcome = self._recorded.get(command.id) or self._recorded_before(command)
        if outcome is None:
            outcome = self._decide(command)
            if outcome.status not in NOT_RECORDED:
                self._recorded[command.id] = outcome
        if isinstance(command, Confirm):
            self._finish(outcome)
        return outcome

    def decisions(self, outcomes: list[Outcome]) -> Decisions:
        """The result of the whole batch, after offering the seats that it freed to the waiting list."""
        self._offer_free_seats()
        replies = [(command_id, pack(outcome).decode()) for command_id, outcome in self._recorded.items()]
        offers = [(entry_id, reservation.id) for entry_id, reservation in self._offers]
        offered = [
            Outcome(id=f"offer:{entry_id}", status=OutcomeStatus.held, reservation=held(reservation))
            for entry_id, reservation in self._offers
        ]
        batch = self._changes.batch(replies, offers)
        return Decisions(batch, [*outcomes, *offered], self._changes.seats(), list(self._finished), self._late_s)

    def _recorded_before(self, command: Command) -> Outcome | None:
        reply = self._known.replies.get(command.id)
        return None if reply is None else unpack_outcome(reply)

    def _finish(self, outcome: Outcome) -> None:
        if outcome.status is OutcomeStatus.confirmed and outcome.epoch is not None and outcome.number is not None:
            self._finished[outcome.epoch, outcome.number] = None

    def _decide(self, command: Command) -> Outcome:
        match command:
            case Hold():
                return self._hold(command)
            case Confirm():
                return self._confirm(command)
            case Cancel():
                return self._cancel(command)
            case Reverse():
                return self._reverse(command)
            case Expire():
                return self._expire(command)
            case ReleasePlace():
                return self._release_place(command)
            case OfferToWaitlist():  # nothing more to do: every batch offers free seats
                return Outcome(id=command.id, status=OutcomeStatus.offered_to_waitlist)
            case _:
                assert_never(command)

    def _hold(self, command: Hold) -> Outcome:
        holding = self._state.held_by(command)
        if holding is not None:
            return _outcome(command, OutcomeStatus.already_holding, holding)
        if self._known.sale is not SaleStatus.on_sale:
            return _refused(command, OutcomeStatus.not_on_sale)
        self._offer_free_seats()
        may_add = self._may_add(command.holder)
        if may_add is not None and command.quantity > may_add:
            return _refused(command, OutcomeStatus.buyer_limit, may_add=may_add)
        wait_s = self._state.holds.wait_s(command.holder, command.network, self._holds_max, self._now)
        if wait_s is not None:
            return replace(_refused(command, OutcomeStatus.too_many_holds), wait_s=wait_s)
        seats = self._choose(command)
        if seats is OutcomeStatus.unavailable:
            return self._unavailable(command)
        if isinstance(seats, OutcomeStatus):
            return _refused(command, seats)
        singles, needless = self._state.free.singles(seats) if command.wish is None else ((), False)
        if needless and not (command.leave_single and self._known.may_leave_singles):
            return replace(_refused(command, OutcomeStatus.leaves_single), singles=singles)
        made = self._make(command.holder, seats, self._hold_for, command.epoch, command.number, command.network)
        return replace(_outcome(command, OutcomeStatus.held, made), singles=singles)

    def _unavailable(self, command: Hold) -> Outcome:
        """What is left, and if neighbours were required, how many of them are side by side."""
        free, wish = self._state.free, command.wish
        together = free.left_together(wish.quantity) if wish is not None and wish.is_required else None
        return replace(_refused(command, OutcomeStatus.unavailable), left=free.left(), left_together=together)

    def _may_add(self, holder: str) -> int | None:
        """How many more seats of the event this person may hold; None: any number."""
        limit = self._known.seats_per_buyer
        if limit is None:
            return None
        has = sum(self._state.seats_of[each] for each in self._known.persons.get(holder, (holder,)))
        return max(0, limit - has)

    def _choose(self, command: Hold) -> tuple[int, ...] | OutcomeStatus:
        """The positions of the seats to hold, sorted and all free; or the reason why the hold is refused."""
        if command.wish is not None:
            best = self._state.free.choose(command.wish)
            return OutcomeStatus.unavailable if best is None else tuple(sorted(best))
        total = len(self._state.statuses)
        named = {seat_index(name, total) for name in command.seat_ids or ()}
        seats = tuple(sorted(idx for idx in named if idx is not None))
        if len(seats) != len(named):
            return OutcomeStatus.unknown_seat
        if any(self._state.statuses[idx] != SeatStatus.available for idx in seats):
            return OutcomeStatus.unavailable
        return seats

    def _make(
        self,
        holder: str,
        seats: tuple[int, ...],
        lasts: timedelta,
        epoch: int | None = None,
        number: int | None = None,
        network: str = "",
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
            groups=self._state.free.seat_map.groups(seats),
            network=network,
        )
        self._changes.hold(reservation)
        return reservation

    def _confirm(self, command: Confirm) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None or reservation.holder != command.holder:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is ReservationStatus.confirmed and reservation.reference == command.reference:
            return _outcome(command, OutcomeStatus.confirmed, reservation)
        held = reservation.status is ReservationStatus.pending  # its charge was begun in time
        if not held or command.amount not in (None, reservation.total_price):
            self._changes.payments.append(_payment(command, reservation, PaymentStatus.refund_due))
            return _outcome(command, OutcomeStatus.no_longer_held, reservation)
        confirmed = replace(reservation, status=ReservationStatus.confirmed, reference=command.reference)
        self._changes.payments.append(_payment(command, confirmed, PaymentStatus.captured))
        self._changes.sell(confirmed)
        return _outcome(command, OutcomeStatus.confirmed, confirmed)

    def _cancel(self, command: Cancel) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None or (command.holder is not None and reservation.holder != command.holder):
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.live and command.seat_ids is not None:
            some = {seat_index(name, len(self._state.statuses)) for name in command.seat_ids}
            if not some <= set(reservation.seats):
                return _outcome(command, OutcomeStatus.unknown_seat, reservation)
            if some != set(reservation.seats):
                return self._give_back(command, reservation, some)
        match reservation.status:
            case ReservationStatus.pending:
                return self._end(command, reservation, ReservationStatus.cancelled)
            case ReservationStatus.confirmed if command.holder is not None and self._known.begun:
                return _outcome(command, OutcomeStatus.event_begun, reservation)
            case ReservationStatus.confirmed:
                return self._refund(command, reservation)
            case ReservationStatus.expired:
                return _outcome(command, OutcomeStatus.no_longer_held, reservation)
            case _:  # cancelled before, by another command
                return _outcome(command, OutcomeStatus.cancelled, reservation)

    def _give_back(self, command: Cancel, reservation: Reservation, some: Set[int | None]) -> Outcome:
        """Make some seats of a live reservation available, and have their money refunded if they are paid."""
        paid = reservation.status is ReservationStatus.confirmed
        if paid and command.holder is not None and self._known.begun:
            return _outcome(command, OutcomeStatus.event_begun, reservation)
        priced = list(zip(reservation.seats, reservation.prices, strict=True))
        kept = [(idx, price) for idx, price in priced if idx not in some]
        total = sum(price for _, price in kept)
        seats, prices = tuple(idx for idx, _ in kept), tuple(price for _, price in kept)
        groups = self._state.free.seat_map.groups(seats)
        rest = replace(reservation, seats=seats, prices=prices, total_price=total, groups=groups)
        given_back = tuple(idx for idx, _ in priced if idx in some)
        reduced = Reduced(reservation.id, given_back, total, reservation.total_price - total, paid, groups)
        self._changes.reduce(rest, reduced)
        self._seats_came_free = True
        return _outcome(command, OutcomeStatus.reduced, rest)

    def _reverse(self, command: Reverse) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is not ReservationStatus.confirmed or reservation.reference != command.reference:
            return _outcome(command, OutcomeStatus.no_longer_held, reservation)
        return self._refund(command, reservation)

    def _expire(self, command: Expire) -> Outcome:
        reservation = self._find(command.reservation_id)
        if reservation is None:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is not ReservationStatus.pending:
            return _outcome(command, OutcomeStatus.no_longer_held, reservation)
        if self._now < reservation.expires_at or reservation.id in self._known.kept:
            return _outcome(command, OutcomeStatus.not_due, reservation)
        if reservation.id not in self._known.asked:  # when the payment that kept it ended is not known here
            self._late_s.append((self._now - reservation.expires_at).total_seconds())
        return self._end(command, reservation, ReservationStatus.expired)

    def _release_place(self, command: ReleasePlace) -> Outcome:
        reservation = self._state.of_place(command.epoch, command.number)
        if reservation is None:
            return Outcome(id=command.id, status=OutcomeStatus.not_found)
        if reservation.status is not ReservationStatus.pending:
            return Outcome(id=command.id, status=OutcomeStatus.no_longer_held)
        if reservation.id in self._known.kept:
            return Outcome(id=command.id, status=OutcomeStatus.not_due)
        return self._end(command, reservation, ReservationStatus.cancelled)

    def _refund(self, command: Command, reservation: Reservation) -> Outcome:
        """End a paid reservation: its seats are available again, and its payment must be refunded."""
        self._changes.refunds.append(reservation.id)
        return self._end(command, reservation, ReservationStatus.refunded)

    def _end(self, command: Command, reservation: Reservation, status: ReservationStatus) -> Outcome:
        """End a live reservation with this status and make its seats available."""
        ended = replace(reservation, status=status)
        self._changes.free(ended)
        self._seats_came_free = True
        expired = status is ReservationStatus.expired
        return _outcome(command, OutcomeStatus.expired if expired else OutcomeStatus.cancelled, ended)

    def _find(self, reservation_id: str) -> Reservation | None:
        return self._changes.find(reservation_id) or self._known.ended.get(reservation_id)

    def _offer_free_seats(self) -> None:
        """Hold seats for every waiting-list entry whose wish can be met now, in the order of the list, within the limit
        of seats per person.

        Called before each hold and at the end of the batch, so the waiting list always comes before other buyers.
        """
        if not self._waiting or not self._seats_came_free or self._known.sale is not SaleStatus.on_sale:
            return
        self._seats_came_free = False
        still_waiting = []
        for entry in self._waiting:
            may_add = self._may_add(entry.holder)
            may = may_add is None or entry.wish.quantity <= may_add
            seats = self._state.free.choose(entry.wish) if may else None
            if seats is None:
                still_waiting.append(entry)
                continue
            made = self._make(entry.holder, tuple(sorted(seats)), self._offer_for)
            self._offers.append((entry.id, made))
        self._waiting = still_waiting


def _outcome(command: Command, status: OutcomeStatus, reservation: Reservation) -> Outcome:
    return Outcome(
        id=command.id,
        status=status,
        reservation=held(reservation),
        number=reservation.number,
        epoch=reservation.epoch,
        asked=command.asked if isinstance(command, Hold) else "",
    )


def _refused(command: Hold, status: OutcomeStatus, may_add: int | None = None) -> Outcome:
    return Outcome(
        id=command.id,
        status=status,
        may_add=may_add,
        number=command.number,
        epoch=command.epoch,
        asked=command.asked,
    )


def _payment(command: Confirm, reservation: Reservation, status: PaymentStatus) -> Payment:
    return Payment(
        reservation_id=reservation.id,
        method=command.method,
        reference=command.reference,
        amount=reservation.total_price if command.amount is None else command.amount,
        status=status,
    )
