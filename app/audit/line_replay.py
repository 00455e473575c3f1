"""Replays a room's log and says where order, rate or capacity were broken (I3, I4). Pure: log entries in.

Who should have been let in is decided by the one statement of the admission rule (domain/admission.py), not by the
scripts, so this can prove them wrong. Who was absent is taken from the log; times are Redis's own, as logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.domain.admission import LATE_MAX_MS, SLACK_MS, Allowance, Due, Line, who_is_next

Entry = Mapping[bytes, bytes]


class Violation(NamedTuple):
    """What broke which invariant of the design, `I1` to `I10`, in a sentence."""

    invariant: str
    detail: str


def rate_violations(admissions: Iterable[tuple[float, int]], rate_per_s: float, burst: int) -> list[Violation]:
    """I4 at one rate: every window of `admissions`, (ms, people) in the order they happened, holds at most
    rate*w + burst."""
    allowance = Allowance(rate_per_s, burst)
    taken = [(at_ms, people, allowance.take(at_ms, people)) for at_ms, people in admissions]
    return [_too_fast(*each) for each in taken if each[2]]


def due_of(entry: Entry) -> Due:
    """When those whom an `admit` entry lets in were due: at its own time, if it does not say."""
    return Due(float(entry.get(b"f", entry[b"t"])), float(entry.get(b"e", b"0")))


def replay(log: Iterable[tuple[bytes, Entry]]) -> list[Violation]:
    """I3 and I4 of everything the log tells."""
    line = _Line()
    for _, entry in log:
        line.take(entry)
    return line.found


def with_ranks(entry: Entry, ranks: Mapping[int, int]) -> Entry:
    """An entry with each drawn number's rank in its place: what was drawn is a line in the order of ranks."""
    lists = {b"admit": (b"a", b"s"), b"lapse": (b"l",), b"back": (b"b", b"l"), b"left": (b"n",)}.get(entry[b"k"], ())
    renamed = {name: b",".join(b"%d" % ranks.get(number, number) for number in _numbers(entry[name])) for name in lists}
    return {**entry, **renamed}


