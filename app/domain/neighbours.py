"""Which seats are side by side: the runs of neighbours of every row.

Pure. Where a row's seats have points of their own, the points decide: two seats of a row are neighbours if no other
seat of it stands between them and they are no further apart than AISLE_IN_STEPS times what is usual in the row.
Without points, the numbers decide: a row whose numbers are all odd or all even counts in twos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot
from statistics import median_low

from app.domain.seat import Seat

AISLE_IN_STEPS = 1.5
ROW_SEATS_MIN = 4  # a shorter row does not show what is usual in it; its section does
_ROUNDING = 1 + 1e-9  # points are sums of floats


def runs_of_neighbours(seats: Sequence[Seat]) -> Iterator[tuple[int, ...]]:
    """The seats of each run by `idx`, from left to right, or by number. Every seat is in one run."""
    sections: dict[str, dict[str, list[Seat]]] = {}
    for seat in sorted(seats, key=lambda seat: (seat.number, seat.idx)):
        sections.setdefault(seat.section, {}).setdefault(seat.row, []).append(seat)
    for rows in sections.values():
        drawn = [_in_line(row) for row in rows.values() if _has_points(row)]
        usual = usual_step([step for row in drawn for step in steps_of(row)])
        for row in drawn:
            yield from _by_points(row, usual)
        for row in rows.values():
            if not _has_points(row):
                yield from _by_numbers(row)


def counts_in(numbers: Sequence[int]) -> int:
    """By how much the numbers of neighbours differ: 2 in a row of one parity, else 1."""
    return 2 if len(numbers) > 1 and len({number % 2 for number in numbers}) == 1 else 1


def usual_step(steps: Sequence[float]) -> float:
    """The lower quartile, so that aisles and missing seats do not count; 0 if there are no steps."""
    return sorted(steps)[(len(steps) - 1) // 4] if steps else 0.0


def steps_of(row: Sequence[Seat]) -> list[float]:
    return [hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(row)]


def _has_points(row: Sequence[Seat]) -> bool:
    return len({(seat.x, seat.y) for seat in row}) == len(row)


def _in_line(row: list[Seat]) -> list[Seat]:
    """The seats, given by number, from left to right in the order with the shortest usual step.

    Rows are numbered from one end, or odd to one side and even to the other, or in some order that only their points
    show. A curved or folded row has no axis, but its numbers.
    """
    odd, even = [s for s in row if s.number % 2], [s for s in row if s.number % 2 == 0]
    xs, ys = [seat.x for seat in row], [seat.y for seat in row]
    is_wide = max(xs) - min(xs) >= max(ys) - min(ys)
    along = sorted(row, key=lambda s: (s.x, s.y, s.idx) if is_wide else (s.y, s.x, s.idx))
    line = min((row, [*reversed(odd), *even], along), key=_looseness)
    return line if (line[0].x, line[0].y) < (line[-1].x, line[-1].y) else line[::-1]


def _looseness(row: Sequence[Seat]) -> tuple[float, float]:
    steps = steps_of(row) or [0.0]
    return round(median_low(steps), 6), round(sum(steps), 6)


def _by_points(row: Sequence[Seat], usual_in_section: float) -> Iterator[tuple[int, ...]]:
    steps = steps_of(row)
    usual = usual_step(steps) if len(row) >= ROW_SEATS_MIN else usual_in_section
    return _cut(row, [step > usual * AISLE_IN_STEPS * _ROUNDING for step in steps])


def _by_numbers(row: Sequence[Seat]) -> Iterator[tuple[int, ...]]:
    step = counts_in([seat.number for seat in row])
    return _cut(row, [b.number - a.number != step for a, b in pairwise(row)])


def _cut(row: Sequence[Seat], cuts: Sequence[bool]) -> Iterator[tuple[int, ...]]:
    run = [row[0].idx]
    for seat, is_cut in zip(row[1:], cuts, strict=True):
        if is_cut:
            yield tuple(run)
            run = []
        run.append(seat.idx)
    yield tuple(run)
