"""Seat files as people make them become maps; every bad line is found, counted and told, and one is enough."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import headings, seatfile, seatplan
from app.domain.hall import Drawing
from app.domain.layout import Seat, SeatMap
from app.domain.seatfile import read_sheet
from app.domain.seatfile_errors import FAULTS_KEPT_MAX, Fault
from app.domain.seatplan import Given, Reading, SeatPlan, read_plan
from app.domain.seatrows import rows_of
from app.domain.seatvalues import MARKS

PRICES = {"VIP": 150_000, "R": 100_000, "S": 70_000}


def read(text: str | bytes, *, kind: str = "", encoding: str = "utf-8", **known: Any) -> Reading:
    data = text if isinstance(text, bytes) else text.encode(encoding)
    return read_plan(read_sheet(data, kind), Given(**{"prices": PRICES, **known}))


def plan_of(text: str | bytes, **options: Any) -> SeatPlan:
    reading = read(text, **options)
    assert reading.faults.total == 0, reading.faults.kept
    assert reading.plan is not None
    return reading.plan


def places(plan: SeatPlan) -> list[tuple[str, str, int, str, int]]:
    return [(s.section, s.row, s.number, s.grade, s.price) for s in plan.seats]


def faults_of(text: str | bytes, **options: Any) -> list[tuple[int, str]]:
    reading = read(text, **options)
    assert reading.plan is None, "a file with a bad line is no map"
    assert reading.faults.total >= len(reading.faults.kept) > 0
    return [(fault.line, fault.code) for fault in reading.faults.kept]


TWO = [("1F A", "3", 1, "VIP", 150_000), ("1F A", "3", 2, "VIP", 150_000)]


@pytest.mark.parametrize(
    "text",
    [
        "VIP-1F-A-3-1\nVIP-1F-A-3-2\n",
        "seat\r\nVIP/1F/A/3/1\r\nVIP/1F/A/3/2",
        "좌석\nVIP_1F_A_3_1\n\n,\nVIP_1F_A_3_2",
        "등급,층,구역,열,번호\nVIP석,1F,A구역,3열,1번\nVIP,1,A,3,2",
        "Grade;Floor;Section;Row;Seat No.\nvip;1;A;3;1\nVIP;1;A;3;2",
        "sep=\t\ngrade\tlevel\tblock\trow\tno\nVIP\t1F\tA\t3\t1\nVIP\t1F\tA\t3\t2",
        'label,memo\n"VIP-1F-A-3-1","a, ""b"""\nVIP-1F-A-3-2,',
        json.dumps(["VIP-1F-A-3-1", "VIP-1F-A-3-2"]),
        json.dumps({"seats": [{"label": "VIP-1F-A-3-1"}, {"label": "VIP-1F-A-3-2"}]}),
        json.dumps([{"grade": "VIP", "floor": "1F", "section": "A", "row": 3, "seat": n} for n in (1, 2)]),
        "구역,열,수량,등급\n1F A,3,2,VIP",
    ],
)
def test_the_same_two_seats_in_every_kind_of_file(text: str) -> None:
    if "층" in text:
        text = text.replace(",1,A", ",1F,A")
    assert places(plan_of(text)) == TWO


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr", "utf-16"])
def test_korean_files_in_every_encoding_that_excel_writes(encoding: str) -> None:
    text = '등급,층,구역,열,번호,가격(원)\r\nR석,2층,가구역,나열,7번,"99,000원"\r\n'
    assert places(plan_of(text, encoding=encoding, prices={})) == [("2층 가", "나", 7, "R", 99_000)]


def test_decomposed_hangul_and_hard_spaces_are_the_same_names() -> None:
    import unicodedata

    text = unicodedata.normalize("NFD", "구역,열,번호\n가나,1,1\n") + "가나\u00a0,1,2"
    assert {seat.section for seat in plan_of(text, grade="VIP").seats} == {"가나"}


def test_where_prices_come_from() -> None:
    """Said with the upload before the file's list, the file's list before its column, all before the event's own."""
    body = {"seats": ["VIP-A-1", "R-A-2", "S-A-3"], "grades": {"VIP": 1, "R": 2}}
    plan = plan_of(json.dumps(body), prices={"VIP": 10}, grades={"VIP": 5, "R": 5, "S": 5, "B": 5})
    assert plan.grades == {"VIP": 10, "R": 2, "S": 5}
    assert plan_of("label,price\nR-A-2,3", grades={"R": 5}, prices={}).grades == {"R": 3}
    assert plan_of("label,price\nR-A-2,3", grades={"R": 5}, prices={"R": 9}).grades == {"R": 9}


