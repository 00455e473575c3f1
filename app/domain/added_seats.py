"""Where seats that are added to a hall stand, and whether they may. Pure.

Seats that were there keep their positions in the list, which is what reservations name; new ones follow them. A seat
without a point goes on along its row, a new row goes on as the rows before it do, also on an arc, and a new section
stands behind the hall.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor, hypot
from typing import Any

from app.domain.hall import PITCH, ROW_PITCH, Point, natural
from app.domain.neighbours import steps_of, usual_step
from app.domain.seat import Seat
from app.domain.seatplan import SEATS_MAX

ADDED_MAX = 1_000  # seats at a time
NEW_SECTION_ROWS = 3  # so many rows behind the hall
NAMED_MAX = 20  # seats that a refusal names


class WhyNot(StrEnum):
    """Why seats are not added."""

    twice = "twice"  # there is such a seat, or two of the new ones are the same
    point_taken = "point_taken"  # another seat stands where they belong, or it is outside of the drawing
    grade = "grade"  # the event has no such grade
    too_many = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeat:
    """`point`: None puts it where its row goes on. `name`: what is written on it, if not its number."""

    section: str
    row: str
    number: int
    grade: str
    name: str = ""
    marks: tuple[str, ...] = ()
    point: Point | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """`seats`: the first of those that are the reason."""

    why: WhyNot
    seats: Sequence[NewSeat] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """The new seats with their positions, and the hall's drawing with room for them."""

    seats: list[Seat]
    layout: dict[str, Any]


def add(
    hall: Sequence[Seat], layout: Mapping[str, Any], grades: Collection[str], wanted: Sequence[NewSeat]
) -> Added | Refusal:
    """Put the new seats into the hall, in their order; or why not, and then none of them."""
    if len(wanted) > ADDED_MAX or len(hall) + len(wanted) > SEATS_MAX:
        return Refusal(WhyNot.too_many)
    places, twice = {(seat.section, seat.row, seat.number) for seat in hall}, []
    for new in wanted:
        place = (new.section, new.row, new.number)
        if place in places:
            twice.append(new)
        places.add(place)
    if unknown := [new for new in wanted if new.grade not in grades]:
        return Refusal(WhyNot.grade, unknown[:NAMED_MAX])
    if twice:
        return Refusal(WhyNot.twice, twice[:NAMED_MAX])
    drawn = _Drawn(hall)
    crowded = [new for new in wanted if not drawn.put(new)]
    if crowded:
        return Refusal(WhyNot.point_taken, crowded[:NAMED_MAX])
    return Added(drawn.made, drawn.with_room(layout))


class _Drawn:
    """The hall with the seats that were put into it so far."""

    def __init__(self, hall: Sequence[Seat]) -> None:
        self.made: list[Seat] = []
        self._first = len(hall)
        self._rows: dict[str, dict[str, list[Seat]]] = {}  # by section
        for seat in hall:
            self._rows.setdefault(seat.section, {}).setdefault(seat.row, []).append(seat)
        self._sections = set(self._rows)
        by_number = [sorted(row, key=lambda seat: seat.number) for rows in self._rows.values() for row in rows.values()]
        self._step = usual_step([step for row in by_number for step in steps_of(row) if step]) or PITCH
        self._row_step = self._step * ROW_PITCH / PITCH
        self._taken: dict[tuple[int, int], list[Point]] = {}  # by square, as wide as a step
        for seat in hall:
            self._take((seat.x, seat.y))

    def put(self, new: NewSeat) -> bool:
        """Whether there is room where it belongs."""
        x, y = new.point or self._where(new)
        has_room = x >= 0 and y >= 0 and self._is_free((x, y))
        self._take((x, y))
        idx = self._first + len(self.made)
        seat = Seat(idx, new.section, new.row, new.number, new.grade, 0, x, y, new.name, new.marks)
        self._rows.setdefault(seat.section, {}).setdefault(seat.row, []).append(seat)
        self.made.append(seat)
        return has_room

    def _where(self, new: NewSeat) -> Point:
        was = self._rows.get(new.section, {})
        rows = {name: row for name, row in was.items() if new.section not in self._sections or row[0].idx < self._first}
        if not rows:
            points = [point for square in self._taken.values() for point in square] or [(PITCH, 0.0)]
            return _rounded((min(x for x, _ in points), max(y for _, y in points) + NEW_SECTION_ROWS * self._row_step))
        if new.row in rows:
            return _rounded(self._along(rows[new.row], new.number))
        return _rounded(self._in_new_row(rows, new))

    def _in_new_row(self, rows: Mapping[str, Sequence[Seat]], new: NewSeat) -> Point:
        """As far from the last row as that is from the one before it, or between two rows, by the rows' names."""
        names = sorted(rows, key=natural)
        at = bisect([natural(name) for name in names], natural(new.row))
        if 0 < at < len(names):
            (ax, ay), (bx, by) = (self._along(rows[name], new.number) for name in names[at - 1 : at + 1])
            return (ax + bx) / 2, (ay + by) / 2
        ordered = names if at else names[::-1]
        x, y = self._along(rows[ordered[-1]], new.number)
        if len(ordered) < 2:
            return x, y + (self._row_step if at else -self._row_step)
        before_x, before_y = self._along(rows[ordered[-2]], new.number)
        return 2 * x - before_x, 2 * y - before_y

    def _take(self, point: Point) -> None:
        self._taken.setdefault(self._square(point), []).append(point)

    def _is_free(self, point: Point) -> bool:
        """Whether no seat is nearer than half a step."""
        column, row = self._square(point)
        around = [(column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        near = [other for square in around for other in self._taken.get(square, ())]
        return all(hypot(point[0] - x, point[1] - y) >= self._step / 2 for x, y in near)

    def _square(self, point: Point) -> tuple[int, int]:
        return floor(point[0] / self._step), floor(point[1] / self._step)

    def _along(self, row: Sequence[Seat], number: int) -> Point:
        """Where the row has, or would have, this number: as its seats of the same parity go on, if there are two."""
        alike = [seat for seat in row if (seat.number - number) % 2 == 0]
        near = sorted(alike if len(alike) > 1 else row, key=lambda seat: (abs(seat.number - number), seat.number))
        a, b = near[0], near[min(1, len(near) - 1)]
        apart = a.number - b.number
        dx, dy = ((a.x - b.x) / apart, (a.y - b.y) / apart) if apart else (self._step, 0.0)
        return a.x + dx * (number - a.number), a.y + dy * (number - a.number)

    def with_room(self, layout: Mapping[str, Any]) -> dict[str, Any]:
        """The drawing, wide and deep enough for the new seats, with the names of new sections."""
        room = 2 * self._step
        size = {
            name: max(float(layout[name]), max((value for value in values), default=0.0) + room)
            for name, values in (("width", [seat.x for seat in self.made]), ("height", [seat.y for seat in self.made]))
            if name in layout
        }
        labels = list(layout.get("sections") or ())
        for section, rows in self._rows.items():
            if section not in self._sections:
                seats = [seat for row in rows.values() for seat in row]
                x, y = (min(s.x for s in seats) + max(s.x for s in seats)) / 2, min(s.y for s in seats) - self._row_step
                labels.append({"name": section, "label": section, "x": round(x, 3), "y": round(y, 3)})
        return {**layout, **size, **({"sections": labels} if labels else {})}


def _rounded(point: Point) -> Point:
    return round(point[0], 3), round(point[1], 3)
