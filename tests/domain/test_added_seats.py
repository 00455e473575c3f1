"""Seats that are added to a hall stand where a person would look for them, or are refused."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.added_seats import ADDED_MAX, Added, NewSeat, Refusal, WhyNot, add
from app.domain.hall import Spot, draw
from app.domain.neighbours import runs_of_neighbours
from app.domain.seat import Seat
from app.domain.seat_choice import BadNumbers, choose, each_of, numbers_of

LAYOUT: dict[str, Any] = {"width": 200.0, "height": 100.0, "sections": [{"name": "A", "label": "A", "x": 0, "y": 0}]}


def row(numbers: Sequence[int], *, name: str = "1", y: float = 10.0, at: int = 0, x: float = 100.0) -> list[Seat]:
    """A row whose seats stand 10 apart, in the given order from left to right."""
    return [Seat(at + n, "A", name, number, "R", 100, x + 10.0 * n, y) for n, number in enumerate(numbers)]


def new(number: int, *, section: str = "A", name: str = "1", **more: Any) -> NewSeat:
    return NewSeat(section=section, row=name, number=number, grade="R", **more)


def added(hall: Sequence[Seat], *wanted: NewSeat) -> Added:
    found = add(hall, LAYOUT, ["R"], wanted)
    assert isinstance(found, Added), found
    return found


def why_not(hall: Sequence[Seat], *wanted: NewSeat) -> WhyNot:
    found = add(hall, LAYOUT, ["R"], wanted)
    assert isinstance(found, Refusal)
    return found.why


@pytest.mark.parametrize(
    ("numbers", "number", "x"),
    [
        ([1, 2, 3], 4, 130.0),
        ([2, 3, 4], 1, 90.0),
        ([3, 2, 1], 4, 90.0),
        ([5, 3, 1, 2, 4, 6], 7, 90.0),  # odd to the left, even to the right
        ([5, 3, 1, 2, 4, 6], 8, 160.0),
        ([1, 3, 5], 7, 130.0),
        ([1, 2, 4, 5], 3, 115.0),  # between two others
        ([7], 8, 120.0),  # nothing shows how far apart its seats would be
    ],
)
def test_a_seat_goes_on_along_its_row(numbers: list[int], number: int, x: float) -> None:
    (seat,) = added(row(numbers), new(number)).seats
    assert (seat.idx, seat.number, seat.x, seat.y) == (len(numbers), number, x, 10.0)


def test_added_neighbours_are_neighbours() -> None:
    hall = row([1, 2, 3])
    seats = added(hall, new(4), new(5), new(1, name="2"), new(2, name="2")).seats
    assert sorted(runs_of_neighbours([*hall, *seats])) == [(0, 1, 2, 3, 4), (5, 6)]


def test_a_new_row_stands_behind_its_section_and_a_new_section_behind_the_hall() -> None:
    behind = added(row([1, 2, 3]), new(2, name="2"), new(1, section="B", name="1"))
    assert [(seat.x, seat.y) for seat in behind.seats] == [(110.0, 22.0), (100.0, 58.0)]
    assert [each["name"] for each in behind.layout["sections"]] == ["A", "B"]
    assert (behind.layout["width"], behind.layout["height"]) == (200.0, 100.0)


def test_a_new_row_goes_on_as_the_rows_before_it_do() -> None:
    """Also on an arc, in front of the first row, and between two."""
    arc = [
        Seat(at, "A", str(1 + at // 3), 1 + at % 3, "R", 1, 200 + reach * sin(angle), reach * cos(angle))
        for at, (reach, angle) in enumerate((reach, angle) for reach in (100, 160) for angle in (-0.4, 0.0, 0.4))
    ]
    wanted = [new(number, name=name) for name in ("3", "0", "1B") for number in (1, 3)]
    for seat, reach in zip(added(arc, *wanted).seats, (220, 220, 40, 40, 130, 130), strict=True):
        assert hypot(seat.x - 200, seat.y) == pytest.approx(reach, abs=0.01)


def test_the_drawing_grows_with_the_hall() -> None:
    grown = added(row([1, 2]), new(3, point=(500.0, 300.0))).layout
    assert (grown["width"], grown["height"]) == (520.0, 320.0)


def test_what_cannot_be_meant_is_refused_whole() -> None:
    hall = row([1, 2, 3])
    assert why_not(hall, new(4), new(3)) is WhyNot.twice
    assert why_not(hall, new(4), new(4)) is WhyNot.twice
    assert why_not(hall, new(9, point=(113.0, 13.0))) is WhyNot.point_taken, "half a seat's width is no room"
    assert why_not(row([12, 13], x=0.0), new(1)) is WhyNot.point_taken, "to the left of the drawing"
    assert why_not(hall, NewSeat(section="A", row="1", number=4, grade="S")) is WhyNot.grade
    assert why_not(hall, *(new(number) for number in range(4, ADDED_MAX + 5))) is WhyNot.too_many


@given(st.integers(3, 40), st.integers(1, 2), st.data())
def test_a_seat_that_was_taken_out_of_a_drawn_row_comes_back_to_where_it_was(
    seats: int, every: int, data: st.DataObject
) -> None:
    numbers = [1 + every * at for at in range(seats)]
    points, _ = draw([Spot("A", "1", number, 0) for number in numbers])
    hall = [Seat(at, "A", "1", number, "R", 1, *points[at]) for at, number in enumerate(numbers)]
    missing = data.draw(st.sampled_from(hall))
    (seat,) = added([seat for seat in hall if seat is not missing], new(missing.number)).seats
    assert (seat.x, seat.y) == (missing.x, missing.y)


def test_the_first_seat_of_an_empty_hall_has_a_place() -> None:
    (seat,) = added([], new(1)).seats
    assert seat.x > 0
    assert seat.y > 0


def test_numbers_are_read_as_people_write_them() -> None:
    hall = [*row([1, 2, 3, 10, 11]), Seat(5, "A", "1", 12, "R", 1, 0.0, 0.0, "12A"), Seat(6, "A", "2", 1, "R", 1, 0, 9)]
    for text, expected in {
        "1-3": [0, 1, 2],
        "1 - 3, 11": [0, 1, 2, 4],
        "3;10": [2, 3],
        "12A": [5],
        "12": [],  # of the seat that is called 12A only the range tells
        "10–12": [3, 4, 5],
        "": [0, 1, 2, 3, 4, 5],
    }.items():
        assert choose(hall, "A", "1", numbers_of(text)) == expected, text
    assert choose(hall, "A", "", numbers_of("1")) == [0, 6]
    assert choose(hall, "B", "", ()) == []
    assert [name.number for name in each_of(numbers_of("7-9,12A"))] == [7, 8, 9, 12]


@pytest.mark.parametrize("text", ["x-y", "9-3", "1-", "!", "1-999999", "1 " * 300])
def test_what_names_no_seats_is_refused(text: str) -> None:
    with pytest.raises(BadNumbers):
        numbers_of(text)
