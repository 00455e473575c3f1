"""From the lines of a seat file to a seat map: grades with prices, every seat's place, and every line that is wrong.

Pure. Nothing is guessed silently: what a label's parts were taken for is told beside the plan, a grade without a price
is an error, and a plan with one bad line is no plan at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from app.domain.hall import Drawing, Spot, draw, drawn_as_given
from app.domain.labels import PARTS_MAX, Dimension, Scheme, bare, find_scheme
from app.domain.layout import Seat
from app.domain.seatfile import LITERAL, Sheet, clean
from app.domain.seatfile_errors import BadLine, Faults

SEATS_MAX = 100_000
GRADES_MAX = 50
SECTIONS_MAX = 2_000
NUMBER_MAX = 99_999
PRICE_MAX = 100_000_000
COORDINATE_MAX = 100_000.0
LENGTH_MAX = {"label": 200, "grade": 40, "section": 40, "floor": 20, "row": 20}
TEXTS = ("grade", "floor", "section", "row")
RISKY = "=+-@'"  # what a spreadsheet would take for a formula, or we for a literal's mark

_PRICE = re.compile(r"[₩￦\\]?\s*(\d[\d,]*)(?:\.0+)?\s*(?:원|krw|won)?", re.IGNORECASE)
_NUMBER = re.compile(r"#?(\d{1,9})(?:\.0+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is known besides the file. `grades`: the event's own, in order; `prices`: said with the upload.

    `grade`: of seats whose line names none. `order`: what a label's parts name. `current`: the map to be replaced.
    """

    grades: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, int] = field(default_factory=dict)
    grade: str = ""
    order: Sequence[Dimension] = ()
    current: Sequence[Seat] = ()
    drawing: Drawing | None = None  # of `current`


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionCount:
    name: str
    rows: int
    seats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """A whole map, ready to be stored: `seats` in the file's order."""

    grades: dict[str, int]
    seats: list[Seat]
    drawing: Drawing

    def by_grade(self) -> Counter[str]:
        return Counter(seat.grade for seat in self.seats)

    def sections(self) -> list[SectionCount]:
        return count_sections(self.seats)


def count_sections(seats: Sequence[Seat]) -> list[SectionCount]:
    """Every section with its rows and seats, in the order of the map."""
    found: dict[str, Counter[str]] = {}
    for seat in seats:
        found.setdefault(seat.section, Counter())[seat.row] += 1
    return [SectionCount(name=n, rows=len(rows), seats=rows.total()) for n, rows in found.items()]


@dataclass(slots=True)
class Reading:
    """What became of a file: a plan, or the faults that keep it from being one; and how its labels were read."""

    plan: SeatPlan | None
    faults: Faults
    scheme: Scheme | None = None
    example: tuple[str, dict[str, str]] | None = None  # the first label and what it was taken for


def read_plan(sheet: Sheet, given: Given) -> Reading:
    """The map the file describes. Every bad line is counted; one is enough for there to be no plan."""
    faults = sheet.faults
    if any(fault.line == 0 for fault in faults.kept) or not sheet.lines:
        return Reading(None, faults)
    scheme = _scheme(sheet, given)
    reading = Reading(None, faults, scheme)
    with faults.catching():
        _require_dimensions(sheet, scheme, given)
        builder = _Builder(sheet, given, scheme)
        for at, values in sheet.lines:
            with faults.catching():
                builder.add(at, values)
        reading.example = builder.example
        if not faults.total:
            reading.plan = builder.plan()
    return reading


def _scheme(sheet: Sheet, given: Given) -> Scheme | None:
    labels = [values["label"].removeprefix(LITERAL) for _, values in sheet.lines if "label" in values]
    if not labels:
        return None
    names = [*given.grades, *given.prices, *sheet.prices]
    elsewhere = [Dimension(name) for name in sheet.fields if name in Dimension.__members__]
    if "count" in sheet.fields and Dimension.number not in elsewhere:
        elsewhere.append(Dimension.number)
    return find_scheme(labels, grades=names, elsewhere=elsewhere, order=given.order)


def _require_dimensions(sheet: Sheet, scheme: Scheme | None, given: Given) -> None:
    """What no line can be read without. Raises BadLine about the whole file."""
    if "label" in sheet.fields and scheme is None:
        raise BadLine(0, "labels", other=str(len(given.order) or PARTS_MAX))
    told = {*sheet.fields, *(kind.value for kind in (scheme.dimensions if scheme else ()))}
    if not {"number", "count"} & told:
        raise BadLine(0, "no_numbers")
    if "grade" not in told and not given.grade and len(_known_grades(sheet, given)) != 1:
        raise BadLine(0, "no_grades")
    if len({"x", "y"} & told) == 1:
        raise BadLine(0, "half_coordinates")


def _known_grades(sheet: Sheet, given: Given) -> list[str]:
    return list(dict.fromkeys([*(clean(name) for name in sheet.prices), *given.prices, *given.grades]))


