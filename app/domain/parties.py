"""Seats for people who cannot all sit side by side: how a party is divided into groups, and where these sit.

The order of preferences is written in docs/decisions/15-best-available.md: nobody alone, few groups, even groups; then
near the stage, near each other, and no free seat left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from math import hypot, inf

from app.domain.layout import DISTANCE_STEPS, SeatMap
from app.domain.pools import ORPHAN_PITCHES, Pool

APART_WEIGHT = 2  # a step away from the first group counts as so many away from the stage
ANCHORS_MAX = 16  # places of the first group for which the others are placed; a hall of usual size never has more
FEW_RUNS = 32  # with room: they are all looked at, instead of ever wider rings around the first group
_ROUNDING = 64  # distances are rounded down before they are added

Point = tuple[float, float]
Shape = tuple[int, ...]  # sizes of groups, largest first
Choice = tuple[int, tuple[int, ...]]  # what a party's places cost, and the first seat of each group


@lru_cache(maxsize=64)
def shapes(quantity: int) -> tuple[Shape, ...]:
    """Every way to divide a party into groups, best first: nobody alone, few groups, no group larger than it must."""
    return tuple(sorted(_divided(quantity, quantity), key=lambda shape: (shape.count(1), len(shape), shape)))


def _divided(quantity: int, largest: int) -> list[Shape]:
    if quantity == 0:
        return [()]
    sizes = range(min(quantity, largest), 0, -1)
    return [(size, *rest) for size in sizes for rest in _divided(quantity - size, size)]


def best_party(pool: Pool, quantity: int) -> tuple[int, ...]:
    """The best seats for so many in several groups, the first group first. The pool must have enough seats.

    Each group of the best shape finds itself in another stretch of free neighbours: two in one stretch would be one
    group. So a shape fits if, for each of its sizes, enough stretches have room.
    """
    shape = next(shape for shape in shapes(quantity) if _fits(pool, shape))
    return _Search(pool, shape).run()


def _fits(pool: Pool, shape: Shape) -> bool:
    return all(pool.stretches(size) > at for at, size in enumerate(shape))


class _Search:
    """For the cheapest places of one shape.

    A place for the first group is skipped if even others right beside it would cost more than the best that is known:
    whoever sits r away from it is at most r nearer to the stage, and the way counts twice.
    """

    def __init__(self, pool: Pool, shape: Shape) -> None:
        self._pool = pool
        self._map: SeatMap = pool.seat_map
        self._first, self._others = shape[0], Counter(shape[1:])  # largest first
        self._followers = sum(shape[1:])
        self._rooms = {size: pool.runs_with_room(size) for size in self._others}
        self._best: tuple[Choice, tuple[int, ...]] | None = None

    def run(self) -> tuple[int, ...]:
        searched = 0
        for cost, run in self._pool.runs_with_room(self._first):
            if self._is_beaten(self._least_of_run(cost)) or searched >= ANCHORS_MAX:
                break
            for first in self._pool.starts(run, self._first):
                own, middle = self._pool.cost(first, self._first), self._middle(first, self._first)
                if not self._is_beaten(own + self._followers * self._from_focal(middle)):
                    self._place_others(first, own, middle)
                    searched += 1
        assert self._best is not None, "the shape fits"
        return self._best[1]

    def _is_beaten(self, least: float) -> bool:
        return self._best is not None and least - _ROUNDING > self._best[0][0]

    def _least_of_run(self, cost: int) -> float:
        """What a party costs at least whose first group sits in a run where it costs at least `cost`."""
        alone = 2 * ORPHAN_PITCHES * self._map.pitch
        return cost + self._followers * max(0.0, cost / self._first - alone - self._first * self._map.widest)

    def _place_others(self, first: int, own: int, middle: Point) -> None:
        total, firsts, seats = own, [first], [*self._map.group(first, self._first)]
        for size, count in self._others.items():
            budget = inf if self._best is None else self._best[0][0] - total
            found = self._nearest(size, count, middle, set(seats), budget)
            if found is None:
                return
            for cost, start in found:
                total += cost
                firsts.append(start)
                seats += self._map.group(start, size)
        choice = total, tuple(firsts)
        if self._best is None or choice < self._best[0]:
            self._best = choice, tuple(seats)

    def _nearest(
        self, size: int, count: int, middle: Point, taken: set[int], budget: float
    ) -> list[tuple[int, int]] | None:
        """The cheapest places for `count` further groups: (cost, first seat). None if they cost more than `budget`.

        The shape fits, so there are as many.
        """
        least = size * (self._from_focal(middle) - size * self._map.widest) - _ROUNDING
        found: list[tuple[int, int]] = []
        for reach, starts in self._starts_around(size, middle):
            found = sorted(found + [(self._cost_from(start, size, middle), start) for start in starts])
            further = least + size * reach * DISTANCE_STEPS  # what a place costs at least that was not looked at yet
            known = [min(cost, further) for cost, _ in found[:count]]
            if sum(known) + (count - len(known)) * further > budget and reach < inf:
                return None
            chosen = self._apart(found, size, count, taken)
            if len(chosen) == count and chosen[-1][0] < further:
                break
        return chosen

    def _starts_around(self, size: int, middle: Point) -> Iterator[tuple[float, list[int]]]:
        rooms = self._rooms[size]
        if len(rooms) > FEW_RUNS:
            return self._pool.starts_by_ring(*middle, size)
        return iter([(inf, [start for _, run in rooms for start in self._pool.starts(run, size)])])

    def _apart(self, found: list[tuple[int, int]], size: int, count: int, taken: set[int]) -> list[tuple[int, int]]:
        """The first `count` of these places that share no seat with each other or with those taken."""
        chosen, taken = [], set(taken)
        for cost, start in found:
            group = self._map.group(start, size)
            if taken.isdisjoint(group):
                chosen.append((cost, start))
                taken.update(group)
                if len(chosen) == count:
                    break
        return chosen

    def _cost_from(self, start: int, size: int, middle: Point) -> int:
        x, y = self._middle(start, size)
        apart = int(hypot(x - middle[0], y - middle[1]) * DISTANCE_STEPS)
        return self._pool.cost(start, size) + APART_WEIGHT * size * apart

    def _middle(self, first: int, size: int) -> Point:
        seats = [self._map.seats[idx] for idx in self._map.group(first, size)]
        return sum(seat.x for seat in seats) / size, sum(seat.y for seat in seats) / size

    def _from_focal(self, point: Point) -> float:
        return hypot(point[0] - self._map.focal[0], point[1] - self._map.focal[1]) * DISTANCE_STEPS
