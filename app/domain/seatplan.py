"""From the lines of a seat file to a seat map: grades with prices, every seat's place, and every line that is wrong.

Pure. Nothing is guessed silently: what a label's parts were taken for is told beside the plan, a grade without a price
is an error, and a plan with one bad line is no plan at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.hall import Drawing, Spot, draw, drawn_as_given, natural
from app.domain.labels import PARTS_MAX, Dimension, Scheme, bare, find_scheme
from app.domain.layout import Seat
from app.domain.seatfile import LITERAL, Sheet, clean
from app.domain.seatfile_errors import BadLine, Fault, Faults, shown
from app.domain.seatvalues import (
    MARKS,
    NUMBER_MAX,
    SeatName,
    coordinate_of,
    is_true,
    marks_of,
    on_sale_of,
    price_of,
    seat_name_of,
    whole_of,
)

SEATS_MAX = 100_000
GRADES_MAX = 50
SECTIONS_MAX = 2_000
LENGTH_MAX = {"label": 200, "grade": 40, "section": 40, "floor": 20, "row": 20}
TEXTS = ("grade", "floor", "section", "row")


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
    """A whole map, ready to be stored: `seats` in the file's order; the positions of those that are not put on sale."""

    grades: dict[str, int]
    seats: list[Seat]
    drawing: Drawing
    blocked: frozenset[int] = frozenset()

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
        builder.check_letters()
        reading.example = builder.example
        if not faults.total:
            reading.plan = builder.plan()
    faults.kept.sort(key=lambda fault: fault.line)  # what is found in the end may stand anywhere
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


class _Line(NamedTuple):
    """A seat as its line tells it."""

    section: str
    row: str
    number: int
    name: str
    grade: str
    x: float
    y: float
    marks: tuple[str, ...]
    blocked: bool


