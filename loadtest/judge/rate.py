"""I4: how fast people were let in, and how many were inside, against what the operator had set at that moment.

Everybody counts at the moment they were due, which is at most a late tick before the one at which they were let in.
Exact, by Redis's own clock: a bucket of `burst` tokens refilled at `rate` allows at most burst + the integral of
the rate in any window, also over changes of either, so every window between two admissions is held to that. Only a
window over a moment at which Redis's clock was set back is not: its length is not known.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from loadtest.judge.finding import Finding, People
from loadtest.judge.replay import Replay, Step, changes, stretches
from loadtest.records import RoomSettings

WINDOW_MS = 1_000
TOLERANCE = 1e-6  # people: tokens are kept as doubles
TOLERANCE_S = 1e-6  # and so are moments, which are exact to a quarter of this
LATE_MS = 500  # how late who was due may be let in, if `burst` are not due over a longer time
LETS_IN = ("open", "draining")
Batches = list[tuple[float, list[int]]]  # when they were due, and who


class Allowed:
    """The settings over time, while the clock ran on."""

    def __init__(self, stretch: list[Step]) -> None:
        steps = list(changes(stretch))
        self._from_ms = [at_ms for at_ms, _ in steps]
        self._settings = [settings for _, settings in steps]
        self._granted = [0.0]  # by the start of each step, counted from the second one
        for at in range(1, len(steps)):
            before = self._from_ms[at - 1] if at > 1 else self._from_ms[1]
            rate = self._settings[at - 1].rate_per_s
            self._granted.append(self._granted[-1] + rate * (self._from_ms[at] - before) / 1000)

    def at(self, at_ms: float) -> RoomSettings:
        """What was set at this moment; a change counts from its own millisecond on."""
        return self._settings[bisect_right(self._from_ms, at_ms) - 1]

    def granted(self, at_ms: float) -> float:
        """The integral of the rate up to now, from an arbitrary zero."""
        step = bisect_right(self._from_ms, at_ms) - 1
        since = self._from_ms[max(step, 1)] if len(self._from_ms) > 1 else 0.0
        return self._granted[step] + self._settings[step].rate_per_s * (at_ms - since) / 1000


def judge_rate(played: Replay | None, people: People) -> Finding:
    finding = Finding(topic="rate", invariant="I4")
    if played is None or played.gap:
        finding.unproven = played.gap if played else "the room's log was not read"
        return finding
    parts = [(_batches(stretch), Allowed(stretch)) for stretch in stretches(played)]
    parts = [(batches, allowed) for batches, allowed in parts if batches]
    if not parts:
        finding.text = "nobody was let in"
        return finding
    for batches, allowed in parts:
        _check_windows(batches, allowed, people, finding)
    for step in played.steps:
        if step.entry.admitted:
            _check_due(step, people, finding)
        if step.entry.admitted and step.settings.state not in LETS_IN:
            finding.breach(f"let in while the room was {step.settings.state}", people.number(step.entry.admitted[0]))
    finding.text, finding.claim = _shown(parts), "; no window of any length above"
    return finding


def _batches(stretch: list[Step]) -> Batches:
    return [batch for step in stretch for batch in _due(step)]


def _due(step: Step) -> Batches:
    entry = step.entry
    if entry.due_ms is None or not entry.due_every_ms:
        return [(entry.due_ms or entry.at_ms, entry.admitted)] if entry.admitted else []
    return [(entry.due_ms + at * entry.due_every_ms, [number]) for at, number in enumerate(entry.admitted)]


def _check_due(step: Step, people: People, finding: Finding) -> None:
    """Nobody is let in before they are due, nor is time counted that is long past."""
    first_ms, last_ms = _due(step)[0][0], _due(step)[-1][0]
    rate_per_s = step.settings.rate_per_s
    late_ms = max(LATE_MS + 1000 / rate_per_s, step.settings.burst * 1000 / rate_per_s)
    if last_ms > step.entry.at_ms + TOLERANCE_S * 1000:
        finding.breach("let in before it was due", people.number(step.entry.admitted[-1]))
    if first_ms < step.entry.at_ms - late_ms - TOLERANCE_S * 1000:
        finding.breach("let in by a time long past", people.number(step.entry.admitted[0]))


def _check_windows(batches: Batches, allowed: Allowed, people: People, finding: Finding) -> None:
    """For all i <= j: let in from i to j <= burst at i + the rate's integral. One pass, keeping one minimum."""
    total, least, begins = 0, float("inf"), 0.0
    for at_ms, numbers in batches:
        granted = allowed.granted(at_ms)
        limit = total - granted + allowed.at(at_ms - 1).burst
        if limit < least:
            least, begins = limit, at_ms
        total += len(numbers)
        over = total - granted - least
        if over > TOLERANCE + TOLERANCE_S * allowed.at(at_ms).rate_per_s:
            detail = f"{over:.2f} more than rate and burst allow in the {(at_ms - begins) / 1000:.3f} s before"
            finding.breach(detail, people.number(numbers[-1]))
            least += over  # told once: who comes after is held to what they add


class Busiest(NamedTuple):
    """The second in which most people were let in, and how many might have been."""

    most: int
    room: float


def _busiest(batches: Batches, allowed: Allowed) -> Busiest:
    busiest = Busiest(0, 0.0)
    first = 0
    count = 0
    for at_ms, numbers in batches:
        count += len(numbers)
        while batches[first][0] <= at_ms - WINDOW_MS:
            count -= len(batches[first][1])
            first += 1
        if count > busiest.most:
            begins = at_ms - WINDOW_MS
            room = allowed.at(begins).burst + allowed.granted(at_ms) - allowed.granted(begins)
            busiest = Busiest(count, room)
    return busiest


def _shown(parts: list[tuple[Batches, Allowed]]) -> str:
    busiest = max(_busiest(batches, allowed) for batches, allowed in parts)
    people = sum(len(numbers) for batches, _ in parts for _, numbers in batches)
    span_s = sum(batches[-1][0] - batches[0][0] for batches, _ in parts) / 1000
    mean = f"{people / span_s:.2f} per second over {span_s:.1f} s" if span_s else f"{people} at once"
    return f"busiest second {busiest.most} of {busiest.room:g} allowed (rate + burst); {mean}"


def judge_capacity(played: Replay | None, people: People) -> Finding:
    """After every admission, those let in and those who claimed are not more than the capacity set then."""
    finding = Finding(topic="capacity", invariant="I4")
    if played is None or played.gap:
        finding.unproven = played.gap if played else "the room's log was not read"
        return finding
    inside = set(played.start.admitted) | set(played.start.active)
    most = capacity = 0
    for step in played.steps:
        if step.reopened or step.made_again:
            inside.clear()
        inside.difference_update(step.entry.ended)
        inside.update(step.entry.admitted)
        capacity = step.settings.max_active
        most = max(most, len(inside))
        if step.entry.admitted and len(inside) > capacity:
            finding.breach(
                f"{len(inside)} inside with a capacity of {capacity}", people.number(step.entry.admitted[-1])
            )
    finding.text = f"at most {most} inside; capacity {capacity or played.start.settings.max_active}"
    return finding