BAD = {
    "twice": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nR-1F-A-3-1",
    "missing": "grade,row,number\nVIP,1,1\nVIP,1,2\nVIP,1,",
    "parts": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nVIP-1F-A-1",
    "number": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nVIP-1F-A-3-x",
    "grade": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nGOLD-1F-A-3-3",
    "price": "label,price\nVIP-A-1,5\nVIP-A-3,abc",
    "price_differs": "label,price\nVIP-A-1,5\nVIP-A-3,6",
    "too_long": f"구역,번호,등급\nA,1,VIP\n{'B' * 41},1,VIP",
    "unprintable": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nVIP-1F-\x07-3-3",
    "quotes": 'VIP-1F-A-3-1\nVIP-1F-A-3-2\n"VIP-1F-A-3-3',
    "cells": "VIP-1F-A-3-1\nVIP-1F-A-3-2\nVIP-1F-A-3-3,R",
    "seats_max": "label,count\nVIP-A,99999\nVIP-B,99999",
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_last_line_is_told_with_its_number_and_nothing_is_made(code: str) -> None:
    lines = len(BAD[code].splitlines())
    assert faults_of(BAD[code]) == [(lines, code)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n,,\n", "empty"),
        ("구역,열,번호\n", "empty"),
        ("[]", "empty"),
        ("a,b,c\n1,2,3", "no_headings"),
        ("블랙-S\n레드-S", "no_numbers"),
        ("A-1-1\nA-1-2", "no_grades"),
        ("등급,번호,x\nVIP,1,1", "half_coordinates"),
        ("{", "json"),
        ("[" * 100_000, "json"),
        ('{"seats": 7}', "json_shape"),
        ('{"seats": ["VIP-1"], "grades": 7}', "json_grades"),
        ('{"seats": ["VIP-1"], "grades": {"VIP": "free"}}', "price"),
        (b"PK\x03\x04 a workbook or a bomb", "archive"),
        (b"\x1f\x8b\x08", "archive"),
        (b"\xff\xfe\x00\xd8", "encoding"),
        (b"\x81\x00\xff", "encoding"),
        ("a/b/c/d/e/f/7", "labels"),
        (",".join("abcdefgh") * 10, "columns_max"),
    ],
)
def test_what_makes_a_whole_file_unusable(text: str | bytes, code: str) -> None:
    found = faults_of(text, prices={"VIP": 1, "R": 2}, kind="")
    assert [name for _, name in found] == [code]


@pytest.mark.parametrize(("item", "code"), [(7, "json_item"), ({"label": ["VIP-1"]}, "json_value")])
def test_json_items_of_the_wrong_shape_are_told_by_their_place(item: object, code: str) -> None:
    assert faults_of(json.dumps(["VIP-1", item])) == [(2, code)]