class _Builder:
    """Takes the lines one by one; each raises BadLine or adds its seats."""

    def __init__(self, sheet: Sheet, given: Given, scheme: Scheme | None) -> None:
        self._given, self._scheme, self._faults = given, scheme, sheet.faults
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
        self._places: dict[tuple[str, str, str], int] = {}
        self._sections: set[str] = set()
        self._used: dict[str, None] = {}
        self._seats: list[_Line] = []
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
        point, (blocked, marks) = self._point(at, values), _state(at, values)
        for number, name, row in self._numbers(at, said, values):
            self._take(at, section, row, name or str(number))
            self._seats.append(_Line(section, row, number, name, grade, *point, marks, blocked))
        self._floors.setdefault(section, floor)
        self._used[grade] = None
        if len(self._sections) > SECTIONS_MAX or len(self._used) > GRADES_MAX:
            raise BadLine(at, "too_many", field="section" if len(self._sections) > SECTIONS_MAX else "grade")

    def check_letters(self) -> None:
        """Note every letter among the numbers of a row: where not all seats are called by letters, it is a slip."""
        rows: dict[tuple[str, str], list[_Line]] = {}
        for line in self._seats:
            rows.setdefault((line.section, line.row), []).append(line)
        for row in rows.values():
            letters = [line for line in row if line.name.isalpha()]
            for line in letters if len(letters) < len(row) else ():
                at = self._places[line.section, line.row, line.name.casefold()]
                self._faults.add(Fault(at, "number", shown(line.name), "number"))

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

    def _numbers(self, at: int, said: Mapping[str, str], values: Mapping[str, str]) -> list[SeatName]:
        """One seat's number, name and row, or those of as many as `count` says."""
        row = said.get("row")
        first = _seat_name(at, said["number"], row) if "number" in said else None
        if "count" not in values:
            if first is None:
                raise BadLine(at, "missing", field="number")
            return [first]
        count = whole_of(values["count"].removeprefix(LITERAL))
        start = 1 if first is None else first.number
        if not count or start + count - 1 > NUMBER_MAX or (first is not None and first.written):
            raise BadLine(at, "number", values["count"], field="count")
        if len(self._places) + count > SEATS_MAX:
            raise BadLine(at, "seats_max", other=str(SEATS_MAX))
        return [SeatName(number, "", row or "1") for number in range(start, start + count)]

    def _point(self, at: int, values: Mapping[str, str]) -> tuple[float, float]:
        if not self._has_points:
            return 0.0, 0.0
        return _coordinate(at, "x", values.get("x")), _coordinate(at, "y", values.get("y"))

    def _take(self, at: int, section: str, row: str, name: str) -> None:
        place = (section, row, name.casefold())
        if place in self._places:
            raise BadLine(at, "twice", " / ".join((section, row, name)), other=str(self._places[place]))
        if len(self._places) >= SEATS_MAX:
            raise BadLine(at, "seats_max", other=str(SEATS_MAX))
        self._places[place] = at
        self._sections.add(section)

    def plan(self) -> SeatPlan:
        grades = self._used_grades()
        ranks = {name: place for place, name in enumerate(sorted(grades, key=lambda g: -grades[g]))}
        lines = self._numbered_along_rows()
        if self._has_points:
            points, drawing = drawn_as_given(
                [line.section for line in lines], [(line.x, line.y) for line in lines], self._kept_drawing(lines)
            )
        else:
            spots = [Spot(s.section, s.row, s.number, ranks[s.grade], self._floors[s.section]) for s in lines]
            points, drawing = draw(spots)
        seats = [
            Seat(idx, s.section, s.row, s.number, s.grade, grades[s.grade], *point, s.name, s.marks)
            for idx, (s, point) in enumerate(zip(lines, points, strict=True))
        ]
        blocked = frozenset(idx for idx, line in enumerate(lines) if line.blocked)
        return SeatPlan(grades=grades, seats=seats, drawing=drawing, blocked=blocked)

    def _numbered_along_rows(self) -> list[_Line]:
        """The lines with numbers that are unique in their row: where a row has a 2 and a 2bis, its seats are counted
        along it, gaps stay, and what is written on a seat becomes its name.
        """
        found, rows = list(self._seats), dict[tuple[str, str], list[int]]()
        for at, line in enumerate(found):
            rows.setdefault((line.section, line.row), []).append(at)
        for row in rows.values():
            if len({found[at].number for at in row}) == len(row):
                continue
            number = before = 0
            for at in sorted(row, key=lambda at: (found[at].number, natural(found[at].name))):
                line = found[at]
                number, before = number + max(1, line.number - before), line.number
                written = line.name or str(line.number)
                found[at] = line._replace(number=number, name="" if written == str(number) else written)
        return found

    def _used_grades(self) -> dict[str, int]:
        """In the event's own order where it has all of them, else the dearest first."""
        if self._used.keys() <= self._given.grades.keys():
            return {name: self._prices[name] for name in self._given.grades if name in self._used}
        return {name: self._prices[name] for name in sorted(self._used, key=lambda name: -self._prices[name])}

    def _kept_drawing(self, lines: Sequence[_Line]) -> Drawing | None:
        """The drawing of the map to be replaced, if the file has the same places at the same points."""
        now = {(s.section, s.row, s.number, s.x, s.y) for s in self._given.current}
        same = now == {(s.section, s.row, s.number, s.x, s.y) for s in lines}
        return self._given.drawing if same else None


def _seat_name(at: int, text: str, row: str | None) -> SeatName:
    """A seat's number and name; its row is the one the file tells, or the one that it names itself (`A1`)."""
    found = seat_name_of(text.removeprefix(LITERAL))
    if found is None or found.number > NUMBER_MAX:
        raise BadLine(at, "number", text, field="number")
    if row is None:
        return SeatName(found.number, "" if found.row else found.written, found.row or "1")
    is_row = bool(found.row) and found.row.casefold() == row.casefold()
    return SeatName(found.number, "" if is_row else found.written, row)


def _state(at: int, values: Mapping[str, str]) -> tuple[bool, tuple[str, ...]]:
    """Whether a seat is not put on sale, and its marks. Raises BadLine for a state or an answer that nobody knows."""
    on_sale = True if "status" not in values else on_sale_of(values["status"])
    if on_sale is None:
        raise BadLine(at, "status", values["status"], field="status")
    kind = values.get("marks", "")
    marks = set(marks_of(kind))
    for mark in MARKS:
        answer = False if mark not in values else is_true(values[mark])
        if answer is None:
            raise BadLine(at, "yes_or_no", values[mark], field=mark)
        if answer:
            marks.add(mark)
    return on_sale is False or on_sale_of(kind) is False, tuple(mark for mark in MARKS if mark in marks)


def _coordinate(at: int, name: str, text: str | None) -> float:
    if text is None:
        raise BadLine(at, "missing", field=name)
    value = coordinate_of(text)
    if value is None:
        raise BadLine(at, "number", text, field=name)
    return value
