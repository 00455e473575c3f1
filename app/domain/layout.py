"""What never changes about an event's seats: who is whose neighbour, and how far each is from the focal point.

Pure and built once per event; `app/domain/seating.py` decides on it. A seat's `idx`, its position in the event's seat
list, is its name here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, pairwise
from math import hypot
from statistics import median_low

from app.domain.neighbours import runs_of_neighbours
from app.domain.seat import Seat

__all__ = ["Cells", "Ranks", "Seat", "SeatMap"]

SEATS_PER_MAP_MAX = 1 << 20
SEATS_PER_CELL = 4
DISTANCE_STEPS = 1024  # distances are compared in 1/1024 of the map's unit
FIRST_BITS = 20

Ranks = tuple[tuple[int, int], ...]  # (bit of the first seat, rank), best first; a rank is [distance][first seat's idx]


class SeatMap:
    """The seats of one event as runs of neighbours, and how far each is from the focal point. Never changes.

    `distance` of each seat and `pitch`, the usual step between neighbours, are in 1/DISTANCE_STEPS of the map's unit.
    Raises ValueError when a seat's `idx` is not its position, or there are more seats than a rank can hold.
    """

    __slots__ = (
        "_ranks",
        "_totals",
        "cells",
        "distance",
        "focal",
        "grades",
        "pitch",
        "place",
        "runs",
        "seats",
        "widest",
    )

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
        self.runs = tuple(runs_of_neighbours(seats))
        self.place = [(0, 0)] * len(seats)  # idx → (run, bit)
        for number, run in enumerate(self.runs):
            for position, idx in enumerate(run):
                self.place[idx] = (number, 1 << position)
        steps = [step for run in self.runs for step in self._steps(run)]
        self.pitch = max(1, median_low(steps)) if steps else DISTANCE_STEPS
        self.widest = max(steps, default=0)  # step between neighbours
        self.cells = Cells(self.seats)
        self._ranks: dict[int, tuple[Ranks, ...]] = {}
        self._totals: dict[int, list[int]] = {}

    def groups(self, idxs: Collection[int]) -> int:
        """How many groups these seats make, each of neighbours side by side."""
        places = sorted(self.place[idx] for idx in idxs)
        return len(places) - sum(a[0] == b[0] and b[1] == a[1] << 1 for a, b in pairwise(places))

    def _steps(self, run: Sequence[int]) -> list[int]:
        pairs = pairwise(self.seats[idx] for idx in run)
        return [int(hypot(b.x - a.x, b.y - a.y) * DISTANCE_STEPS) for a, b in pairs]

    def totals(self, quantity: int) -> list[int]:
        """For each seat, the distances of the `quantity` neighbours that begin with it, added up; 0 if too few do."""
        if quantity not in self._totals:
            self._totals[quantity] = totals = [0] * len(self.seats)
            for run in self.runs:
                upto = list(accumulate((self.distance[idx] for idx in run), initial=0))
                for start in range(len(run) - quantity + 1):
                    totals[run[start]] = upto[start + quantity] - upto[start]
        return self._totals[quantity]

    def ranks(self, quantity: int) -> tuple[Ranks, ...]:
        """For each run, where `quantity` neighbours may begin: (bit of the first seat, rank), best first."""
        if quantity not in self._ranks:
            totals = self.totals(quantity)
            self._ranks[quantity] = tuple(_ranked(run[: max(0, len(run) - quantity + 1)], totals) for run in self.runs)
        return self._ranks[quantity]

    def group(self, first: int, size: int) -> tuple[int, ...]:
        """The `size` neighbours that begin with a seat."""
        number, bit = self.place[first]
        start = bit.bit_length() - 1
        return self.runs[number][start : start + size]


def _ranked(firsts: Sequence[int], totals: Sequence[int]) -> Ranks:
    ranks = sorted((totals[idx] << FIRST_BITS | idx, 1 << start) for start, idx in enumerate(firsts))
    return tuple((bit, rank) for rank, bit in ranks)


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
