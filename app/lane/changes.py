"""The changes of a batch while it is decided: applied to the lane's state at once, collected for one write to SQL."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.reservation import Batch, Payment, Reduced, Reservation, ReservationStatus, SeatStatus
from app.lane.state import LaneState

_STATUSES = tuple(SeatStatus)


class Changes:
    """What one batch does to reservations, seats and money.

    Only net changes are written: a reservation that is made and ended in the same batch changes no seat.
    """

    def __init__(self, state: LaneState) -> None:
        self.payments: list[Payment] = []
        self.reduced: list[Reduced] = []
        self.refunds: list[str] = []  # ids of reservations whose captured payment must be refunded
        self._state = state
        self._reservations: dict[str, Reservation] = {}  # current state of those that this batch made or changed
        self._status_before: dict[str, ReservationStatus | None] = {}  # None: made in this batch
        self._seat_before: dict[int, SeatStatus] = {}

    def find(self, reservation_id: str) -> Reservation | None:
        """A reservation that is live, or was changed in this batch."""
        return self._state.live.get(reservation_id) or self._reservations.get(reservation_id)

    def hold(self, reservation: Reservation) -> None:
        """Add a new reservation, which holds its seats. They must be free."""
        self._status_before[reservation.id] = None
        self._set(reservation, SeatStatus.held)
        self._state.free.take(reservation.seats)

    def sell(self, reservation: Reservation) -> None:
        """Store a reservation that has just been paid: its held seats are sold."""
        self._set(reservation, SeatStatus.sold)

    def free(self, reservation: Reservation) -> None:
        """Store a reservation that has just ended: its seats are available again."""
        self._set(reservation, SeatStatus.available)
        self._state.free.give_back(reservation.seats)

    def reduce(self, reservation: Reservation, given_back: Reduced) -> None:
        """Store a live reservation that goes on without some of its seats: these are available again."""
        self._note(reservation)
        self._take_in(given_back.seats, SeatStatus.available)
        self._state.free.give_back(given_back.seats)
        self.reduced.append(given_back)

    def seats(self) -> list[tuple[int, int]]:
        """The seats whose status differs from before the batch, as (position, new status), in order."""
        return [(idx, int(after)) for idx, _, after in self._moves()]

    def batch(self, replies: list[tuple[str, str]], offers: list[tuple[int, str]]) -> Batch:
        """The net changes, grouped as they are written. Increments the map's version if any reservation changed, or if
        money was noted: what was added up for the version before is out of date then.
        """
        if self._reservations or self.payments:
            self._state.version += 1
        batch = Batch(self._state.version, payments=self.payments, refunds=self.refunds, replies=replies, offers=offers)
        batch.reduced = [one for one in self.reduced if self._status_before[one.reservation_id] is not None]
        batch.part_refunds = [one for one in self.reduced if one.refund]
        for reservation in self._reservations.values():
            before = self._status_before[reservation.id]
            if before is None:
                batch.made.append(reservation)
            elif before is not reservation.status:
                batch.transitions.setdefault((before, reservation.status), []).append(reservation.id)
        for idx, was, becomes in self._moves():
            batch.moves.setdefault((was, becomes), []).append(idx)
            grade = self._state.grades[idx]
            for status, more in ((was, -1), (becomes, +1)):
                batch.counts[grade, status] = batch.counts.get((grade, status), 0) + more
        return batch

    def _moves(self) -> list[tuple[int, SeatStatus, SeatStatus]]:
        """Seats by position with their status before and after the batch, where these differ."""
        moves = [(idx, was, _STATUSES[self._state.statuses[idx]]) for idx, was in sorted(self._seat_before.items())]
        return [(idx, was, becomes) for idx, was, becomes in moves if becomes is not was]

    def _set(self, reservation: Reservation, seats_become: SeatStatus) -> None:
        self._note(reservation)
        self._take_in(reservation.seats, seats_become)

    def _note(self, reservation: Reservation) -> None:
        if reservation.id not in self._status_before:
            self._status_before[reservation.id] = self._state.live[reservation.id].status
        self._reservations[reservation.id] = reservation
        self._state.keep(reservation)

    def _take_in(self, seats: Iterable[int], seats_become: SeatStatus) -> None:
        state = self._state
        for idx in seats:
            if idx not in self._seat_before:
                self._seat_before[idx] = _STATUSES[state.statuses[idx]]
            state.statuses[idx] = seats_become
