"""One seat of a hall."""

from __future__ import annotations

from dataclasses import dataclass

KEPT_MARKS = frozenset({"wheelchair", "companion"})


@dataclass(frozen=True, slots=True)
class Seat:
    """`idx` is its position in the event's seat list, `number` counts along its row, x and y are in the map's unit.

    `name`: what is written on the seat, where that is not its number (`12A`, `2bis`). `marks`: what a buyer must know.
    """

    idx: int
    section: str
    row: str
    number: int
    grade: str
    price: int
    x: float
    y: float
    name: str = ""
    marks: tuple[str, ...] = ()

    @property
    def is_asked_for(self) -> bool:
        """Whether it is for those who choose this very seat, because they need it: best available never gives it."""
        return not KEPT_MARKS.isdisjoint(self.marks)