class _Line:
    """One room as its log tells it. Before the log's first `config` nothing is known and little is judged."""

    def __init__(self) -> None:
        self.found: list[Violation] = []
        self._allowance: Allowance | None = None
        self._max_active: int | None = None
        self._at_ms = 0
        self._begin(epoch=0, cursor=None, unproven=0)

    def _begin(self, epoch: int, cursor: int | None, unproven: int) -> None:
        """A line starts: `unproven` is the last number whose holder is not known until they show their ticket."""
        self._epoch, self._cursor = epoch, cursor
        self._unproven = [range(1, unproven + 1)]  # one for each loss of this line
        self._whole = cursor is not None
        self._ended: set[int] = set()
        self._back: set[int] = set()
        self._skipped: set[int] = set()
        self._admitted: set[int] = set()
        self._live: set[int] = set()

    def take(self, entry: Entry) -> None:
        at_ms = int(entry.get(b"t", self._at_ms))
        if self._allowance is not None and (at_ms < self._at_ms or float(entry.get(b"back_ms", b"0"))):
            self._allowance.restart()
        self._at_ms = at_ms
        match entry[b"k"]:
            case b"config" if b"epoch" in entry:
                self._configure(entry)
            case b"admit":
                self._admit(entry)
            case b"left":
                self._end([int(entry[b"n"])])
            case b"lapse":
                self._end(_numbers(entry[b"l"]))
            case b"back":
                self._return(_numbers(entry[b"b"]), _numbers(entry[b"l"]))

    def _configure(self, entry: Entry) -> None:
        at_ms, rate_per_s, burst = int(entry[b"t"]), float(entry[b"rate"]), int(entry[b"burst"])
        self._max_active = int(entry[b"max_active"])
        if int(entry[b"epoch"]) != self._epoch:
            self._begin(int(entry[b"epoch"]), int(entry[b"c"]), int(entry.get(b"lost", b"0")))
        elif entry.get(b"lost", b"0") != b"0":
            self._make_again(int(entry[b"c"]), int(entry[b"kept"]), int(entry[b"lost"]))
        if self._allowance is None:
            self._allowance = Allowance(rate_per_s, burst)
        elif (rate_per_s, burst) != self._allowance.limits:
            self._allowance.change(at_ms, rate_per_s, burst)

    def _make_again(self, cursor: int, kept: int, last: int) -> None:
        """What was done last is lost: the numbers after `kept`, and what became of those between the cursors."""
        if self._cursor is not None:
            self._skipped.update(range(self._cursor + 1, cursor + 1))
        self._cursor = cursor
        self._unproven.append(range(kept + 1, last + 1))
        self._back = {number for number in self._back if number <= kept}

    def _end(self, numbers: Iterable[int]) -> None:
        self._ended.update(numbers)
        self._live.difference_update(numbers)

    def _return(self, back: Sequence[int], left: Sequence[int]) -> None:
        self._end(left)
        self._ended.difference_update(back)
        self._back.update(back)
        self._skipped.update(number for number in back if self._cursor is not None and number <= self._cursor)

    def _has_ended(self, number: int) -> bool:
        is_unproven = number not in self._back and any(number in lost for lost in self._unproven)
        return number in self._ended or is_unproven

    def _admit(self, entry: Entry) -> None:
        cursor, let_in, absent = int(entry[b"c"]), _numbers(entry[b"a"]), _numbers(entry[b"s"])
        self._skipped.update(absent)
        self._judge_order(cursor, let_in)
        self._cursor = cursor
        self._admitted.update(let_in)
        self._live.update(let_in)
        self._skipped.difference_update(let_in)
        if let_in:
            self._judge_amount(int(entry[b"t"]), due_of(entry), len(let_in))

    def _judge_order(self, cursor: int, let_in: Sequence[int]) -> None:
        before = cursor if self._cursor is None else self._cursor
        if cursor < before:
            self._break("I3", f"the cursor went back from {before} to {cursor}")
        expected = who_is_next(self._line_as_logged(before, cursor, let_in), allowed=len(let_in) + 1)
        broken = len(self.found)
        for number in expected.passed_over:
            if number not in self._skipped:
                self._break("I3", f"{number} was passed over though present, when {cursor} was reached")
        for number in let_in:
            if number in self._admitted:
                self._break("I3", f"{number} was let in twice")
            elif self._has_ended(number):
                self._break("I3", f"{number} was let in though its position had ended")
            elif number <= before and self._whole and number not in self._skipped:
                self._break("I3", f"{number} was let in behind the cursor {before} without having been passed over")
        if self._cursor is not None and len(self.found) == broken and list(let_in) != expected.let_in:
            self._break("I3", f"{list(let_in)} were let in out of order")

    def _line_as_logged(self, before: int, cursor: int, let_in: Sequence[int]) -> Line:
        """The line as it was at an admission: who was let in was present, anybody else was not."""
        return Line(
            cursor=before,
            last_number=cursor,
            returned=[number for number in let_in if number <= before],
            has_ended=self._has_ended,
            was_seen=set(let_in).__contains__,
            absence_known=True,
        )

    def _judge_amount(self, at_ms: int, due: Due, people: int) -> None:
        if self._max_active is not None and len(self._live) > self._max_active:
            self._break("I4", f"{len(self._live)} people are inside at {at_ms}, of at most {self._max_active}")
        if self._allowance is None:
            return
        rate_per_s, burst = self._allowance.limits
        times_ms = due.times_ms(people)
        late_max_ms = max(LATE_MAX_MS + 1000 / rate_per_s, burst * 1000 / rate_per_s)
        if not at_ms - late_max_ms - SLACK_MS <= times_ms[0] <= times_ms[-1] <= at_ms + SLACK_MS:
            self._break("I4", f"{people} people were let in at {at_ms} and due from {times_ms[0]} to {times_ms[-1]}")
        excess = sum(self._allowance.take(due_ms, 1) for due_ms in times_ms)
        if excess:
            self.found.append(_too_fast(times_ms[-1], people, excess))

    def _break(self, invariant: str, detail: str) -> None:
        self.found.append(Violation(invariant, f"epoch {self._epoch}: {detail}"))


def _too_fast(at_ms: float, people: int, excess: float) -> Violation:
    return Violation("I4", f"{people} people were due at {at_ms:.0f}: {excess:.2f} more than rate and burst allow")


def _numbers(csv: bytes) -> list[int]:
    return [int(number) for number in csv.split(b",")] if csv else []