class _Builder:
    """Takes the lines one by one; each raises BadLine or adds its seats."""

    def __init__(self, sheet: Sheet, given: Given, scheme: Scheme | None) -> None:
        self._given, self._scheme = given, scheme
        known = _known_grades(sheet, given)[::-1]  # a label's `VIP석` is read as VIP
        self._named = {(bare(Dimension.grade, name) or name).casefold(): name for name in known}
        self._named |= {name.casefold(): name for name in known}
        told = {clean(n): price_of(text) for n, text in sheet.prices.items()}
        for name, price in told.items():
            if price is None:
                raise BadLine(0, "price", name, other=sheet.prices.get(name, ""))
        self._prices = {**given.grades, **{n: p for n, p in told.items() if p is not None}, **given.prices}
        self._fixed = given.prices.keys() | told.keys()
        self._default = given.grade or next(iter(_known_grades(sheet, given)), "")
        self._korean = scheme is None and any(
            "가" <= c <= "힣" for _, v in sheet.lines[:1] for c in "".join(v.values())
        )
        self._has_points = "x" in sheet.fields
        self._line_prices: dict[str, tuple[int, int]] = {}  # grade → (price, line)
        self._places: dict[tuple[str, str, int], int] = {}
        self._sections: set[str] = set()
        self._used: dict[str, None] = {}
        self._seats: list[tuple[str, str, int, str, float, float]] = []
        self._floors: dict[str, str] = {}
        self.example: tuple[str, dict[str, str]] | None = None

    def add(self, at: int, values: Mapping[str, str]) -> None:
        said = self._said(at, values)
        for name in TEXTS:
            if len(said.get(name, "")) > LENGTH_MAX[name]:
                raise BadLine(at, "too_long", said[name], field=name, other=str(LENGTH_MAX[name]))
        grade = self._grade(at, said, values)
        floor = said.get("floor", "")
        section = " ".join(filter(None, (floor, said.get("section", "")))) or grade
        if len(section) > LENGTH_MAX["section"]:
            raise BadLine(at, "too_long", section, field="section", other=str(LENGTH_MAX["section"]))
        row, point = said.get("row", "1"), self._point(at, values)
        for number in self._numbers(at, said, values):
            self._take(at, section, row, number)
            self._seats.append((section, row, number, grade, *point))
        self._floors.setdefault(section, floor)
        self._used[grade] = None
        if len(self._sections) > SECTIONS_MAX or len(self._used) > GRADES_MAX:
            raise BadLine(at, "too_many", field="section" if len(self._sections) > SECTIONS_MAX else "grade")

    def _said(self, at: int, values: Mapping[str, str]) -> dict[str, str]:
        """What the label and the columns say, by dimension. Raises BadLine when they disagree."""
        said: dict[str, str] = {}
        label = values.get("label")
        if label is not None:
            said = self._read_label(at, label.removeprefix(LITERAL))
        elif self._scheme is not None:
            raise BadLine(at, "missing", field="label")
        for kind in Dimension:
            text = values.get(kind.value)
            if text is not None:
                said[kind.value] = self._column(kind, text)
        return said

    def _read_label(self, at: int, label: str) -> dict[str, str]:
        assert self._scheme is not None, "a file with labels has a scheme, or a fault"
        if len(label) > LENGTH_MAX["label"]:
            raise BadLine(at, "too_long", label, field="label", other=str(LENGTH_MAX["label"]))
        parts = self._scheme.read(label)
        if parts is None:
            raise BadLine(at, "parts", label, other=str(len(self._scheme.dimensions)))
        empty = next((kind for kind, part in parts.items() if not part), None)
        if empty is not None:
            raise BadLine(at, "missing", label, field=empty.value)
        said = {kind.value: part for kind, part in parts.items()}
        if self.example is None:
            self.example = (label, said)
        return dict(said)

    def _column(self, kind: Dimension, text: str) -> str:
        if text.startswith(LITERAL):
            return text[1:]
        if kind is Dimension.floor:
            return text if bare(kind, text) or not text.isdigit() else f"{text}{'층' if self._korean else 'F'}"
        return bare(kind, text) or text

    def _grade(self, at: int, said: Mapping[str, str], values: Mapping[str, str]) -> str:
        text = said.get("grade") or self._default
        if not text:
            raise BadLine(at, "missing", field="grade")
        grade = text if text in self._prices else self._named.setdefault(text.casefold(), text)
        if "price" in values:
            self._note_price(at, grade, values["price"])
        if grade not in self._prices:
            raise BadLine(at, "grade", grade)
        return grade

    def _note_price(self, at: int, grade: str, text: str) -> None:
        price = price_of(text.removeprefix(LITERAL))
        if price is None:
            raise BadLine(at, "price", grade, other=text)
        known = self._line_prices.setdefault(grade, (price, at))
        if known[0] != price:
            raise BadLine(at, "price_differs", grade, other=f"{price} ≠ {known[0]} ({known[1]})")
        if grade not in self._fixed:
            self._prices[grade] = price

    def _numbers(self, at: int, said: Mapping[str, str], values: Mapping[str, str]) -> range:
        """One seat's number, or those of as many as `count` says."""
        first = _whole(at, "number", said["number"]) if "number" in said else None
        if "count" not in values:
            if first is None:
                raise BadLine(at, "missing", field="number")
            return range(first, first + 1)
        count = _whole(at, "count", values["count"])
        first = 1 if first is None else first
        if not count or first + count - 1 > NUMBER_MAX:
            raise BadLine(at, "number", values["count"], field="count")
        if len(self._places) + count > SEATS_MAX:
            raise BadLine(at, "seats_max", other=str(SEATS_MAX))
        return range(first, first + count)

    def _point(self, at: int, values: Mapping[str, str]) -> tuple[float, float]:
        if not self._has_points:
            return 0.0, 0.0
        return _coordinate(at, "x", values.get("x")), _coordinate(at, "y", values.get("y"))

    def _take(self, at: int, section: str, row: str, number: int) -> None:
        place = (section, row, number)
        if place in self._places:
            raise BadLine(at, "twice", " / ".join((section, row, str(number))), other=str(self._places[place]))
        if len(self._places) >= SEATS_MAX:
            raise BadLine(at, "seats_max", other=str(SEATS_MAX))
        self._places[place] = at
        self._sections.add(section)

    def plan(self) -> SeatPlan:
        grades = self._used_grades()
        ranks = {name: place for place, name in enumerate(sorted(grades, key=lambda g: -grades[g]))}
        if self._has_points:
            points = [(seat[4], seat[5]) for seat in self._seats]
            sections = [seat[0] for seat in self._seats]
            points, drawing = drawn_as_given(sections, points, self._kept_drawing())
        else:
            spots = [Spot(s[0], s[1], s[2], ranks[s[3]], self._floors[s[0]]) for s in self._seats]
            points, drawing = draw(spots)
        seats = [
            Seat(idx, s[0], s[1], s[2], s[3], grades[s[3]], *point)
            for idx, (s, point) in enumerate(zip(self._seats, points, strict=True))
        ]
        return SeatPlan(grades=grades, seats=seats, drawing=drawing)

    def _used_grades(self) -> dict[str, int]:
        """In the event's own order where it has all of them, else the dearest first."""
        if self._used.keys() <= self._given.grades.keys():
            return {name: self._prices[name] for name in self._given.grades if name in self._used}
        return {name: self._prices[name] for name in sorted(self._used, key=lambda name: -self._prices[name])}

    def _kept_drawing(self) -> Drawing | None:
        """The drawing of the map to be replaced, if the file has the same places at the same points."""
        now = {(s.section, s.row, s.number, s.x, s.y) for s in self._given.current}
        same = now == {(s[0], s[1], s[2], s[4], s[5]) for s in self._seats}
        return self._given.drawing if same else None


