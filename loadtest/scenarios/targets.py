"""What the scenarios must reach, and the table that says whether they did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.scenarios.tools import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value beside its target: `at_least`, `below`, or `exactly`."""

    scenario: str
    what: str
    value: float
    unit: str = ""
    at_least: float | None = None
    below: float | None = None
    exactly: float | None = None

    @property
    def met(self) -> bool:
        return (
            (self.at_least is None or self.value >= self.at_least)
            and (self.below is None or self.value < self.below)
            and (self.exactly is None or self.value == self.exactly)
        )

    @property
    def target(self) -> str:
        for word, bound in (("at least", self.at_least), ("below", self.below), ("exactly", self.exactly)):
            if bound is not None:
                return f"{word} {_text(bound)} {self.unit}".rstrip()
        return ""


def errors_percent(load: Load, expected: Iterable[int] = ()) -> float:
    """Requests without a whole answer or with one that is neither 2xx nor expected, in percent."""
    fine = sum(count for code, count in load.statuses.items() if code in set(expected))
    return 100 * (load.failed + load.refused - fine) / max(1, load.requests)


def read_figures(scenario: str, load: Load, *, mean_ms: float, p95_ms: float, per_s: float) -> list[Figure]:
    return [
        Figure(scenario=scenario, what="mean", value=load.mean_ms, unit="ms", below=mean_ms),
        Figure(scenario=scenario, what="95 % within", value=load.p95_ms, unit="ms", below=p95_ms),
        Figure(scenario=scenario, what="requests", value=load.per_s, unit="/s", at_least=per_s),
    ]


def table(figures: Sequence[Figure]) -> str:
    cells = [("scenario", "figure", "measured", "target", "")]
    cells += [(f.scenario, f.what, f"{_text(f.value)} {f.unit}".rstrip(), f.target, _verdict(f)) for f in figures]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = []
    for scenario, what, value, target, verdict in cells:
        left = f"{scenario:<{widths[0]}}  {what:<{widths[1]}}  {value:>{widths[2]}}"
        lines.append(f"{left}  {target:<{widths[3]}}  {verdict}".rstrip())
    return "\n".join(lines)


def _verdict(figure: Figure) -> str:
    return ("met" if figure.met else "MISSED") if figure.target else ""


def _text(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:,.0f}"
