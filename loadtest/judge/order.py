"""I3: nobody present is passed over. From the room's own log, and against it what each session did.

Somebody who was absent when the cursor came by is let in late on their return; those inversions are explained and
counted apart, so that the order of everyone else has to be exact.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence

from loadtest.judge.finding import Finding, People
from loadtest.judge.replay import Replay, Step
from loadtest.records import Joined, PositionSeen, Records, Streamed

MARGIN_MS = 2_000.0  # beyond the flush interval, until what a web process saw must have reached Redis


def judge_order(records: Records, people: People, played: Replay | None) -> Finding:
    finding = Finding(topic="order", invariant="I3")
    if played is None:
        return _by_crowd_alone(records, finding)
    if played.gap:
        finding.unproven = played.gap
        return finding
    if not played.admissions:
        finding.unproven = "nobody was let in, so there is no order to judge"
        return finding
    _check_steps(played, people, finding)
    _check_presence(records, played, people, finding)
    _check_pairs(played, people, finding)
    sequence = [admission.number for admission in played.admissions]
    punctual = [admission.number for admission in played.admissions if not admission.late]
    apart = inversions(sequence) - inversions(punctual)
    late = len(sequence) - len(punctual)
    finding.text = (
        f"{len(sequence)} let in, {inversions(punctual)} inversions, tau {tau(punctual):.4f}; "
        f"by the time they joined tau {_tau_of_joins(records, played):.4f}; "
        f"{late} came back after being absent ({apart} inversions, all theirs)"
    )
    return finding


def inversions(sequence: Sequence[int]) -> int:
    """Pairs that stand the wrong way round."""
    seen: list[int] = []
    count = 0
    for number in sequence:
        count += len(seen) - bisect_right(seen, number)
        insort(seen, number)
    return count


def tau(sequence: Sequence[int]) -> float:
    """Kendall's tau of a sequence of distinct numbers against sorted order: 1 in order, -1 reversed."""
    pairs = len(sequence) * (len(sequence) - 1) / 2
    return 1 - 2 * inversions(sequence) / pairs if pairs else 1.0


def _tau_of_joins(records: Records, played: Replay) -> float:
    """Of when people sent their join, as they saw it, against when they were let in, without those who were absent and
    those whose place was drawn.
    """
    sent = {joined.number: joined.sent_ms for joined in reversed(records.of(Joined))}
    later = {number for number, at_ms in sent.items() if at_ms >= records.run.drawn_until_ms}
    ours = [admission.number for admission in played.admissions if admission.number in later and not admission.late]
    rank = {number: place for place, number in enumerate(sorted(ours, key=lambda number: sent[number]))}
    return tau([rank[number] for number in ours])


def _check_steps(played: Replay, people: People, finding: Finding) -> None:
    """The cursor only moves forward, and everyone it moves over is let in, known as absent, or has ended already."""
    ended_places, inside = set(played.start.ended_places), set(played.start.admitted) | set(played.start.active)
    for step in played.steps:
        entry = step.entry
        if step.made_again:
            inside.clear()
            ended_places.update(range(entry.kept + 1, entry.lost + 1))  # until they show their tickets
        if entry.kind == "admit":
            if entry.cursor < step.cursor:
                finding.breach(f"the cursor went back from {step.cursor} to {entry.cursor}", "the admitter")
            named = {*entry.admitted, *entry.skipped}
            for number in range(step.cursor + 1, entry.cursor + 1):
                if number not in named and number not in ended_places:
                    finding.breach("passed over without a word", people.number(number))
            for number in entry.admitted:
                if number in ended_places or number in inside:
                    why = "its place had ended" if number in ended_places else "it had been let in already"
                    finding.breach(f"let in although {why}", people.number(number))
            inside.update(entry.admitted)
        if step.reopened:
            inside.clear()
        ended_places.difference_update(entry.back)
        ended_places.update(entry.ended)


