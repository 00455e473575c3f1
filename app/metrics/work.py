"""What a worker counts, and how it becomes readings: ticks, admissions, batches of the lane and their answers."""

from __future__ import annotations

from collections.abc import Iterator

from app.histogram import SECONDS, SIZES, Histogram
from app.metrics.readings import Reading, read_counts, read_histogram

Counts = dict[tuple[str, ...], int]


class Work:
    """The counts of one worker process, to which its admitter and its allocator add."""

    def __init__(self) -> None:
        self.admitted: Counts = {}
        self.turns_ended: Counts = {}
        self.wishes: Counts = {}
        self.outcomes: Counts = {}
        self.ticks_failed = 0
        self.commands_dropped = 0
        self.draws_without_beacon = 0
        self.tick_s = Histogram(SECONDS)
        self.tick_late_s = Histogram(SECONDS)
        self.batches = Histogram(SIZES)
        self.batch_s = Histogram(SECONDS)
        self.release_s = Histogram(SECONDS)

    def ticked(self, event_id: str, admitted: int, ended: int, wished: int) -> None:
        """Add what one tick of a room did."""
        for counts, more in ((self.admitted, admitted), (self.turns_ended, ended), (self.wishes, wished)):
            if more:
                counts[event_id,] = counts.get((event_id,), 0) + more

    def answered(self, event_id: str, status: str) -> None:
        """Count an outcome of a seat command."""
        self.outcomes[event_id, status] = self.outcomes.get((event_id, status), 0) + 1


def work_readings(work: Work) -> Iterator[Reading]:
    """Everything a worker counts, as readings."""
    yield from read_counts("tiketi_admitted", work.admitted)
    yield from read_counts("tiketi_turns_ended", work.turns_ended)
    yield from read_counts("tiketi_wishes_sent", work.wishes)
    yield from read_counts("tiketi_lane_outcomes", work.outcomes)
    yield Reading("tiketi_lane_commands_dropped", (), work.commands_dropped)
    yield Reading("tiketi_ticks_failed", (), work.ticks_failed)
    yield Reading("tiketi_draws_without_beacon", (), work.draws_without_beacon)
    yield read_histogram("tiketi_tick_seconds", work.tick_s)
    yield read_histogram("tiketi_tick_late_seconds", work.tick_late_s)
    yield read_histogram("tiketi_lane_batch_commands", work.batches)
    yield read_histogram("tiketi_lane_batch_seconds", work.batch_s)
    yield read_histogram("tiketi_hold_release_seconds", work.release_s)
