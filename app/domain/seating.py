"""Which seats answer a wish: best available, decided in memory.

The allocator owns an event's `Availability`; nobody else may decide. The same seats, the same status and the same wish
always give the same answer. A run of neighbours is an integer with one bit per free seat, so finding room for a group
in it is a few shifts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.layout import DISTANCE_BITS, FIRST_BITS, Ranks, Seat, SeatMap
from app.domain.wish import Wish

__all__ = ["Availability", "Seat", "SeatMap"]

_FIRST_MASK = (1 << FIRST_BITS) - 1
_ORPHAN = 1 << (FIRST_BITS + DISTANCE_BITS)  # a rank with this bit leaves a free seat alone
_NO_RUN = _ORPHAN << 1


class Availability:
    """Which seats of a map are free now. `status` is only read here: 0 is free, anything else is not."""

    __slots__ = ("_cells", "_free", "_pools", "_pools_of_run", "seat_map")

    def __init__(self, seat_map: SeatMap, status: bytes | bytearray) -> None:
        if len(status) != len(seat_map.seats):
            raise ValueError(f"{len(status)} statuses for {len(seat_map.seats)} seats")
        self.seat_map = seat_map
        self._free = [0] * len(seat_map.runs)
        self._cells = [0] * len(seat_map.cells.members)
        self._pools = {grade: _Pool(seat_map, grade) for grade in (None, *seat_map.grades)}
        self._pools_of_run = [
            tuple(pool for pool in self._pools.values() if number in pool.slots) for number in range(len(seat_map.runs))
        ]
        self.give_back([idx for idx, taken in enumerate(status) if not taken])

    def choose(self, wish: Wish) -> tuple[int, ...] | None:
        """The best free seats for a wish, or None if no grade it accepts has enough. Nothing is taken.

        The first grade with enough seats decides; no grade means all of them as one. Within it: neighbours that leave
        no free seat alone beside them, else neighbours, else (or unless `adjacent`) seats close to each other; nearest
        to the focal point first, then the smallest idx.
        """
        for grade in wish.grades or (None,):
            pool = self._pools.get(grade)
            if pool is None or pool.left < wish.quantity:
                continue
            if wish.adjacent:
                found = pool.best_run(wish.quantity, self._free)
                if found is not None:
                    return found
            return self._together(pool, wish)
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
        run, bit = self.seat_map.place[idx]
        return self._free[run] & bit != 0

    def left(self) -> dict[str, int]:
        """Free seats per grade, sold-out grades included."""
        return {grade: pool.left for grade, pool in self._pools.items() if grade is not None}

    def _flip(self, idx: int, change: int) -> None:
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

    def _together(self, pool: _Pool, wish: Wish) -> tuple[int, ...]:
        """The longest run there is (unless `adjacent` the best single seat) and the seats nearest to its middle."""
        start: tuple[int, ...] | None = None
        longest = wish.quantity - 1 if wish.adjacent else 1
        for length in range(longest, 0, -1):
            start = pool.best_run(length, self._free)
            if start is not None:
                break
        assert start is not None, "a pool with seats left has a run of one"
        return start + self._nearest(pool, start, wish.quantity - len(start))

    def _nearest(self, pool: _Pool, start: tuple[int, ...], count: int) -> tuple[int, ...]:
        """`count` free seats nearest to the middle of `start`, searching the cells around it ring by ring."""
        seats, cells = self.seat_map.seats, self.seat_map.cells
        x = (seats[start[0]].x + seats[start[-1]].x) / 2
        y = (seats[start[0]].y + seats[start[-1]].y) / 2
        found: list[tuple[float, int]] = []
        enough = count + len(start)
        for reach, ring in cells.rings(x, y):
            for cell in ring:
                bits = self._cells[cell] & pool.cells[cell]
                while bits:
                    idx = cells.members[cell][bits.bit_length() - 1]
                    bits ^= 1 << (bits.bit_length() - 1)
                    seat = seats[idx]
                    found.append(((seat.x - x) ** 2 + (seat.y - y) ** 2, idx))
            found.sort()
            if len(found) >= enough and found[enough - 1][0] < reach * reach:
                break
        return tuple([idx for _, idx in found if idx not in start][:count])


class _Pool:
    """The seats of one grade, or (grade None) all seats."""

    __slots__ = ("_map", "_runs", "cells", "grade", "left", "masks", "slots", "views")

    def __init__(self, seat_map: SeatMap, grade: str | None) -> None:
        self._map = seat_map
        self.grade = grade
        self.left = 0
        self.masks: list[int] = []  # per slot: the run's seats of this grade
        self._runs: list[int] = []  # per slot: the run
        self.slots: dict[int, int] = {}  # run → slot
        self.views: dict[int, _View] = {}
        self.cells = [0] * len(seat_map.cells.members)  # per cell: the seats of this grade
        for seat, (cell, bit) in zip(seat_map.seats, seat_map.cells.place, strict=True):
            if grade is None or seat.grade == grade:
                self.cells[cell] |= bit
        for number, run in enumerate(seat_map.runs):
            mask = sum(1 << p for p, idx in enumerate(run) if grade is None or seat_map.seats[idx].grade == grade)
            if mask:
                self.slots[number] = len(self.masks)
                self.masks.append(mask)
                self._runs.append(number)

    def best_run(self, quantity: int, free: list[int]) -> tuple[int, ...] | None:
        """The best `quantity` neighbours, avoiding those that leave an orphan if any others exist."""
        view = self.views.get(quantity)
        if view is None:
            view = self.views[quantity] = _View([_NO_RUN] * len(self.masks), set(range(len(self.masks))))
        if view.stale:
            self._refresh(view, quantity, free)
        rank = min(view.ranks, default=_NO_RUN)
        if rank == _NO_RUN:
            return None
        number, bit = self._map.place[rank & _FIRST_MASK]
        start = bit.bit_length() - 1
        return self._map.runs[number][start : start + quantity]

    def _refresh(self, view: _View, quantity: int, free: list[int]) -> None:
        ranks = self._map.ranks(quantity)
        for slot in view.stale:
            number = self._runs[slot]
            view.ranks[slot] = _best_rank(free[number], self.masks[slot], quantity, ranks[number])
        view.stale.clear()


@dataclass(slots=True)
class _View:
    """The best rank of each run of a pool for one quantity; those in `stale` are to be computed again."""

    ranks: list[int]
    stale: set[int]


def _best_rank(free: int, mask: int, quantity: int, ranks: Ranks) -> int:
    """The rank of a run's best `quantity` neighbours within `mask`; the whole of `free` tells what is left alone."""
    fits = _starts(free & mask, quantity)
    if not fits:
        return _NO_RUN
    alone_before = free << 1 & ~(free << 2)
    alone_after = free >> quantity & ~(free >> quantity + 1)
    calm = fits & ~alone_before & ~alone_after
    wanted, penalty = (calm, 0) if calm else (fits, _ORPHAN)
    for bit, rank in ranks:
        if wanted & bit:
            return rank + penalty
    raise AssertionError("a start that fits has a rank")


def _starts(free: int, quantity: int) -> int:
    """One bit for each place where `quantity` set bits in a row begin."""
    have = 1
    while have < quantity and free:
        step = min(have, quantity - have)
        free &= free >> step
        have += step
    return free
