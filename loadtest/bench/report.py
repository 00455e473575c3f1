"""What was measured, as a table a person can read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Say = Callable[[str], None]


class BenchError(Exception):
    """A measure cannot be taken here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. The bar is what it must reach (`at_least`) or stay under (`at_most`); without one it is context."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def meets_bar(self) -> bool:
        return not (
            (self.at_least is not None and self.value < self.at_least)
            or (self.at_most is not None and self.value > self.at_most)
        )

    @property
    def bar(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{_number(self.at_least)} to {_number(self.at_most)}"
        if self.at_least is not None:
            return f"at least {_number(self.at_least)}"
        return f"at most {_number(self.at_most)}" if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        if not self.bar:
            return self.note
        said = "meets it" if self.meets_bar else "below the bar"
        return f"{said}; {self.note}" if self.note else said


def _number(value: float) -> str:
    if value and abs(value) < 10:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:,.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:,.0f}"


def table(rows: Sequence[Row]) -> str:
    """The rows in columns, with a line on what they come to."""
    cells = [(row.what, f"{_number(row.value)} {row.unit}", row.bar, row.verdict) for row in rows]
    cells.insert(0, ("measure", "measured", "bar", ""))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [
        f"{what:<{widths[0]}}  {value:>{widths[1]}}  {bar:<{widths[2]}}  {verdict}".rstrip()
        for what, value, bar, verdict in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    held = [row for row in rows if row.bar]
    below = sum(not row.meets_bar for row in held)
    lines += ["", f"{len(held) - below} of {len(held)} bars met." if held else "No bars were measured."]
    return "\n".join(lines)


def progress(line: str) -> None:
    """Tell whoever watches what is being done."""
    print(f"  {line}", file=sys.stderr, flush=True)
