"""Draws a hall for seats of which only section, row and number are known: sections in tiers, rows behind each other.

Pure, in the drawing units of the seat map. The stage is at the top; floors follow each other away from it, on each the
dearest grades in front; a row keeps the gaps in its numbers, and one too long to be a row is folded.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise

from app.domain.neighbours import counts_in

PITCH = 20.0
ROW_PITCH = 24.0
SEAT_SIZE = 14.0
AISLE = 40.0
MARGIN = 40.0
LABEL_ROOM = 30.0
STAGE_DEPTH = 90.0
AISLE_STEPS = 3  # of a gap in the numbers of a row that has more gap than seats
FOLD_AT = 60  # seats across; a longer row is folded
WIDTH_MIN = 1200.0
WIDTH_TO_DEPTH = 1.6

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spot:
    """A seat to be placed; `rank` counts grades from the dearest."""

    section: str
    row: str
    number: int
    rank: int
    floor: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a page needs beside the seats; the best seats are nearest to `focal`."""

    focal: Point
    layout: dict[str, object]


@dataclass(slots=True)
class _Block:
    """One section: its seats relative to its own corner."""

    name: str
    width: float = 0.0
    depth: float = 0.0
    points: dict[int, Point] = field(default_factory=dict)  # position in the list of spots → point


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `2` before `10`, `A` before `B` and `A` before `AA`."""
    parts = re.findall(r"\d+|\D+", text.casefold())
    return tuple(
        (0, int(p), "") if p.isdecimal() else (1, len(p) if p.isascii() and p.isalpha() else 0, p) for p in parts
    )


def floor_order(floor: str) -> tuple[int, str]:
    """The ground floor first, then upwards, then what is below it."""
    digits = re.search(r"\d+", floor)
    level = int(digits[0]) if digits else 0
    below = floor.casefold().startswith("b") or "지하" in floor
    return (1000 + level if below else level, floor)


def draw(spots: Sequence[Spot]) -> tuple[list[Point], Drawing]:
    """A point for every spot, and the hall around them."""
    blocks = _blocks(spots)
    wide = max(WIDTH_MIN, max(b.width for _, b in blocks), (len(spots) * PITCH * ROW_PITCH) ** 0.5 * WIDTH_TO_DEPTH)
    tiers = list(_tiers(blocks, wide))
    width = max(WIDTH_MIN / 2, *(sum(b.width for b in tier) + AISLE * (len(tier) - 1) for tier in tiers)) + 2 * MARGIN
    points: list[Point] = [(0.0, 0.0)] * len(spots)
    sections: list[dict[str, object]] = []
    top = MARGIN + STAGE_DEPTH + AISLE
    for tier in tiers:
        left = (width - sum(b.width for b in tier) - AISLE * (len(tier) - 1)) / 2
        for block in tier:
            sections.append(_section(block, left, top))
            for at, (x, y) in block.points.items():
                points[at] = (round(left + x, 1), round(top + LABEL_ROOM + y, 1))
            left += block.width + AISLE
        top += LABEL_ROOM + max(b.depth for b in tier) + AISLE
    layout: dict[str, object] = {
        "width": round(width, 1),
        "height": round(top - AISLE + MARGIN, 1),
        "seatSize": SEAT_SIZE,
        "stage": _stage(width),
        "sections": sections,
    }
    return points, Drawing((round(width / 2, 1), MARGIN + STAGE_DEPTH), layout)


def drawn_as_given(
    sections: Sequence[str], points: Sequence[Point], keep: Drawing | None = None
) -> tuple[list[Point], Drawing]:
    """Seats whose points the file tells: moved only if some lie outside the positive quarter, so that reading back a
    map changes nothing. The focal point is before the middle of the front row.
    """
    if keep is not None:
        return list(points), keep
    left, top = min(x for x, _ in points), min(y for _, y in points)
    unit = _unit(points)
    room = unit * MARGIN / PITCH
    dx, dy = (0.0 if left >= 0 else room - left), (0.0 if top >= 0 else room - top)
    moved = [(x + dx, y + dy) for x, y in points]
    right, bottom = max(x for x, _ in moved), max(y for _, y in moved)
    named: dict[str, list[Point]] = {}
    for section, point in zip(sections, moved, strict=True):
        named.setdefault(section, []).append(point)
    layout: dict[str, object] = {
        "width": round(right + max(room, left + dx), 3),
        "height": round(bottom + room, 3),
        "seatSize": round(unit * SEAT_SIZE / PITCH, 3),
        "sections": [_name_over(name, of, unit) for name, of in named.items()],
    }
    return moved, Drawing((round((left + right + dx) / 2, 3), round(top + dy - 2 * unit, 3)), layout)


def _unit(points: Sequence[Point]) -> float:
    """About how far neighbours are apart: the usual step between seats that follow each other."""
    steps = sorted(step for a, b in pairwise(points) if (step := abs(b[0] - a[0]) + abs(b[1] - a[1])) > 0)
    return steps[len(steps) // 2] if steps else PITCH


def _name_over(name: str, points: Sequence[Point], unit: float) -> dict[str, object]:
    x = (min(p[0] for p in points) + max(p[0] for p in points)) / 2
    return {"name": name, "label": name, "x": round(x, 3), "y": round(min(p[1] for p in points) - unit, 3)}


def _blocks(spots: Sequence[Spot]) -> list[tuple[Hashable, _Block]]:
    """Every section with the tier it belongs to, in the order in which they are placed."""
    by_section: dict[str, dict[str, list[int]]] = {}
    for at, spot in enumerate(spots):
        by_section.setdefault(spot.section, {}).setdefault(spot.row, []).append(at)
    placed = []
    for name, rows in by_section.items():
        floor = spots[next(iter(rows.values()))[0]].floor
        rank = min(spots[at].rank for row in rows.values() for at in row)
        placed.append(((floor_order(floor), rank), natural(name), _block(name, rows, spots)))
    placed.sort(key=lambda entry: entry[:2])
    return [(tier, block) for tier, _, block in placed]


def _block(name: str, rows: dict[str, list[int]], spots: Sequence[Spot]) -> _Block:
    """Rows behind each other, each centred."""
    block = _Block(name)
    lines: list[list[tuple[int, int]]] = []  # (position in the list of spots, step from the left)
    for row in sorted(rows, key=natural):
        lines += _folded(_steps(sorted(rows[row], key=lambda at: spots[at].number), spots))
    block.width = max(line[-1][1] for line in lines) * PITCH
    for depth, line in enumerate(lines):
        start = (block.width - line[-1][1] * PITCH) / 2
        for at, step in line:
            block.points[at] = (start + step * PITCH, depth * ROW_PITCH)
    block.depth = (len(lines) - 1) * ROW_PITCH
    return block


def _steps(row: Sequence[int], spots: Sequence[Spot]) -> list[tuple[int, int]]:
    """How far along its row each seat is; a gap in the numbers stays a gap, a narrower one where they are far apart."""
    numbers = [spots[at].number for at in row]
    counts = counts_in(numbers)
    gaps_max = AISLE_STEPS if numbers[-1] - numbers[0] >= 2 * counts * len(row) else numbers[-1] + 1
    steps = [min((b - a) // counts, gaps_max) for a, b in pairwise(numbers)]
    return list(zip(row, accumulate(steps, initial=0), strict=True))


def _folded(row: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for _, part in groupby(row, key=lambda pair: pair[1] // FOLD_AT):
        line = list(part)
        first = line[0][1]
        yield [(at, step - first) for at, step in line]


def _tiers(blocks: Iterable[tuple[Hashable, _Block]], wide: float) -> Iterator[list[_Block]]:
    """Sections side by side while they belong together and there is room."""
    for _, group in groupby(blocks, key=lambda pair: pair[0]):
        tier: list[_Block] = []
        used = 0.0
        for _, block in group:
            if tier and used + AISLE + block.width > wide:
                yield tier
                tier, used = [], 0.0
            used += block.width + (AISLE if tier else 0.0)
            tier.append(block)
        yield tier


def _section(block: _Block, left: float, top: float) -> dict[str, object]:
    edge = PITCH / 2 + 4
    x, y, across = left - edge, top + LABEL_ROOM - edge, block.width + 2 * edge
    return {
        "name": block.name,
        "label": block.name,
        "x": round(left + block.width / 2, 1),
        "y": round(top + 2, 1),
        "path": f"M{x:.1f} {y:.1f}h{across:.1f}v{block.depth + 2 * edge:.1f}h-{across:.1f}Z",
    }


def _stage(width: float) -> dict[str, object]:
    across = min(width * 0.4, 600.0)
    x = (width - across) / 2
    return {
        "x": round(x, 1),
        "y": MARGIN,
        "width": round(across, 1),
        "height": STAGE_DEPTH,
        "labelX": round(width / 2, 1),
        "labelY": MARGIN + STAGE_DEPTH / 2,
        "path": f"M{x:.1f} {MARGIN:.1f}h{across:.1f}v{STAGE_DEPTH:.1f}h-{across:.1f}Z",
    }
