"""Seat plans drawn with a compass: rows on arcs around the stage, cut into sections by aisles.

Pure data for the demo events: the same hall every time, coordinates in drawing units with the origin at the top left,
rounded to a tenth. Knows nothing about sales; a plan may be replaced by any list of seats with coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, floor, radians, sin

SEAT_SIZE = 14.0
SEAT_PITCH = 20.0
ROW_PITCH = 24.0
AISLE = 34.0  # between sections
MARGIN = 40.0
LABEL_GAP = 26.0  # from a section's first row to its name

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PlannedSeat:
    section: str
    row: str
    number: int
    grade: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Tier:
    """Rows of one grade, `radius` from the centre of the arcs on, spread over `half_angle` degrees to either side.

    `sections` are named from the left as seen by someone facing the stage. `seats_per_row` fixes the seats of a
    section's row; otherwise as many as there is room for.
    """

    grade: str
    sections: Sequence[str]
    rows: int
    radius: float
    half_angle: float
    seats_per_row: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A rectangle `depth` deep whose front edge is `front` away from the centre of the arcs."""

    width: float
    depth: float
    front: float
    thrust: float = 0.0  # the front bulges this far towards the audience


@dataclass(frozen=True, slots=True)
class Hall:
    """`layout` is what a page needs to draw it; the best seats are nearest to `focal`."""

    seats: tuple[PlannedSeat, ...]
    focal: Point
    layout: dict[str, object]


def build(stage: Stage, tiers: Sequence[Tier]) -> Hall:
    """Place every seat, then move the whole drawing into the positive quarter."""
    placed = [seat for tier in tiers for seat in _seats(tier)]
    edge = min(min(s.x for s in placed), -stage.width / 2)
    left = float(floor(edge - MARGIN))  # whole, so that both sides round alike
    top = stage.front - stage.depth - MARGIN
    right = -left
    bottom = max(s.y for s in placed) + MARGIN
    seats = tuple(
        PlannedSeat(s.section, s.row, s.number, s.grade, round(s.x - left, 1), round(s.y - top, 1)) for s in placed
    )
    layout: dict[str, object] = {
        "width": round(right - left, 1),
        "height": round(bottom - top, 1),
        "seatSize": SEAT_SIZE,
        "stage": _stage(stage, left, top),
        "sections": [section for tier in tiers for section in _sections(tier, left, top)],
    }
    return Hall(seats, (round(-left, 1), round(stage.front - top, 1)), layout)


def _seats(tier: Tier) -> Iterator[PlannedSeat]:
    for section, middle in _wedges(tier):
        for depth in range(tier.rows):
            radius = tier.radius + depth * ROW_PITCH
            count = tier.seats_per_row or _room_for(tier, radius)
            for place in range(count):
                angle = middle + (place - (count - 1) / 2) * SEAT_PITCH / radius
                x, y = _at(radius, angle)
                yield PlannedSeat(section, str(depth + 1), place + 1, tier.grade, x, y)


def _room_for(tier: Tier, radius: float) -> int:
    return floor((radius * _wedge(tier) - AISLE + SEAT_PITCH) / SEAT_PITCH)


def _wedge(tier: Tier) -> float:
    """The angle of one section, in radians."""
    return radians(2 * tier.half_angle) / len(tier.sections)


def _wedges(tier: Tier) -> Iterator[tuple[str, float]]:
    """Each section with the angle of its middle: 0 is straight ahead of the stage, negative is left."""
    for place, section in enumerate(tier.sections):
        yield section, (place + 0.5) * _wedge(tier) - radians(tier.half_angle)


def _at(radius: float, angle: float) -> Point:
    return radius * sin(angle), radius * cos(angle)


def _sections(tier: Tier, left: float, top: float) -> Iterator[dict[str, object]]:
    """Where each section's name goes and the outline to draw behind its seats."""
    near, far = tier.radius - ROW_PITCH / 2, tier.radius + (tier.rows - 0.5) * ROW_PITCH
    for section, middle in _wedges(tier):
        corners = []
        for radius, row in ((near, tier.radius), (far, tier.radius + (tier.rows - 1) * ROW_PITCH)):
            half = (tier.seats_per_row or _room_for(tier, row)) * SEAT_PITCH / 2 / row
            corners.append([_at(radius, middle + side * half) for side in (-1, 1)])
        (a, b), (d, c) = ([(x - left, y - top) for x, y in pair] for pair in corners)
        x, y = _at(tier.radius - LABEL_GAP, middle)
        yield {
            "name": section,
            "label": section,
            "grade": tier.grade,
            "x": round(x - left, 1),
            "y": round(y - top, 1),
            "path": f"M{_pair(a)}A{near:g} {near:g} 0 0 0 {_pair(b)}L{_pair(c)}A{far:g} {far:g} 0 0 1 {_pair(d)}Z",
        }


def _stage(stage: Stage, left: float, top: float) -> dict[str, object]:
    x, y = -stage.width / 2 - left, stage.front - stage.depth - top
    bulge = f"Q{_pair((-left, y + stage.depth + 2 * stage.thrust))} {_pair((x, y + stage.depth))}"
    return {
        "x": round(x, 1),
        "y": round(y, 1),
        "width": stage.width,
        "height": stage.depth,
        "labelX": round(-left, 1),
        "labelY": round(y + stage.depth / 2, 1),
        "path": f"M{_pair((x, y))}h{stage.width:g}v{stage.depth:g}{bulge}Z",
    }


def _pair(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