def price_of(text: str) -> int | None:
    """`150,000원`, `₩150,000`, `150000.0`; None for anything else or more than PRICE_MAX."""
    found = _PRICE.fullmatch(text.strip())
    if found is None or len(found[1]) > 15:
        return None
    price = int(found[1].replace(",", ""))
    return price if price <= PRICE_MAX else None


def _whole(at: int, name: str, text: str) -> int:
    found = _NUMBER.fullmatch(text.removeprefix(LITERAL))
    if found is None or int(found[1]) > NUMBER_MAX or not text.isascii():
        raise BadLine(at, "number", text, field=name)
    return int(found[1])


def _coordinate(at: int, name: str, text: str | None) -> float:
    if text is None:
        raise BadLine(at, "missing", field=name)
    try:
        value = float(text)
    except ValueError:
        raise BadLine(at, "number", text, field=name) from None
    if not isfinite(value) or abs(value) > COORDINATE_MAX:
        raise BadLine(at, "number", text, field=name)
    return value


def written(kind: str, text: str) -> str:
    """A stored value as a file tells it, so that reading it gives the same value and no spreadsheet runs it."""
    changed = clean(text) != text or (kind in Dimension.__members__ and bare(Dimension(kind), text) not in (None, text))
    return f"{LITERAL}{text}" if changed or not text or text[0] in RISKY else text


def rows_of(seats: Sequence[Seat]) -> Iterator[tuple[str, ...]]:
    """The current map as lines of a file that `read_plan` reads back to the same map."""
    yield ("grade", "section", "row", "number", "price", "x", "y")
    for seat in seats:
        texts = (written(kind, getattr(seat, kind)) for kind in ("grade", "section", "row"))
        yield (*texts, str(seat.number), str(seat.price), repr(seat.x), repr(seat.y))
