"""What never changes about an event's seats: who is whose neighbour, and how far each is from the focal point.

Pure and built once per event; `app/domain/seating.py` decides on it. A seat's `idx`, its position in the event's seat
list, is its name here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import hypot
from statistics import median

SEATS_PER_MAP_MAX = 1 << 20
AISLE_IN_PITCHES = 1.5  # a step longer than this many usual steps of the section is an aisle
SEATS_PER_CELL = 4
DISTANCE_STEPS = 1024  # distances are compared in 1/1024 of the map's unit
DISTANCE_BITS = 42  # of the distances of one choice, added up
FIRST_BITS = 20

Ranks = tuple[tuple[int, int], ...]  # (bit of the first seat, rank), best first; a rank is [distance][first seat's idx]


@dataclass(frozen=True, slots=True)
class Seat:
    """One seat; `idx` is its position in the event's seat list, `number` counts along its row."""

    idx: int
    section: str
    row: str
    number: int
    grade: str
    price: int
    x: float
    y: float


class SeatMap:
    """The seats of one event as runs of neighbours, and how far each is from the focal point. Never changes.

    Neighbours share section and row, have consecutive numbers and no aisle between them.
    Raises ValueError when a seat's `idx` is not its position, or there are more seats than a rank can hold.
    """

    __slots__ = ("_ranks", "cells", "distance", "focal", "grades", "place", "runs", "seats")

    def __init__(self, seats: Sequence[Seat], focal: tuple[float, float]) -> None:
        if len(seats) > SEATS_PER_MAP_MAX:
            raise ValueError(f"{len(seats)} seats are more than the {SEATS_PER_MAP_MAX} a map may have")
        for position, seat in enumerate(seats):
            if seat.idx != position:
                raise ValueError(f"seat {seat.idx} is at position {position} of the list")
        self.seats = tuple(seats)
        self.focal = focal
        self.grades = tuple(dict.fromkeys(seat.grade for seat in seats))
        self.distance = tuple(int(hypot(s.x - focal[0], s.y - focal[1]) * DISTANCE_STEPS) for s in seats)
        self.runs = tuple(_runs_of_neighbours(seats))
        self.place = [(0, 0)] * len(seats)  # idx → (run, bit)
        for number, run in enumerate(self.runs):
            for position, idx in enumerate(run):
                self.place[idx] = (number, 1 << position)
        self.cells = Cells(self.seats)
        self._ranks: dict[int, tuple[Ranks, ...]] = {}

    def ranks(self, quantity: int) -> tuple[Ranks, ...]:
        """For each run, where `quantity` neighbours may begin: (bit of the first seat, rank), best first."""
        if quantity not in self._ranks:
            self._ranks[quantity] = tuple(self._ranked(run, quantity) for run in self.runs)
        return self._ranks[quantity]

    def _ranked(self, run: Sequence[int], quantity: int) -> Ranks:
        upto = list(accumulate((self.distance[idx] for idx in run), initial=0))
        totals = [upto[start + quantity] - upto[start] for start in range(len(run) - quantity + 1)]
        ranks = sorted(
            (min(total, (1 << DISTANCE_BITS) - 1) << FIRST_BITS | run[start], 1 << start)
            for start, total in enumerate(totals)
        )
        return tuple((bit, rank) for rank, bit in ranks)


def _runs_of_neighbours(seats: Sequence[Seat]) -> Iterator[tuple[int, ...]]:
    sections: dict[str, dict[str, list[Seat]]] = {}
    for seat in sorted(seats, key=lambda seat: (seat.number, seat.idx)):
        sections.setdefault(seat.section, {}).setdefault(seat.row, []).append(seat)
    for rows in sections.values():
        steps = [_step(a, b) for row in rows.values() for a, b in pairwise(row) if b.number == a.number + 1]
        aisle = median(steps) * AISLE_IN_PITCHES if steps else 0.0
        for row in rows.values():
            run = [row[0].idx]
            for a, b in pairwise(row):
                if b.number != a.number + 1 or _step(a, b) > aisle:
                    yield tuple(run)
                    run = []
                run.append(b.idx)
            yield tuple(run)


def _step(a: Seat, b: Seat) -> float:
    return hypot(b.x - a.x, b.y - a.y)


class Cells:
    """The map cut into squares of a few seats each, to look around a point without looking at every seat."""

    __slots__ = ("_columns", "_left", "_rows", "_side", "_top", "members", "place")

    def __init__(self, seats: Sequence[Seat]) -> None:
        xs, ys = [s.x for s in seats] or [0.0], [s.y for s in seats] or [0.0]
        self._left, self._top = min(xs), min(ys)
        width, height = max(xs) - self._left, max(ys) - self._top
        cells = max(1, len(seats) // SEATS_PER_CELL)
        self._side = max((width * height / cells) ** 0.5, max(width, height) / cells) or 1.0
        self._columns, self._rows = int(width / self._side) + 1, int(height / self._side) + 1
        members: list[list[int]] = [[] for _ in range(self._columns * self._rows)]
        self.place: list[tuple[int, int]] = []  # idx → (cell, bit)
        for seat in seats:
            column, row = self._at(seat.x, seat.y)
            cell = members[row * self._columns + column]
            self.place.append((row * self._columns + column, 1 << len(cell)))
            cell.append(seat.idx)
        self.members = tuple(map(tuple, members))

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return int((x - self._left) / self._side), int((y - self._top) / self._side)

    def rings(self, x: float, y: float) -> Iterator[tuple[float, list[int]]]:
        """Rings of cells around a point, outwards, each with the distance within which everything has been seen."""
        column, row = self._at(x, y)
        for ring in range(max(self._columns, self._rows)):
            top, bottom, left, right = row - ring, row + ring, column - ring, column + ring
            across = range(max(left, 0), min(right, self._columns - 1) + 1)
            down = range(max(top + 1, 0), min(bottom - 1, self._rows - 1) + 1)
            spots = [(r, c) for r in {top, bottom} if 0 <= r < self._rows for c in across]
            spots += [(r, c) for c in {left, right} if 0 <= c < self._columns for r in down]
            yield ring * self._side, [r * self._columns + c for r, c in spots]
