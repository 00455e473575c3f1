"""A seat map as the lines of a file, which reads back to the same map and which no spreadsheet runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.labels import Dimension, bare
from app.domain.seatfile import LITERAL, clean
from app.domain.seatplan import SeatPlan
from app.domain.seatvalues import is_total, unwrapped, whole_part

RISKY = "=+-@'"  # what a spreadsheet would take for a formula, or we for a literal's mark


def written(kind: str, text: str) -> str:
    """A stored value as a file tells it, so that reading it gives the same value and no spreadsheet runs it."""
    changed = unwrapped(clean(text)) != text or whole_part(text) != text
    changed |= is_total(text) or (kind in Dimension.__members__ and bare(Dimension(kind), text) not in (None, text))
    return f"{LITERAL}{text}" if changed or not text or text[0] in RISKY else text


def rows_of(plan: SeatPlan) -> Iterator[tuple[str, ...]]:
    """The map as lines of a file that `read_plan` reads back to the same map."""
    yield ("grade", "section", "row", "number", "price", "x", "y", "status", "type")
    for seat in plan.seats:
        texts = (written(kind, getattr(seat, kind)) for kind in ("grade", "section", "row"))
        status = "blocked" if seat.idx in plan.blocked else "available"
        number = seat.name or str(seat.number)
        yield (*texts, number, str(seat.price), repr(seat.x), repr(seat.y), status, "+".join(seat.marks))
