"""A seat map drawn by the server, for pages that must show it without a script: dots by grade, sections by name.

Pure. Every seat of one grade is a dot on one path, which keeps a page of twenty thousand seats small; a larger map is
drawn as its sections alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.seatplan import SeatPlan

SEATS_DRAWN_MAX = 20_000
SECTIONS_DRAWN_MAX = 300
COLOURS = 8
DOT = 16.0  # of a seat, where neighbours are 20 apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`dots`: (colour, path) per grade; `sections`: outlines and names."""

    width: float
    height: float
    dot: float
    type_size: float
    dots: list[tuple[int, str]]
    sections: list[Mapping[str, Any]]
    stage: Mapping[str, Any] | None


def preview(plan: SeatPlan) -> Preview | None:
    """The drawing; None for a map without seats."""
    if not plan.seats:
        return None
    layout: Mapping[str, Any] = plan.drawing.layout
    width = float(layout.get("width") or max(seat.x for seat in plan.seats) + DOT)
    height = float(layout.get("height") or max(seat.y for seat in plan.seats) + DOT)
    paths: dict[str, list[str]] = {grade: [] for grade in plan.grades}
    if len(plan.seats) <= SEATS_DRAWN_MAX:
        for seat in plan.seats:
            paths.setdefault(seat.grade, []).append(f"M{seat.x:g} {seat.y:g}h0")
    sections = layout.get("sections") or []
    stage = layout.get("stage")
    return Preview(
        width=width,
        height=height,
        dot=float(layout.get("seatSize") or DOT),
        type_size=round(max(width, height) / 60, 2),
        dots=[(place % COLOURS, "".join(path)) for place, path in enumerate(paths.values()) if path],
        sections=[each for each in sections if isinstance(each, Mapping)][:SECTIONS_DRAWN_MAX],
        stage=stage if isinstance(stage, Mapping) and "path" in stage else None,
    )
