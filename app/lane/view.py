"""One event's seat map as a web process shows it: as JSON, whole or only what changed since an earlier version.

No I/O: SeatViews updates it. Each seat is encoded once; the JSON of a version is joined from that and the statuses.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from app.domain.layout import Seat
from app.domain.reservation import Reservation, ReservationStatus, SeatSnapshot, SeatStatus, seat_id
from app.lane.commands import Held, Outcome, Published, outcome_of

SEAT_BYTES = 900  # of memory for one seat: its fields, its JSON, and its part in the JSON of a version
BATCHES_KEPT = 1000  # versions back to which `since` can give only the changes
CHANGES_CACHED_MAX = 1000
PLACES_REMEMBERED_MAX = 100_000

_encode = msgspec.json.Encoder().encode
_ORDER = {ReservationStatus.pending: 0, ReservationStatus.confirmed: 1}  # every other status comes later


class SeatView:
    """The seats of one event at one version, and the newest outcome of each place in line.

    `version` only grows, unless SQL was restored from a back-up. `resets` counts how often the view was read from SQL
    again.
    """

    def __init__(self, snapshot: SeatSnapshot, live: Iterable[Reservation] = (), like: SeatView | None = None) -> None:
        """`like`: an older view, whose encoded seats are reused if the seats are the same."""
        self.event_id = snapshot.event_id
        shared = like is not None and like.seats == snapshot.seats
        self.seats: tuple[Seat, ...] = like.seats if like is not None and shared else snapshot.seats
        self._heads: list[bytes] = like._heads if like is not None and shared else _heads(snapshot.seats)
        self._places: OrderedDict[tuple[int, int], Outcome] = OrderedDict()
        self.resets = 0
        for reservation in live:
            self.remember(outcome_of(reservation))
        self.version = snapshot.version
        self._layout = _encode(snapshot.layout)
        self._statuses = bytearray(snapshot.statuses)
        self._left: dict[str, int] = {}
        for seat, status in zip(snapshot.seats, snapshot.statuses, strict=True):
            self._left[seat.grade] = self._left.get(seat.grade, 0) + (status == SeatStatus.available)
        # The seat's JSON up to its status, and the rest, by turns.
        self._shown = [
            part for head, status in zip(self._heads, snapshot.statuses, strict=True) for part in (head, _TAILS[status])
        ]
        self._batches: deque[tuple[int, list[tuple[int, int]]]] = deque(maxlen=BATCHES_KEPT)
        self._body: bytes | None = None
        self._changes: dict[int, bytes] = {}

    def become(self, newer: SeatView) -> None:
        """Take over the content of a newer view of the same event. Outcomes that only this view knows are kept."""
        places, resets = self._places, self.resets + 1
        vars(self).update(vars(newer))
        self._places, self.resets = places, resets
        for outcome in newer._places.values():
            self.remember(outcome)

    def apply(self, published: Published) -> bool:
        """Apply one published batch. A batch that was applied already changes nothing.

        Returns False if the view must be read from SQL again: a batch is missing, or the whole map was replaced.
        """
        if published.reload:
            return published.version == self.version
        if published.version > self.version + 1:
            return False
        if published.version == self.version + 1:
            for idx, status in published.seats:
                freed = (status == SeatStatus.available) - (self._statuses[idx] == SeatStatus.available)
                self._left[self.seats[idx].grade] += freed
                self._statuses[idx] = status
                self._shown[2 * idx + 1] = _TAILS[status]
            self._batches.append((published.version, published.seats))
            self.version = published.version
            self._body = None
            self._changes.clear()
        return True

    def remember(self, outcome: Outcome) -> None:
        """Store an outcome as its place's newest, unless it is older than the stored one."""
        if outcome.epoch is None or outcome.number is None:
            return
        place = (outcome.epoch, outcome.number)
        known = self._places.get(place)
        if known is None or _newer(outcome, known):
            self._places[place] = outcome
            self._places.move_to_end(place)
            if len(self._places) > PLACES_REMEMBERED_MAX:
                self._places.popitem(last=False)

    def answer(self, epoch: int, number: int) -> Outcome | None:
        """The newest outcome of a place in line that this process knows."""
        return self._places.get((epoch, number))

    @property
    def memory_bytes(self) -> int:
        """About how much memory the view takes."""
        return SEAT_BYTES * len(self.seats)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def body(self) -> bytes:
        """`{"seats": […], "layout": {…}, "version": n}`, encoded once per version."""
        if self._body is None:
            parts = (b'{"seats":[', *self._shown, b'],"layout":', self._layout, self._ending)
            self._body = b"".join(parts)
        return self._body

    def since(self, version: int) -> bytes:
        """`{"seats": [{"id", "status"}], "version": n}` with only what changed after `version`, or the whole map."""
        known = self._changes.get(version)
        if known is None:
            known = self._changed_since(version)
            if len(self._changes) < CHANGES_CACHED_MAX:
                self._changes[version] = known
        return known

    def changed(self, version: int) -> dict[int, int] | None:
        """The seats that changed after `version`: position → status now. None if `version` is too old or too new."""
        oldest = self._batches[0][0] if self._batches else self.version + 1
        if not oldest - 1 <= version <= self.version:
            return None
        changed: dict[int, int] = {}
        for _, seats in reversed(list(islice(reversed(self._batches), self.version - version))):
            changed.update(seats)
        return changed

    def left(self) -> dict[str, int]:
        """Free seats per grade, sold-out grades included."""
        return dict(self._left)

    def status(self, idx: int) -> SeatStatus:
        return SeatStatus(self._statuses[idx])

    def describe(self, reservation: Held | Reservation) -> dict[str, Any]:
        """A reservation as the API shows it: its seats in full, camelCase, the time as ISO 8601."""
        return describe(self.event_id, reservation, [self.seats[idx] for idx in reservation.seats])

    @property
    def _ending(self) -> bytes:
        return b',"version":%d}' % self.version

    def _changed_since(self, version: int) -> bytes:
        changed = self.changed(version)
        if changed is None:
            return self.body()
        seats_now = [{"id": seat_id(idx), "status": SeatStatus(status).name} for idx, status in sorted(changed.items())]
        return b'{"seats":' + _encode(seats_now) + self._ending


