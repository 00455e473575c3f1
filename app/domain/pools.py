"""The free seats of one grade of an event, and where groups of neighbours find room among them.

A run of neighbours is an integer with one bit per free seat, so finding room for a group in it is a few shifts. What
was found is kept per run and quantity, and computed again only for runs whose seats changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.layout import FIRST_BITS, Ranks, SeatMap

ORPHAN_PITCHES = 3  # what a free seat left alone costs each of the group: so many seat widths further from the stage
_FIRST_MASK = (1 << FIRST_BITS) - 1
_NO_RUN = 1 << 80  # more than any rank


class Pool:
    """The seats of one grade, or (grade None) all seats. `free`: of each run the free seats, and `free_cells` of each
    cell, kept by their owner.
    """

    __slots__ = (
        *("_cell_masks", "_free", "_free_cells", "_masks", "_runs"),
        *("grade", "left", "seat_map", "slots", "views"),
    )

    def __init__(self, seat_map: SeatMap, grade: str | None, free: list[int], free_cells: list[int]) -> None:
        self.seat_map = seat_map
        self.grade = grade
        self.left = 0
        self._free, self._free_cells = free, free_cells
        self._masks: list[int] = []  # per slot: the run's seats of this grade
        self._runs: list[int] = []  # per slot: the run
        self.slots: dict[int, int] = {}  # run → slot
        self.views: dict[int, _View] = {}
        self._cell_masks = [0] * len(seat_map.cells.members)  # per cell: the seats of this grade
        for seat, (cell, bit) in zip(seat_map.seats, seat_map.cells.place, strict=True):
            if grade is None or seat.grade == grade:
                self._cell_masks[cell] |= bit
        for number, run in enumerate(seat_map.runs):
            mask = sum(1 << p for p, idx in enumerate(run) if grade is None or seat_map.seats[idx].grade == grade)
            if mask:
                self.slots[number] = len(self._masks)
                self._masks.append(mask)
                self._runs.append(number)

    def best_run(self, quantity: int) -> tuple[int, ...] | None:
        """The `quantity` free neighbours that cost least: their distances from the focal point, and penalties for
        seats left alone. Of equal ones, those with the smallest first idx."""
        rank = min(self._view(quantity).ranks, default=_NO_RUN)
        return None if rank == _NO_RUN else self.seat_map.group(rank & _FIRST_MASK, quantity)

    def longest(self, at_most: int) -> int:
        """The most free neighbours there are, up to so many."""
        sizes = range(min(at_most, self.left), 0, -1)
        return next((size for size in sizes if min(self._view(size).ranks, default=_NO_RUN) < _NO_RUN), 0)

    def stretches(self, size: int) -> int:
        """How many stretches of free neighbours have room for so many."""
        return sum(self._view(size).stretches)

    def runs_with_room(self, size: int) -> list[tuple[int, int]]:
        """The cost of the best place for so many in each run that has one, with the run; cheapest first."""
        ranks = self._view(size).ranks
        return sorted((rank >> FIRST_BITS, self._runs[slot]) for slot, rank in enumerate(ranks) if rank < _NO_RUN)

    def starts(self, run: int, size: int) -> list[int]:
        """The first seat of every place for so many in a run."""
        fits = self._view(size).fits[self.slots[run]]
        return [idx for at, idx in enumerate(self.seat_map.runs[run]) if fits >> at & 1]

    def starts_by_ring(self, x: float, y: float, size: int) -> Iterator[tuple[float, list[int]]]:
        """The same of all runs, in rings around a point, each with the distance within which everything was seen."""
        cells, place, fits = self.seat_map.cells, self.seat_map.place, self._view(size).fits
        for reach, ring in cells.rings(x, y):
            found = []
            for cell in ring:
                bits = self._free_cells[cell] & self._cell_masks[cell]
                while bits:
                    idx = cells.members[cell][bits.bit_length() - 1]
                    bits ^= 1 << (bits.bit_length() - 1)
                    run, bit = place[idx]
                    if fits[self.slots[run]] & bit:
                        found.append(idx)
            yield reach, found

    def cost(self, first: int, size: int) -> int:
        """What it costs a group to sit at its place that begins with this seat."""
        run, bit = self.seat_map.place[first]
        before, behind = _orphan_ends(self._free[run], size)
        orphans = (before & bit != 0) + (behind & bit != 0)
        return self.seat_map.totals(size)[first] + orphans * penalty_of(self.seat_map, size)

    def _view(self, quantity: int) -> _View:
        view = self.views.get(quantity)
        if view is None:
            slots = len(self._masks)
            view = self.views[quantity] = _View([_NO_RUN] * slots, [0] * slots, [0] * slots, set(range(slots)))
        if view.stale:
            ranks, penalty = self.seat_map.ranks(quantity), penalty_of(self.seat_map, quantity)
            for slot in view.stale:
                number = self._runs[slot]
                view.fits[slot] = fits = _starts_of(self._free[number] & self._masks[slot], quantity)
                view.stretches[slot] = (fits & ~(fits << 1)).bit_count()
                view.ranks[slot] = _best_rank(self._free[number], fits, quantity, ranks[number], penalty)
            view.stale.clear()
        return view


@dataclass(slots=True)
class _View:
    """Of each run of a pool, for one quantity: the best rank, where groups may begin, and how many stretches of free
    neighbours have room. Those in `stale` are to be computed again.
    """

    ranks: list[int]
    fits: list[int]
    stretches: list[int]
    stale: set[int]


def stretches_of(free: int) -> Iterator[int]:
    """Each stretch of set bits by itself."""
    while free:
        first = free & -free
        stretch = free & ~(free + first)
        yield stretch
        free ^= stretch


def singles_of(free: int) -> int:
    """The set bits without one beside them."""
    return free & ~(free << 1) & ~(free >> 1)


def _starts_of(free: int, quantity: int) -> int:
    """One bit for each place where `quantity` set bits in a row begin."""
    have = 1
    while have < quantity and free:
        step = min(have, quantity - have)
        free &= free >> step
        have += step
    return free


def penalty_of(seat_map: SeatMap, size: int) -> int:
    """What one free seat left alone costs a group of this size."""
    return ORPHAN_PITCHES * seat_map.pitch * size


def _orphan_ends(free: int, quantity: int) -> tuple[int, int]:
    """One bit for each start of `quantity` neighbours that leaves the free seat before, or behind, them alone."""
    return free << 1 & ~(free << 2), free >> quantity & ~(free >> quantity + 1)


def _best_rank(free: int, fits: int, quantity: int, ranks: Ranks, penalty: int) -> int:
    """The least rank of the starts in `fits`, each with the penalties for the seats that it leaves alone."""
    best = _NO_RUN
    if not fits:
        return best
    before, behind = _orphan_ends(free, quantity)
    for bit, rank in ranks:
        if rank >= best:
            break
        if fits & bit:
            orphans = (before & bit != 0) + (behind & bit != 0)
            best = min(best, rank + (orphans * penalty << FIRST_BITS))
    return best