def _check_pairs(played: Replay, people: People, finding: Finding) -> None:
    """Among those who were never absent, nobody is let in after a higher number."""
    highest = 0
    again_ms = [step.entry.at_ms for step in played.steps if step.made_again]
    for admission in played.admissions:
        while again_ms and admission.at_ms >= again_ms[0]:  # the last ones let in may be let in again
            highest, again_ms = 0, again_ms[1:]
        if not admission.late and admission.number < highest:
            finding.breach(f"let in after number {highest}, and was never absent", people.number(admission.number))
        if not admission.late:
            highest = max(highest, admission.number)


def _check_presence(records: Records, played: Replay, people: People, finding: Finding) -> None:
    """What sessions did against being taken for absent: who was here must not be passed over, nor who came back."""
    sightings = Sightings(records)
    window_ms, flush_ms = records.run.presence_window_s * 1000, records.run.presence_flush_s * 1000
    told = flush_ms + MARGIN_MS
    for number, skipped_ms in sorted(played.skips.items()):
        for at_ms in skipped_ms:
            if sightings.seen(number, at_ms - window_ms, at_ms, told):
                _present(records, finding, "taken for absent although it was here", people.number(number))
    absent: dict[int, float] = dict.fromkeys(played.start.skipped, played.start.at_ms)
    for step in played.steps:
        _check_returned(step, absent, sightings, told, records, people, finding)


def _check_returned(
    step: Step,
    absent: dict[int, float],
    sightings: Sightings,
    told_ms: float,
    records: Records,
    people: People,
    finding: Finding,
) -> None:
    """Whoever came back in time stands before everyone the cursor had not reached."""
    entry = step.entry
    if step.reopened or step.made_again:
        absent.clear()
    newest = max((number for number in entry.admitted if number > step.cursor), default=0)
    for number in (*entry.ended, *entry.admitted):
        absent.pop(number, None)
    for number, since_ms in absent.items():
        if number < newest and number not in entry.skipped and sightings.seen(number, since_ms, entry.at_ms, told_ms):
            what = f"had come back, and number {newest} was let in first"
            _present(records, finding, what, people.number(number))
    absent.update((number, float(entry.at_ms)) for number in entry.skipped)


def _present(records: Records, finding: Finding, detail: str, by: str) -> None:
    """A breach if the presence window is known for sure, which it is only of a system of our own."""
    if records.run.own:
        finding.breach(detail, by)
    else:
        finding.warnings.append(f"{by}: {detail}, if the system's presence window is what it is here")


class Sightings:
    """When the system surely saw each number: an answered poll or join, an open stream. Nothing is sure of a time at
    which it was made to fail."""

    def __init__(self, records: Records) -> None:
        self._was_disturbed = records.run.was_disturbed
        self._asked: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._open: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        numbers: dict[int, int] = {}
        for line in records.crowd:
            if isinstance(line, Joined):
                numbers[line.session] = line.number
            elif isinstance(line, PositionSeen) and line.via == "poll":
                self._asked[line.number].append((line.sent_ms, line.at_ms))
            elif isinstance(line, Streamed) and line.session in numbers:
                self._open[numbers[line.session]].append((line.opened_ms, line.closed_ms))

    def seen(self, number: int, from_ms: float, to_ms: float, told_ms: float) -> bool:
        """Whether a sighting between these times must have reached Redis by `to_ms`, taking up to `told_ms`."""
        asked = [(sent, at + told_ms) for sent, at in self._asked.get(number, ()) if sent >= from_ms]
        opened = [(max(opened, from_ms), min(closed, to_ms)) for opened, closed in self._open.get(number, ())]
        spans = asked + [span for span in opened if span[1] - span[0] >= told_ms]
        return any(until <= to_ms and not self._was_disturbed(since, until) for since, until in spans)


def _by_crowd_alone(records: Records, finding: Finding) -> Finding:
    """Without the room's log: the order in which people heard of their turn, which proves nothing but shows a lot."""
    first: dict[int, float] = {}
    for told in records.of(PositionSeen):
        if told.state in ("admitted", "claimed") and told.via == "stream":
            first.setdefault(told.number, told.at_ms)
    order = sorted(first, key=lambda number: first[number])
    finding.unproven = f"the room's log was not read; streams heard of their turn with tau {tau(order):.4f}"
    return finding
