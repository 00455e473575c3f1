"""Which seats answer a wish: best available, decided in memory, by the order of preferences of
docs/decisions/15-best-available.md.

The allocator owns an event's `Availability`; nobody else may decide. The same seats, the same status and the same wish
always give the same answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from app.domain.layout import Seat, SeatMap
from app.domain.parties import best_party
from app.domain.pools import Pool, singles_of, stretches_of
from app.domain.wish import Wish

__all__ = ["Availability", "Seat", "SeatMap"]


class Availability:
    """Which seats of a map are free now. `status` is only read here: 0 is free, anything else is not.

    Seats for wheelchairs and companions are for those who choose them: to everybody else they are as good as taken.
    """

    __slots__ = ("_cells", "_free", "_kept_free", "_pools", "_pools_of_run", "seat_map")

    def __init__(self, seat_map: SeatMap, status: bytes | bytearray) -> None:
        if len(status) != len(seat_map.seats):
            raise ValueError(f"{len(status)} statuses for {len(seat_map.seats)} seats")
        self.seat_map = seat_map
        self._free = [0] * len(seat_map.runs)  # of each run the free seats that best available may give
        self._kept_free: set[int] = set()  # the others that are free
        self._cells = [0] * len(seat_map.cells.members)
        self._pools = {grade: Pool(seat_map, grade, self._free, self._cells) for grade in (None, *seat_map.grades)}
        self._pools_of_run = [
            tuple(pool for pool in self._pools.values() if number in pool.slots) for number in range(len(seat_map.runs))
        ]
        self.give_back([idx for idx, taken in enumerate(status) if not taken])

    def choose(self, wish: Wish) -> tuple[int, ...] | None:
        """The best free seats for a wish, or None if no grade it accepts has them. Nothing is taken.

        The first grade that has them decides; no grade means all of them as one.
        """
        for grade in wish.grades or (None,):
            pool = self._pools.get(grade)
            if pool is None or pool.left < wish.quantity:
                continue
            if not wish.adjacent:
                return self._around(pool, wish.quantity)
            found = pool.best_run(wish.quantity)
            if found is None and not wish.is_required:
                found = best_party(pool, wish.quantity)
            if found is not None:
                return found
        return None

    def take(self, idxs: Iterable[int]) -> None:
        """These seats are no longer free. Each must have been."""
        for idx in idxs:
            assert self.is_free(idx), f"seat {idx} is taken already"
            self._flip(idx, -1)

    def give_back(self, idxs: Iterable[int]) -> None:
        """These seats are free again. Each must have been taken."""
        for idx in idxs:
            assert not self.is_free(idx), f"seat {idx} is free already"
            self._flip(idx, 1)

    def is_free(self, idx: int) -> bool:
        if self.seat_map.seats[idx].is_asked_for:
            return idx in self._kept_free
        run, bit = self.seat_map.place[idx]
        return self._free[run] & bit != 0

    def singles(self, idxs: Collection[int]) -> tuple[tuple[int, ...], bool]:
        """The free seats that would be left alone if these free ones were taken, and whether that is needless: as many
        could be taken of the same stretch of free neighbours without leaving one alone.

        A seat for a wheelchair or a companion is no neighbour of the others: it may stay alone.
        """
        alone: list[int] = []
        needless = False
        for run in {self.seat_map.place[idx][0] for idx in idxs}:
            bits = sum(self.seat_map.place[idx][1] for idx in idxs if self.seat_map.place[idx][0] == run)
            for stretch in stretches_of(self._free[run]):
                taken = bits & stretch
                lonely = singles_of(stretch & ~taken) if taken else 0
                alone += [idx for at, idx in enumerate(self.seat_map.runs[run]) if lonely >> at & 1]
                needless |= bool(lonely) and (stretch & ~taken).bit_count() != 1
        return tuple(sorted(alone)), needless

    def left(self) -> dict[str, int]:
        """Free seats per grade that best available may give, sold-out grades included."""
        return {grade: pool.left for grade, pool in self._pools.items() if grade is not None}

    def left_together(self, below: int) -> dict[str, int]:
        """The most free neighbours per grade, as far as there are fewer than `below`."""
        return {grade: pool.longest(below - 1) for grade, pool in self._pools.items() if grade is not None}

    def _flip(self, idx: int, change: int) -> None:
        if self.seat_map.seats[idx].is_asked_for:
            self._kept_free ^= {idx}
            return
        run, bit = self.seat_map.place[idx]
        self._free[run] ^= bit
        cell, cell_bit = self.seat_map.cells.place[idx]
        self._cells[cell] ^= cell_bit
        grade = self.seat_map.seats[idx].grade
        for pool in self._pools_of_run[run]:
            if pool.grade is None or pool.grade == grade:
                pool.left += change
            for view in pool.views.values():  # another grade's run changes too: its neighbours did
                view.stale.add(pool.slots[run])

    def _around(self, pool: Pool, count: int) -> tuple[int, ...]:
        """The best single seat and the free seats nearest to it, searching the cells around it ring by ring."""
        start = pool.best_run(1)
        assert start is not None, "a pool with seats left has a run of one"
        seats = self.seat_map.seats
        x, y = seats[start[0]].x, seats[start[0]].y
        found: list[tuple[float, int]] = []
        for reach, ring in pool.starts_by_ring(x, y, 1):
            found += [((seats[idx].x - x) ** 2 + (seats[idx].y - y) ** 2, idx) for idx in ring]
            found.sort()
            if len(found) >= count and found[count - 1][0] < reach * reach:
                break
        return start + tuple([idx for _, idx in found if idx not in start][: count - 1])