class Sizes:
    """A pattern that keeps the length of the longest text it was given."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.longest = 0

    def sub(self, by: str, text: str) -> str:
        self.longest = max(self.longest, len(text))
        return self.pattern.sub(by, text)


@given(st.text("(（[. \"'등급열", min_size=1, max_size=9).map(lambda part: part * 2_000))
def test_no_text_of_a_file_reaches_a_pattern_whole(text: str) -> None:
    """One that looks for a closing bracket behind every opening one would hold up the whole process for minutes."""
    with pytest.MonkeyPatch.context() as patch:
        sizes = Sizes(headings._IN_BRACKETS)
        patch.setattr(headings, "_IN_BRACKETS", sizes)
        for data in (f"{text},row,number\n1,2,3", json.dumps([{text: "1", "label": "VIP-1"}])):
            read_sheet(data.encode())
    assert sizes.longest <= headings.HEADING_CHARS_MAX


def test_a_heading_has_a_length_beyond_which_it_names_nothing() -> None:
    room = headings.HEADING_CHARS_MAX - len("등급")
    assert headings.heading_of("등급" + " " * room) == headings.Heading("grade", "", 0)
    assert headings.heading_of("등급" + " " * (room + 1)) is None


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("text", ["VIP-1" + " " * 1_000, "'row" + "." * 1_000 + "-1"])
def test_a_value_has_a_length_beyond_which_nobody_looks_at_it(text: str, as_json: bool) -> None:
    lines = ["VIP-1", text]
    data = json.dumps(lines) if as_json else "label\n" + "\n".join(lines)
    assert faults_of(data) == [(2 if as_json else 3, "too_long")]


def test_every_bad_line_is_counted_though_only_the_first_are_kept() -> None:
    reading = read("label\n" + "VIP-A-1\n" * 1_000)
    assert reading.faults.total == 999
    assert len(reading.faults.kept) == FAULTS_KEPT_MAX
    assert reading.faults.kept[0] == Fault(3, "twice", "A / 1 / 1", other="2")


def test_coordinates_must_be_there_for_every_seat_and_be_numbers() -> None:
    rows = ["구역,열,번호,등급,x,y", "A,1,1,VIP,10,20", "A,1,2,VIP,,20", "A,1,3,VIP,inf,1", "A,1,4,VIP,1e9,1"]
    assert faults_of("\n".join(rows)) == [(3, "missing"), (4, "number"), (5, "number")]


def test_limits_on_lines_grades_and_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seatfile, "LINES_MAX", 2)
    assert faults_of("VIP-1\nVIP-2\nVIP-3\nVIP-4") == [(0, "lines_max")]
    assert faults_of(json.dumps(["VIP-1", "VIP-2", "VIP-3"])) == [(0, "lines_max")]
    monkeypatch.setattr(seatfile, "LINES_MAX", 99)
    monkeypatch.setattr(seatplan, "SECTIONS_MAX", 1)
    assert faults_of("구역,번호,등급\nA,1,VIP\nB,1,VIP") == [(3, "too_many")]
    monkeypatch.setattr(seatplan, "SECTIONS_MAX", 9)
    monkeypatch.setattr(seatplan, "GRADES_MAX", 1)
    assert faults_of("구역,번호,등급\nA,1,VIP\nB,1,R") == [(3, "too_many")]


def test_a_grade_called_with_its_word_is_the_one_that_labels_name() -> None:
    """`VIP석` in a label reads as VIP; an event whose grade is called `VIP석` means that one, unless it has both."""
    labels = "VIP석/2층/B열/7\nvip석/2층/B열/8"
    assert plan_of(labels, prices={"VIP석": 9}).grades == {"VIP석": 9}
    assert plan_of(labels, prices={}, grades={"VIP석": 9}).grades == {"VIP석": 9}
    assert plan_of(labels, prices={"VIP석": 9, "VIP": 5}).grades == {"VIP": 5}


def test_a_formula_is_only_text_and_leaves_as_text() -> None:
    """What a spreadsheet would run comes back behind an apostrophe, and is read back without it."""
    plan = plan_of('구역,열,번호,등급\n"=HYPERLINK(""http://x"")",+1,1,VIP')
    assert (plan.seats[0].section, plan.seats[0].row) == ('=HYPERLINK("http://x")', "+1")
    line = list(rows_of(plan))[1]
    assert line[1].startswith("'=")
    assert line[2].startswith("'+")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "'; DROP TABLE seats;--", "../../etc/passwd", "{{7*7}}"])
def test_hostile_text_is_only_a_name(text: str) -> None:
    assert plan_of(f'구역,열,번호,등급\n"x{text}",1,1,VIP').seats[0].section == f"x{text}"


NAMES = st.one_of(
    st.sampled_from(
        [
            "A구역",
            "B열",
            "R석",
            "=1+1",
            "'quoted",
            "-",
            "Row 3",
            "2층",
            "a  b",
            "VIP",
            "vip",
            "7번",
            "@x",
            "층",
            "nan",
            "1.0",
            "합계",
        ]
    ),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12),
)
POINTS = st.floats(0, 5_000, allow_nan=False).map(lambda v: round(v, 1))


@given(
    st.lists(
        st.tuples(NAMES, NAMES, st.integers(0, 99_999), st.sampled_from(["VIP", "vip", "R석", "=S"]), POINTS, POINTS),
        unique_by=lambda seat: seat[:3],
        min_size=1,
        max_size=20,
    )
)
def test_a_map_that_is_downloaded_can_be_uploaded_again(rows: list[tuple[str, str, int, str, float, float]]) -> None:
    prices = {"VIP": 3, "vip": 2, "R석": 1, "=S": 0}
    seats = [
        Seat(idx, s, r, n, g, prices[g], x, y, marks=MARKS[: n % 4]) for idx, (s, r, n, g, x, y) in enumerate(rows)
    ]
    blocked = frozenset(seat.idx for seat in seats if seat.number % 5 == 0)
    text = io.StringIO()
    plan = SeatPlan(grades=prices, seats=seats, drawing=Drawing((0.0, 0.0), {}), blocked=blocked)
    csv.writer(text).writerows(rows_of(plan))
    again = plan_of(text.getvalue(), prices={}, grades=prices, encoding="utf-8-sig")
    assert (again.seats, again.blocked) == (seats, blocked)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.sampled_from(["", "csv", "json"]))
def test_any_bytes_are_a_map_or_told_to_be_none(data: bytes, kind: str) -> None:
    reading = read(data, kind=kind)
    assert (reading.plan is None) == (reading.faults.total > 0)


def test_a_hall_is_drawn_where_the_file_has_no_coordinates() -> None:
    """No two seats touch, dearer grades are nearer to the stage, and neighbours are neighbours to the allocator."""
    rows = [
        f"{g}-{f}F-{s}-{r}-{n}"
        for g, f in (("S", 2), ("VIP", 1), ("R", 1))
        for s in ("AB" if g == "R" else "CD")
        for r in range(1, 6)
        for n in range(1, 11)
    ]
    plan = plan_of("\n".join(rows))
    assert len({(seat.x, seat.y) for seat in plan.seats}) == len(plan.seats)
    depth = {grade: min(s.y for s in plan.seats if s.grade == grade) for grade in PRICES}
    assert plan.drawing.focal[1] < depth["VIP"] < depth["R"] < depth["S"]
    layout: Mapping[str, Any] = plan.drawing.layout
    assert all(0 < s.x < layout["width"] and 0 < s.y < layout["height"] for s in plan.seats)
    assert [one["name"] for one in layout["sections"]] == ["1F C", "1F D", "1F A", "1F B", "2F C", "2F D"]
    runs = SeatMap(plan.seats, plan.drawing.focal).runs
    assert sorted(map(len, runs)) == [10] * 30


def test_a_row_too_long_to_be_one_is_folded_and_gaps_stay_gaps() -> None:
    plan = plan_of("label,count\nVIP-A,200")
    assert len({seat.y for seat in plan.seats}) == 4
    gap = plan_of("VIP-A-1\nVIP-A-2\nVIP-A-5\nVIP-A-6")
    steps: Sequence[float] = [b.x - a.x for a, b in zip(gap.seats, gap.seats[1:], strict=False)]
    assert steps == [20.0, 60.0, 20.0]


def test_floors_and_rows_are_in_the_order_of_people() -> None:
    plan = plan_of("\n".join(f"VIP-{f}-A-{r}-1" for f in ("10F", "B1F", "2F") for r in (10, 9, 1)))
    order = sorted(plan.seats, key=lambda seat: seat.y)
    assert [(s.section, s.row) for s in order] == [
        (f"{f} A", r) for f in ("2F", "10F", "B1F") for r in ("1", "9", "10")
    ]


def test_the_drawing_stays_when_only_prices_change() -> None:
    now = plan_of("VIP-A-1\nVIP-A-2")
    text = io.StringIO()
    csv.writer(text).writerows(rows_of(now))
    again = plan_of(text.getvalue(), prices={"VIP": 9}, current=now.seats, drawing=now.drawing)
    assert again.drawing == now.drawing
    assert again.grades == {"VIP": 9}


FULL = {
    "section": (
        "section_name",
        "Section",
        "SECTION",
        "section label",
        "block",
        "seat_section",
        "구역",
        "区域",
    ),
    "row": ("row_label", "seat_row", "Row Name", "rowNumber", "열", "Reihe", "列"),
    "number": ("seat_number", "Seat No.", "seat", "SEAT_NUM", "좌석번호", "Platz", "座位号"),
    "grade": ("zone", "price_level", "Price Category", "tier", "등급", "Kategorie", "席種"),
    "price": ("price", "face_value", "Preis (€)", "가격(원)", "ticket_price"),
    "x": ("x", "pos_x", "X coordinate"),
    "y": ("y", "posY", "Y-Coord"),
}


@st.composite
def written_halls(draw: st.DrawFn) -> bytes:
    """One hall as some program writes it: any headings, order of columns and lines, separator, quotes, encoding."""
    rows = [("Nord", "A", 1, "VIP", 150_000, 10.5, 20.0), ("Nord", "A", 2, "VIP", 150_000, 30.5, 20.0)]
    rows += [("Süd, links", "B", n, "R", 99_000, 10.5 + 20 * n, 44.25) for n in (1, 2, 3)]
    order = draw(st.permutations(range(7)))
    comma = draw(st.booleans())
    style = draw(st.sampled_from(["{}", "{}.0", "0{}", "#{}"]))

    def text(column: int, value: Any) -> str:
        match column:
            case 2:
                return style.format(value)
            case 4:
                return draw(st.sampled_from([f"{value}", f"{value:,}", f"₩{value}", f"{value}.00", f"{value:,}원"]))
            case 5 | 6 if comma:
                return f"{value}".replace(".", ",")
        return str(value)

    headings = [draw(st.sampled_from(FULL[list(FULL)[at]])) for at in order] + ["remark"]
    lines = [[text(at, row[at]) for at in order] + [draw(st.sampled_from(["", "a\nb", 'say "hi"']))] for row in rows]
    file = io.StringIO()
    separator = draw(st.sampled_from(",;\t|"))
    quoting: Literal[0, 1] = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end).writerows([headings, *lines])
    encodings = ["utf-8", "utf-8-sig", "utf-16"]
    return file.getvalue().encode(draw(st.sampled_from(encodings)))


@given(written_halls())
def test_whatever_a_program_writes_of_one_hall_reads_as_the_same_hall(data: bytes) -> None:
    plan = plan_of(data, prices={})
    found = [(s.section, s.row, s.number, s.grade, s.price, s.x, s.y) for s in plan.seats]
    assert found == [
        ("Nord", "A", 1, "VIP", 150_000, 10.5, 20.0),
        ("Nord", "A", 2, "VIP", 150_000, 30.5, 20.0),
        *(("Süd, links", "B", n, "R", 99_000, 10.5 + 20 * n, 44.25) for n in (1, 2, 3)),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1\nA2\nB1", [("A", 1, ""), ("A", 2, ""), ("B", 1, "")]),
        ("VIP-A1\nVIP-A12\nVIP-B1", [("A", 1, ""), ("A", 12, ""), ("B", 1, "")]),
        ("row,seat,grade\nA,A1,VIP\nA,A2,VIP", [("A", 1, ""), ("A", 2, "")]),
        ("seat,grade\nA1,VIP\nB2,VIP", [("A", 1, ""), ("B", 2, "")]),
        ("row,seat,grade\nA,12,VIP\nA,12A,VIP\nA,13,VIP", [("A", 12, ""), ("A", 13, "12A"), ("A", 14, "13")]),
        ("row,seat,grade\nA,2,VIP\nA,2bis,VIP\nA,5,VIP", [("A", 2, ""), ("A", 3, "2bis"), ("A", 6, "5")]),
        ("row,seat,grade\nA,12A,VIP\nA,14,VIP", [("A", 12, "12A"), ("A", 14, "")]),
        ("row,seat,grade\nA,a,VIP\nA,b,VIP", [("A", 1, "a"), ("A", 2, "b")]),
    ],
)
def test_seats_are_named_as_people_name_them(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert [(s.row, s.number, s.name) for s in plan_of(text, grade="VIP").seats] == expected


def test_a_letter_among_numbers_is_told() -> None:
    assert faults_of("row,seat,grade\nA,1,VIP\nA,2,VIP\nA,x,VIP") == [(4, "number")]


def test_a_zone_is_a_section_or_where_there_is_one_a_grade() -> None:
    assert {s.section for s in plan_of("zone,row,seat\nNorth,A,1", grade="VIP").seats} == {"North"}
    seat = plan_of("zone,section,row,seat\nR,North,A,1").seats[0]
    assert (seat.grade, seat.section) == ("R", "North")


def test_of_two_columns_that_mean_the_same_the_plainer_is_taken_and_both_are_named() -> None:
    sheet = read_sheet(b"section_id,section_name,row,seat,grade\n7,North,A,1,VIP")
    assert sheet.twice == (("section", "section_name", "section_id"),)
    plan = read_plan(sheet, Given(prices=PRICES)).plan
    assert plan is not None
    assert plan.seats[0].section == "North"
    assert read_sheet("열,row,번호\n1,2,3".encode()).twice == (("row", "열", "row"),)
    assert read_sheet(b'[{"section_name": "", "section_id": "N", "seat": 1}]').twice == ()


def test_a_state_that_nobody_knows_is_told() -> None:
    assert faults_of("row,seat,grade,status\nA,1,VIP,perhaps\nA,2,VIP,sold") == [(2, "status")]
    assert faults_of("row,seat,grade,wheelchair\nA,1,VIP,maybe") == [(2, "yes_or_no")]


def test_a_type_without_states_and_marks_is_the_grade() -> None:
    assert plan_of("row,seat,type\nA,1,VIP\nA,2,R").grades == {"VIP": 150_000, "R": 100_000}


def test_what_a_database_writes_around_its_rows_is_no_seat() -> None:
    text = " section | row | seat | grade \n---------+-----+------+-------\n North   | A   |    1 | VIP\n(1 row)\n"
    sheet = read_sheet(text.encode())
    assert [line for line, _ in sheet.skipped.kept] == [2, 4]
    assert places(plan_of(text)) == [("North", "A", 1, "VIP", 150_000)]


def test_text_that_a_spreadsheet_protects_is_only_the_text() -> None:
    assert plan_of('row,seat,grade\n="01","=""2""",VIP').seats[0].row == "01"