def describe(event_id: str, reservation: Held | Reservation, seats: Iterable[Seat]) -> dict[str, Any]:
    """`SeatView.describe` for who has no view of the event. `seats` are those of the reservation, in its order."""
    groups = reservation.groups
    return {
        "id": reservation.id,
        "eventId": event_id,
        "status": reservation.status.value,
        **({} if groups is None else {"together": groups == 1, "groups": groups}),
        "seats": [_seat(seat) | {"price": price} for seat, price in zip(seats, reservation.prices, strict=True)],
        "totalPrice": reservation.total_price,
        "expiresAt": reservation.ends_at.isoformat(),
    }


def _newer(outcome: Outcome, known: Outcome) -> bool:
    new, old = outcome.reservation, known.reservation
    if new is None or old is None:
        return old is None or old.status not in _ORDER
    if new.id == old.id:
        return _ORDER.get(new.status, 2) >= _ORDER.get(old.status, 2)
    return new.expires_at >= old.expires_at


def _seat(seat: Seat) -> dict[str, Any]:
    return {
        "id": seat_id(seat.idx),
        "section": seat.section,
        "row": seat.row,
        "number": seat.number,
        "grade": seat.grade,
        "price": seat.price,
        **({"name": seat.name} if seat.name else {}),
        **({"marks": seat.marks} if seat.marks else {}),
    }


_TAILS = tuple(b'"%s"}' % status.name.encode() for status in SeatStatus)


def _heads(seats: Iterable[Seat]) -> list[bytes]:
    """The JSON of each seat up to its status, with the comma that divides it from the one before."""
    heads = [b"," + _encode(_seat(seat) | {"x": seat.x, "y": seat.y})[:-1] + b',"status":' for seat in seats]
    return [head[1:] if at == 0 else head for at, head in enumerate(heads)]
