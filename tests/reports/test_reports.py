"""What public reports of other projects tell of halls and seat files, tried here: one small file for each.

The file is named by the project and the report's number; its content is made up. A further report is a further file and
a further line here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.layout import SeatMap
from app.domain.seatfile import Sheet, read_sheet
from app.domain.seatplan import Given, SeatPlan, read_plan

FILES = Path(__file__).parent / "files"
PAIR = ["North A 1", "North A 2"]
SEATS = {  # file → the report, and the seats that the file has
    "pandas-28335.csv": ("pandas-dev/pandas#28335", ["North 1 1", "North 1 2", "North 2 1"]),
    "csvbase-11.csv": ("calpaterson/csvbase#11", PAIR),
    "ubersystem-1560.csv": ("magfest/ubersystem#1560", PAIR),
    "jquery-csv-142.csv": ("evanplaice/jquery-csv#142", PAIR),
    "dokuly-149.csv": ("Dokuly-PLM/dokuly#149", ["Nord A 1", "Nord A 2"]),
    "buckets-530.csv": ("buckets/application#530", PAIR),
    "hi-events-39.csv": ("HiEventsDev/Hi.Events#39", ["R A 1", "R A 2", "R A 10", "R B 1", "R B 2"]),
    "ex-pass-112.csv": ("njausteve/ex_pass#112", [*PAIR, "North A 3"]),
    "seatsio-python-53.json": ("seatsio/seatsio-python#53", PAIR),
    "seatreg-26.csv": ("SiimKirjanen/seatreg#26", [*PAIR, "North A 3"]),
    "openflights-1462.csv": ("jpatokal/openflights#1462", PAIR),
    "revel-backend-724.csv": (
        "letsrevel/revel-backend#724",
        [f"Stalls {row} {number}" for row in "AB" for number in (5, 3, 1, 2, 4, 6)],
    ),
}


def read(name: str) -> tuple[Sheet, SeatPlan]:
    sheet = read_sheet((FILES / name).read_bytes())
    reading = read_plan(sheet, Given(grades={"R": 30_000}))
    assert reading.plan is not None, reading.faults.kept
    return sheet, reading.plan


def test_every_file_has_its_report() -> None:
    assert {file.name for file in FILES.iterdir()} == SEATS.keys()


@pytest.mark.parametrize("name", SEATS)
def test_the_seats_of_the_file_are_those_that_a_person_would_read(name: str) -> None:
    report, expected = SEATS[name]
    _, plan = read(name)
    assert [f"{seat.section} {seat.row} {seat.number}" for seat in plan.seats] == expected, report


def test_odd_seats_to_the_left_and_even_ones_to_the_right_are_side_by_side_by_their_points() -> None:
    _, plan = read("revel-backend-724.csv")
    runs = SeatMap(plan.seats, plan.drawing.focal).runs
    assert [[plan.seats[idx].number for idx in run] for run in runs] == [[5, 3, 1], [2, 4, 6]] * 2


def test_states_and_types_keep_seats_from_sale_and_mark_them() -> None:
    def blocked(name: str) -> list[int]:
        return sorted(read(name)[1].blocked)

    assert blocked("hi-events-39.csv") == [1, 2, 3]
    assert blocked("seatreg-26.csv") == [1, 2]
    assert [seat.marks for seat in read("ex-pass-112.csv")[1].seats] == [("wheelchair",), ("companion",), ()]
    marks = [seat.marks for seat in read("seatsio-python-53.json")[1].seats]
    assert marks == [("wheelchair",), ("companion", "restricted_view")]


def test_decimal_commas_are_read_in_points_and_prices() -> None:
    assert [(seat.x, seat.y) for seat in read("buckets-530.csv")[1].seats] == [(10.5, 3.25), (12.5, 3.25)]
    assert read("dokuly-149.csv")[1].grades == {"R": 50_000}


def test_what_is_no_seat_or_no_column_of_ours_is_told() -> None:
    sheet, _ = read("openflights-1462.csv")
    assert [line for line, _ in sheet.skipped.kept] == [1, 2, 7]
    assert read("ubersystem-1560.csv")[0].ignored == ("notes",)
    assert read("pandas-28335.csv")[0].skipped.total == 1
