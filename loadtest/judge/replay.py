"""The room log, played again: who was let in when, who was passed over, whose place ended.

One pass over the entries in Redis's order; every judge of the line works from what it collects. The judges state the
rules of the line in their own words, on purpose: they use neither the scripts nor app/domain/admission.py, so that they
are an independent second opinion on both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.records import Records, RoomEntry, RoomSettings, RoomStart


@dataclass(frozen=True, slots=True)
class Admission:
    """`late`: this number had been passed over before, as absent or because Redis had lost it."""

    number: int
    at_ms: int
    late: bool


@dataclass(frozen=True, slots=True)
class Step:
    """An entry and what was so just before it. `reopened`: a new line begins with it, and everybody's place is over.
    `made_again`: with it the line goes on after Redis lost something: who had been let in and who was absent is then
    known of those only who come back."""

    entry: RoomEntry
    cursor: int
    settings: RoomSettings
    reopened: bool
    made_again: bool


@dataclass(slots=True)
class Replay:
    """`skips`: when each number was passed over; `ended_ms`: when each place ended; `gap`: what is missing, or "".
    `epochs`: (when, last number of the line before) each time the room was opened anew; `restored`: who came back
    behind the cursor after Redis lost something."""

    start: RoomStart
    steps: list[Step] = field(default_factory=list)
    admissions: list[Admission] = field(default_factory=list)
    admitted_ms: dict[int, int] = field(default_factory=dict)
    skips: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    ended_ms: dict[int, int] = field(default_factory=dict)
    epochs: list[tuple[int, int]] = field(default_factory=list)
    restored: set[int] = field(default_factory=set)
    gap: str = ""

    @property
    def has_lost(self) -> bool:
        """Whether Redis lost something meanwhile."""
        return any(step.made_again for step in self.steps)

    def over_by(self, number: int, at_ms: float) -> bool:
        """Whether this place had ended by then."""
        ended_ms = self.ended_ms.get(number)
        return (ended_ms is not None and ended_ms <= at_ms) or self.of_old_line(number, at_ms)

    def of_old_line(self, number: int, at_ms: float = float("inf")) -> bool:
        """Whether the room was opened anew after this number was given."""
        return any(number <= last and began_ms <= at_ms for began_ms, last in self.epochs)


def replay(records: Records) -> Replay | None:
    """None if the room was not recorded."""
    start = records.room_start
    if start is None:
        return None
    played = Replay(start)
    for number in start.skipped:
        played.skips[number].append(0)
    rev, cursor, settings, epoch = start.rev, start.cursor, start.settings, start.epoch
    for entry in records.room:
        reopened = entry.epoch > epoch
        made_again = entry.lost > 0 and not reopened
        if entry.rev != rev + 1 and not (made_again and entry.rev > rev) and not played.gap:
            played.gap = f"the room log jumps from revision {rev} to {entry.rev}"
        played.steps.append(Step(entry, cursor, settings, reopened, made_again))
        rev, settings = entry.rev, entry.settings or settings
        if reopened:
            epoch, cursor = entry.epoch, entry.cursor
            played.epochs.append((entry.at_ms, cursor))
        if made_again:
            played.restored.update(range(cursor + 1, entry.cursor + 1))
            cursor = entry.cursor
        if entry.kind == "admit":
            cursor = entry.cursor
            _admit(played, entry)
        for number in entry.back:
            played.ended_ms.pop(number, None)
            if number <= cursor:
                played.restored.add(number)
        for number in entry.ended:
            played.ended_ms.setdefault(number, entry.at_ms)
    return played


def _admit(played: Replay, entry: RoomEntry) -> None:
    for number in entry.admitted:
        late = number in played.skips or number in played.restored
        played.admissions.append(Admission(number, entry.at_ms, late))
        played.admitted_ms.setdefault(number, entry.at_ms)
    for number in entry.skipped:
        played.skips[number].append(entry.at_ms)


def stretches(played: Replay) -> Iterator[list[Step]]:
    """What let people in or changed the settings, divided where Redis's clock was set back.

    How long it really was between the two nobody can say, so a stretch is judged by itself, as
    app.audit.line_replay does it.
    """
    stretch: list[Step] = []
    for step in played.steps:
        went_back = step.entry.clock_back_ms > 0
        if not step.entry.admitted and step.entry.settings is None and not went_back:
            continue
        if stretch and (went_back or step.entry.at_ms < stretch[-1].entry.at_ms):
            yield stretch
            stretch = []
        stretch.append(step)
    if stretch:
        yield stretch


def changes(stretch: list[Step]) -> Iterator[tuple[float, RoomSettings]]:
    """(from when, the settings) in order, the ones at the start first."""
    yield float("-inf"), stretch[0].settings
    for step in stretch:
        if step.entry.settings is not None:
            yield step.entry.at_ms, step.entry.settings
