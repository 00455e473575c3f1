"""A web process's copy of one room in memory, from which polls and streams are answered without a datastore.

Exact as of the last entry of the room log that was applied. `load` takes a snapshot, `apply` one log entry; an entry
that does not follow the last one is refused, and the caller loads a snapshot again.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import NamedTuple

from app.domain.eta import POLL_MAX_MS, DrainMeter, Pace, eta_range_s, first_poll_ms, lobby_poll_ms, poll_after_ms
from app.domain.line import Bits, DrawStage, Opening, Place, RoomState, ahead
from app.domain.ticket import is_account
from app.room.answers import RoomSnapshot
from app.room.record import RoomRecord

ABSENT_CHANGES_MAX = 5_000  # taken at a time, some 5 ms, when many come or go at once: the others a moment later
FULL_LINGERS_S = 2.0  # the room counts as full for this long after it was: freed capacity is used a tick later


class Position(NamedTuple):
    """One buyer's position as it is answered. `number`: where it stands in the order of the line; in the lobby, which
    entry it is, and `ahead` is then how many people are in it. `until_ms` is when the turn or the pass ends, 0 while
    waiting."""

    place: Place
    number: int
    ahead: int
    eta_s: tuple[int, int] | None
    poll_after_ms: int
    until_ms: int


class LineView:
    """`number` is the last one given, `cursor` how far admission has come in the order of the line; times are Redis's,
    in ms. `full`: people wait because as many are inside as may be. A number's rank is its place in that order: where
    the draw put it, else the number itself. `absent`: who is, as was told last; `absence_is_old`: it was told anew.
    `absent_ranks`: of those who are counted as absent and have not ended; `absent_uncounted`: some are not yet.
    """

    __slots__ = (
        "_counted_absent",
        "absence_is_old",
        "absent",
        "absent_ranks",
        "absent_uncounted",
        "active",
        "admitted",
        "burst",
        "clock_ms",
        "closes_ms",
        "cursor",
        "door",
        "draw",
        "draw_ms",
        "drawn",
        "drawn_of",
        "ended",
        "ended_ranks",
        "entries",
        "epoch",
        "event_id",
        "first_poll_max_ms",
        "full",
        "full_s",
        "lapsed",
        "lobby_ms",
        "log_id",
        "made_in",
        "max_active",
        "message",
        "messages",
        "meter",
        "number",
        "opened_after",
        "opening",
        "opens_ms",
        "pace",
        "passed",
        "poll_max_ms",
        "ranks",
        "rate_per_s",
        "reason",
        "rev",
        "skipped",
        "state",
        "taken",
        "unproven",
        "updated_ms",
    )

    def __init__(
        self, event_id: str, poll_max_ms: int = POLL_MAX_MS, draw_ms: int = 0, first_poll_max_ms: int = POLL_MAX_MS
    ) -> None:
        self.event_id = event_id
        self.poll_max_ms = poll_max_ms
        self.first_poll_max_ms = first_poll_max_ms
        self.draw_ms = draw_ms
        self.ranks = array("I")
        self.clock_ms = 0  # the wall clock when the view was last measured
        self.meter = DrainMeter()
        self.pace: Pace | None = None
        self.passed = 0
        self.epoch = 0
        self.made_in = 0
        self.full = False
        self.full_s = float("-inf")  # when it last was, by the clock of `measure`

    def load(self, snapshot: RoomSnapshot, ranks: array[int] | None = None) -> None:
        """Take the room as it was at one moment. `ranks`: of its drawn entries."""
        record = snapshot.record
        self.state = record.state
        self.epoch = record.epoch
        self.number = record.number
        self.cursor = record.cursor
        self.rate_per_s = record.rate_per_s
        self.burst = record.burst
        self.max_active = record.max_active
        self.door = record.door
        self.message = record.message
        self.messages = record.messages
        self.opens_ms = record.opens_ms
        self.closes_ms = record.closes_ms
        self.reason = record.reason  # why it is closed: sale_ended, event_cancelled, or "" for an admin's doing
        self.made_in = record.made_in
        self.rev = record.rev
        self.log_id = snapshot.log_id
        self.updated_ms = place_in_log(snapshot.log_id)[0]
        self.ended, self.skipped, self.lapsed = snapshot.ended, snapshot.skipped, snapshot.lapsed
        self.unproven = snapshot.unproven
        self.taken = snapshot.taken
        self._load_draw(record, ranks or array("I"))
        self.absent, self.absence_is_old = snapshot.absent, False
        self._counted_absent, self.absent_ranks = Bits(), Bits()
        self._count_absent(None)
        self.admitted = snapshot.admitted
        self.active = snapshot.active
        if not self.moves:
            self.pace, self.full = None, False

    def _load_draw(self, record: RoomRecord, ranks: array[int]) -> None:
        self.opened_after = record.opened_after
        self.opening = record.opening
        self.lobby_ms = record.lobby_ms
        self.draw = record.draw
        self.entries = record.entries
        self.drawn = record.drawn
        self.drawn_of = record.drawn_of
        self.ranks = ranks
        self.ended_ranks = self.ended
        if self.drawn:
            self.ended_ranks = Bits()
            for number in self.ended:
                self.ended_ranks.add(self.rank_of(number))

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
                for number in _numbers(entry[b"n"]):  # several if they went straight in
                    self.admitted.pop(number, None)
                    self.active[number] = int(entry[b"e"])
            case b"taken":
                self.taken.add(int(entry[b"n"]))
            case b"back":
                self._back(entry)
            case b"absent":
                self.absence_is_old = True
        return True

    def _admit(self, entry: dict[bytes, bytes]) -> None:
        cursor, deadline_ms = int(entry[b"c"]), int(entry[b"d"])
        self.passed += ahead(cursor + 1, self.cursor, self.ended_ranks, self.absent_ranks)
        self.cursor = cursor
        self.number = max(self.number, int(entry[b"n"]))
        for number in _numbers(entry[b"s"]):
            self.skipped.add(number)
        for number in _numbers(entry[b"a"]):
            self.skipped.discard(number)
            self.admitted[number] = deadline_ms

    def _end(self, number: int) -> None:
        rank = self.rank_of(number)
        if rank > self.cursor and number not in self.ended and rank not in self.absent_ranks:
            self.passed += 1
        self.ended.add(number)
        self.ended_ranks.add(rank)
        self.absent_ranks.discard(rank)
        self.admitted.pop(number, None)
        self.active.pop(number, None)

    def _back(self, entry: dict[bytes, bytes]) -> None:
        for number in _numbers(entry[b"b"]):
            self.unproven.discard(number)
            self.ended.discard(number)
            self.ended_ranks.discard(self.rank_of(number))
            self.number = max(self.number, number)
            if self.rank_of(number) <= self.cursor:
                self.skipped.add(number)
        for number in _numbers(entry[b"l"]):
            self.unproven.discard(number)
            self.ended.add(number)
            self.ended_ranks.add(self.rank_of(number))
            self.absent_ranks.discard(self.rank_of(number))
        for number in _numbers(entry[b"a"]):
            self.taken.add(number)

    def take_absent(self, absent: Bits) -> None:
        """Nobody is told to wait for these any more, and again for those who are not among them."""
        self.absent, self.absence_is_old = absent, False
        self._count_absent(ABSENT_CHANGES_MAX)

    def _count_absent(self, changes_max: int | None) -> None:
        """Count who is absent as was told last, but for what is more than `changes_max` changes."""
        changes = list(islice(self._counted_absent.differs(self.absent), changes_max))
        self.absent_uncounted = len(changes) == changes_max
        for number in changes:
            rank = self.rank_of(number)
            if number not in self.absent:
                self._counted_absent.discard(number)
                self.absent_ranks.discard(rank)
                continue
            self._counted_absent.add(number)
            if number not in self.ended:
                self.absent_ranks.add(rank)

    def measure(self, now_s: float) -> None:
        """Measure how fast the line moves; `now_s` is from a steady clock. Call it about once a tick."""
        if self.absent_uncounted:
            self._count_absent(ABSENT_CHANGES_MAX)
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

    def rank_of(self, number: int) -> int:
        """Where a number stands in the order of the line."""
        at = number - self.opened_after - 1
        return self.opened_after + self.ranks[at] if 0 <= at < self.drawn else number

    def in_lobby(self, number: int) -> bool:
        """Whether the order in which this number comes is still to be drawn, or its line forms before the opening."""
        if self.draw is DrawStage.closed:
            return number <= self.opened_after + self.entries
        if self.draw is DrawStage.done or self.state is RoomState.closed:
            return False
        has_time = self.draw_ms > 0 or self.lobby_ms > 0
        return self.state is RoomState.lobby or (self.opening is Opening.draw and has_time)

    def is_asleep(self, soon_ms: float) -> bool:
        """Whether nothing happens here before then but what an admin does: it is closed, or far from its opening."""
        begins_ms = self.opens_ms - self.lobby_ms
        return self.state is RoomState.closed or (self.state is RoomState.scheduled and begins_ms > soon_ms)

    @property
    def moves(self) -> bool:
        return self.state in (RoomState.open, RoomState.draining)

    @property
    def waiting(self) -> int:
        """People the cursor has not reached who have not left. Nobody waits in a line that is over."""
        if self.state is RoomState.closed:
            return 0
        return ahead(self.number + 1, self.cursor, self.ended_ranks)

    @property
    def is_free(self) -> bool:
        """Whether who came now would be next: nobody who is here waits. Rate and capacity may be used up."""
        return self.moves and not ahead(self.number + 1, self.cursor, self.ended_ranks, self.absent_ranks)

    def place(self, number: int) -> Place:
        if number in self.ended:
            if number in self.unproven:
                return Place.waiting
            return Place.lapsed if number in self.lapsed else Place.left
        if number in self.admitted:
            return Place.admitted
        return Place.claimed if number in self.active else Place.waiting

    def is_taken(self, number: int, holder: bytes) -> bool:
        """Whether an account took the number over, and this is the holder who had it before."""
        return number in self.taken and not is_account(holder)

    def position(self, number: int) -> Position:
        """Where `number` stands. One higher than any known here was given a moment ago: it is at the back."""
        rank = number if not self.drawn else self.rank_of(number)
        if rank <= self.cursor or number in self.ended:
            place = self.place(number)
            if place is not Place.waiting:
                until_ms = self.admitted.get(number) or self.active.get(number) or 0
                return Position(place, rank, 0, None, poll_after_ms(number, 0, 0), until_ms)
        if self.draw is not DrawStage.done and self.in_lobby(number):
            return self._in_lobby(number)
        people = ahead(rank, self.cursor, self.ended_ranks, self.absent_ranks)
        eta_s = eta_range_s(people, self.pace)
        wait_s = eta_s[0] if eta_s else None
        poll_ms = poll_after_ms(number, wait_s, people, self.poll_max_ms)
        return Position(Place.waiting, rank, people, eta_s, poll_ms, 0)

    def position_of_newcomer(self, number: int) -> Position:
        """Where who joined just now stands. They ask again soon: a join counts as presence only for a while."""
        position = self.position(number)
        return position._replace(poll_after_ms=first_poll_ms(number, position.poll_after_ms, self.first_poll_max_ms))

    def _in_lobby(self, number: int) -> Position:
        last = max(self.number, number)
        people = last - self.opened_after - self.ended.count_between(self.opened_after, last + 1)
        left_ms = self.opens_ms + self.draw_ms - self.clock_ms
        poll_ms = lobby_poll_ms(number, left_ms, people, self.poll_max_ms)
        return Position(Place.lobby, number - self.opened_after, max(people, 1), None, poll_ms, 0)


def place_in_log(log_id: bytes) -> tuple[int, int]:
    """The id of a stream entry as numbers, so that ids can be compared."""
    at_ms, _, count = log_id.partition(b"-")
    return int(at_ms), int(count)


def _numbers(csv: bytes) -> list[int]:
    return [int(number) for number in csv.split(b",")] if csv else []
