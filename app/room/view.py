"""A web process's copy of one room in memory, from which polls and streams are answered without a datastore.

Exact as of the last entry of the room log that was applied. `load` takes a snapshot, `apply` one log entry; an entry
that does not follow the last one is refused, and the caller loads a snapshot again.
"""

from __future__ import annotations

from typing import NamedTuple

from app.domain.eta import POLL_MAX_MS, DrainMeter, Pace, eta_range_s, poll_after_ms
from app.domain.line import Place, RoomState, ahead
from app.room.answers import RoomSnapshot

FULL_LINGERS_S = 2.0  # the room counts as full for this long after it was: freed capacity is used a tick later


class Position(NamedTuple):
    """One buyer's position as it is answered. `until_ms` is when the turn or the pass ends, 0 while waiting."""

    place: Place
    ahead: int
    eta_s: tuple[int, int] | None
    poll_after_ms: int
    until_ms: int


class LineView:
    """`number` is the last one given, `cursor` the highest that admission has passed; times are Redis's, in ms. `full`:
    people wait because as many are inside as may be.
    """

    __slots__ = (
        "accounts_only",
        "active",
        "admitted",
        "burst",
        "closes_ms",
        "cursor",
        "ended",
        "epoch",
        "event_id",
        "full",
        "full_s",
        "lapsed",
        "log_id",
        "max_active",
        "message",
        "meter",
        "number",
        "opens_ms",
        "pace",
        "passed",
        "poll_max_ms",
        "rate_per_s",
        "reason",
        "rev",
        "skipped",
        "state",
        "unproven",
        "updated_ms",
    )

    def __init__(self, event_id: str, poll_max_ms: int = POLL_MAX_MS) -> None:
        self.event_id = event_id
        self.poll_max_ms = poll_max_ms
        self.meter = DrainMeter()
        self.pace: Pace | None = None
        self.passed = 0
        self.epoch = 0
        self.full = False
        self.full_s = float("-inf")  # when it last was, by the clock of `measure`

    def load(self, snapshot: RoomSnapshot) -> None:
        """Take the room as it was at one moment."""
        record = snapshot.record
        self.state = record.state
        self.epoch = record.epoch
        self.number = record.number
        self.cursor = record.cursor
        self.rate_per_s = record.rate_per_s
        self.burst = record.burst
        self.max_active = record.max_active
        self.accounts_only = record.accounts_only
        self.message = record.message
        self.opens_ms = record.opens_ms
        self.closes_ms = record.closes_ms
        self.reason = record.reason  # why it is closed: sale_ended, event_cancelled, or "" for an admin's doing
        self.rev = record.rev
        self.log_id = snapshot.log_id
        self.updated_ms = place_in_log(snapshot.log_id)[0]
        self.ended, self.skipped, self.lapsed = snapshot.ended, snapshot.skipped, snapshot.lapsed
        self.unproven = snapshot.unproven
        self.admitted = snapshot.admitted
        self.active = snapshot.active
        if not self.moves:
            self.pace, self.full = None, False

    def apply(self, log_id: bytes, entry: dict[bytes, bytes]) -> bool:
        """Take one log entry. False if it does not follow the last one or changes what only a snapshot tells.

        One that was applied before, or is in the snapshot, changes nothing. A newer one whose revision is known already
        comes from a Redis that has not received all that we have seen, for example a replica that took over.
        """
        if place_in_log(log_id) <= place_in_log(self.log_id):
            return True
        rev = int(entry[b"r"])
        if rev != self.rev + 1 or entry[b"k"] == b"config":
            return False
        self.rev, self.log_id, self.updated_ms = rev, log_id, int(entry[b"t"])
        match entry[b"k"]:
            case b"admit":
                self._admit(entry)
            case b"left":
                self._end(int(entry[b"n"]))
            case b"lapse":
                for number in _numbers(entry[b"l"]):
                    self.lapsed.add(number)
                    self._end(number)
            case b"claim":
                number = int(entry[b"n"])
                self.admitted.pop(number, None)
                self.active[number] = int(entry[b"e"])
            case b"back":
                self._back(entry)
        return True

    def _admit(self, entry: dict[bytes, bytes]) -> None:
        cursor, deadline_ms = int(entry[b"c"]), int(entry[b"d"])
        self.passed += max(0, cursor - self.cursor - self.ended.count_between(self.cursor, cursor + 1))
        self.cursor = cursor
        self.number = max(self.number, int(entry[b"n"]))
        for number in _numbers(entry[b"s"]):
            self.skipped.add(number)
        for number in _numbers(entry[b"a"]):
            self.skipped.discard(number)
            self.admitted[number] = deadline_ms

    def _end(self, number: int) -> None:
        if number > self.cursor and number not in self.ended:
            self.passed += 1
        self.ended.add(number)
        self.admitted.pop(number, None)
        self.active.pop(number, None)

    def _back(self, entry: dict[bytes, bytes]) -> None:
        for number in _numbers(entry[b"b"]):
            self.unproven.discard(number)
            self.ended.discard(number)
            if number <= self.cursor:
                self.skipped.add(number)
        for number in _numbers(entry[b"l"]):
            self.unproven.discard(number)
            self.ended.add(number)

    def measure(self, now_s: float) -> None:
        """Measure how fast the line moves; `now_s` is from a steady clock. Call it about once a tick."""
        full = self._is_full(now_s)
        if full is not self.full or not self.waiting:
            self.meter.clear()  # the rate until now was limited by something else, so it predicts nothing
        self.full = full
        if self.waiting:
            self.meter.add(now_s, self.passed)
        self.pace = self.meter.pace(now_s, None if full else self.rate_per_s) if self.moves else None

    def _is_full(self, now_s: float) -> bool:
        if len(self.admitted) + len(self.active) >= self.max_active:
            self.full_s = now_s
        return self.moves and self.waiting > 0 and now_s - self.full_s <= FULL_LINGERS_S

    @property
    def moves(self) -> bool:
        return self.state in (RoomState.open, RoomState.draining)

    @property
    def waiting(self) -> int:
        """People the cursor has not reached who have not left."""
        return ahead(self.number + 1, self.cursor, self.ended)

    def place(self, number: int) -> Place:
        if number in self.ended:
            if number in self.unproven:
                return Place.waiting
            return Place.lapsed if number in self.lapsed else Place.left
        if number in self.admitted:
            return Place.admitted
        return Place.claimed if number in self.active else Place.waiting

    def position(self, number: int) -> Position:
        """Where `number` stands. One higher than any known here was given a moment ago: it is at the back."""
        ended = self.ended
        if number <= self.cursor or number in ended:
            place = self.place(number)
            if place is not Place.waiting:
                until_ms = self.admitted.get(number) or self.active.get(number) or 0
                return Position(place, 0, None, poll_after_ms(number, 0, 0), until_ms)
            people = 0 if number <= self.cursor else ahead(number, self.cursor, ended)
        else:
            people = ahead(number, self.cursor, ended)
        eta_s = eta_range_s(people, self.pace)
        wait_s = eta_s[0] if eta_s else None
        return Position(Place.waiting, people, eta_s, poll_after_ms(number, wait_s, people, self.poll_max_ms), 0)


def place_in_log(log_id: bytes) -> tuple[int, int]:
    """The id of a stream entry as numbers, so that ids can be compared."""
    at_ms, _, count = log_id.partition(b"-")
    return int(at_ms), int(count)


def _numbers(csv: bytes) -> list[int]:
    return [int(number) for number in csv.split(b",")] if csv else []
