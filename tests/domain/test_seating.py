"""Best available does what a person with a list of the seats and much patience would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import hypot

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.layout import DISTANCE_STEPS
from app.domain.seating import Availability, Seat, SeatMap
from app.domain.wish import Wish

GRADES = ("VIP", "R", "S")
FOCAL = (5.0, -2.0)


@dataclass(frozen=True)
class Hall:
    seats: tuple[Seat, ...]
    free: frozenset[int]

    def availability(self, free: frozenset[int] | None = None) -> Availability:
        free = self.free if free is None else free
        return Availability(SeatMap(self.seats, FOCAL), bytearray(seat.idx not in free for seat in self.seats))


@st.composite
def halls(draw: st.DrawFn) -> Hall:
    """A few rows in two sections; numbers that jump where an aisle is; grades by row or mixed; listed in any order."""
    seats: list[Seat] = []
    for section in ("A", "B")[: draw(st.integers(1, 2))]:
        for row in range(draw(st.integers(1, 4))):
            number = draw(st.integers(1, 3))
            mixed = draw(st.booleans())
            grade = draw(st.sampled_from(GRADES))
            for _ in range(draw(st.integers(1, 9))):
                number += 2 if draw(st.integers(0, 7)) == 0 else 1
                grade = draw(st.sampled_from(GRADES)) if mixed else grade
                x = number + (20.0 if section == "B" else 0.0)
                seats.append(Seat(len(seats), section, str(row), number, grade, 1000, x, row * 1.5))
    order = draw(st.permutations(seats))
    listed = tuple(replace(seat, idx=idx) for idx, seat in enumerate(order))
    free = draw(st.sets(st.sampled_from([seat.idx for seat in listed])))
    return Hall(listed, frozenset(free if draw(st.booleans()) else {s.idx for s in listed} - free))


wishes = st.builds(
    Wish,
    quantity=st.integers(1, 8),
    grades=st.lists(st.sampled_from((*GRADES, "none of these")), max_size=3).map(tuple),
    adjacent=st.booleans(),
)


class Model:
    """The same rules with lists and loops only."""

    def __init__(self, hall: Hall) -> None:
        self.seats = hall.seats
        self.free = hall.free
        self.at = {(s.section, s.row, s.number): s.idx for s in hall.seats}

    def beside(self, idx: int, step: int) -> int | None:
        seat = self.seats[idx]
        return self.at.get((seat.section, seat.row, seat.number + step))

    def groups(self, pool: frozenset[int], quantity: int) -> list[tuple[int, ...]]:
        groups = []
        for idx in pool:
            seat = self.seats[idx]
            group = tuple(self.at.get((seat.section, seat.row, seat.number + n), -1) for n in range(quantity))
            if pool.issuperset(group):
                groups.append(group)
        return groups

    def leaves_an_orphan(self, group: tuple[int, ...]) -> bool:
        left = self.free - set(group)
        ends = ((self.beside(group[0], -1), -1), (self.beside(group[-1], 1), 1))
        return any(end in left and self.beside(end, step) not in left for end, step in ends if end is not None)

    def distance(self, group: tuple[int, ...]) -> int:
        steps = (hypot(self.seats[i].x - FOCAL[0], self.seats[i].y - FOCAL[1]) for i in group)
        return sum(int(step * DISTANCE_STEPS) for step in steps)

    def best(self, pool: frozenset[int], quantity: int) -> tuple[int, ...] | None:
        rank: Callable[[tuple[int, ...]], object] = lambda g: (self.leaves_an_orphan(g), self.distance(g), g[0])  # noqa: E731 # a key for min, typed
        return min(self.groups(pool, quantity), key=rank, default=None)  # type: ignore[arg-type]  # tuples compare

    def choose(self, wish: Wish) -> tuple[int, ...] | None:
        for grade in wish.grades or (None,):
            pool = frozenset(i for i in self.free if grade is None or self.seats[i].grade == grade)
            if len(pool) >= wish.quantity:
                return self.choose_from(pool, wish)
        return None

    def choose_from(self, pool: frozenset[int], wish: Wish) -> tuple[int, ...]:
        lengths = range(wish.quantity, 0, -1) if wish.adjacent else (1,)
        start = next(start for length in lengths if (start := self.best(pool, length)) is not None)
        x = (self.seats[start[0]].x + self.seats[start[-1]].x) / 2
        y = (self.seats[start[0]].y + self.seats[start[-1]].y) / 2
        others = sorted(pool - set(start), key=lambda i: ((self.seats[i].x - x) ** 2 + (self.seats[i].y - y) ** 2, i))
        return start + tuple(others[: wish.quantity - len(start)])


def row(
    free: str, *, section: str = "A", name: str = "1", y: float = 0.0, grade: str = "VIP", at: int = 0
) -> list[Seat]:
    return [Seat(at + n, section, name, n + 1, grade, 1000, float(n), y) for n in range(len(free))]


def hall(*rows: str, grades: tuple[str, ...] = ()) -> Availability:
    """Rows from the stage backwards: `.` a free seat, `x` a taken one. The stage is before the middle."""
    seats: list[Seat] = []
    for depth, plan in enumerate(rows):
        grade = grades[depth] if grades else "VIP"
        seats += row(plan, name=str(depth + 1), y=float(depth), grade=grade, at=len(seats))
    middle = (len(rows[0]) - 1) / 2
    return Availability(SeatMap(seats, (middle, -1.0)), bytearray(mark == "x" for plan in rows for mark in plan))


def places(availability: Availability, wish: Wish) -> list[tuple[str, int]] | None:
    chosen = availability.choose(wish)
    return chosen and [(s.row, s.number) for s in (availability.seat_map.seats[i] for i in chosen)]  # type: ignore[return-value]  # chosen is never empty


@given(halls(), wishes)
def test_the_choice_is_the_one_a_patient_person_would_make(hall: Hall, wish: Wish) -> None:
    assert hall.availability().choose(wish) == Model(hall).choose(wish)


@given(halls(), wishes)
def test_a_choice_is_as_many_free_seats_of_one_wished_grade_as_were_wished(hall: Hall, wish: Wish) -> None:
    chosen = hall.availability().choose(wish)
    if chosen is not None:
        assert len(set(chosen)) == len(chosen) == wish.quantity
        assert hall.free.issuperset(chosen)
        grades = {hall.seats[idx].grade for idx in chosen}
        assert not wish.grades or (len(grades) == 1 and grades <= set(wish.grades))


@given(halls(), wishes)
def test_no_choice_means_that_no_wished_grade_has_enough_seats(hall: Hall, wish: Wish) -> None:
    availability = hall.availability()
    left = availability.left()
    enough = [left.get(grade, 0) >= wish.quantity for grade in wish.grades] or [sum(left.values()) >= wish.quantity]
    assert (availability.choose(wish) is not None) == any(enough)


@given(halls(), st.lists(st.tuples(wishes, st.booleans()), max_size=12))
def test_a_hall_that_lived_through_sales_answers_like_one_built_afresh(
    hall: Hall, sales: list[tuple[Wish, bool]]
) -> None:
    lived, free = hall.availability(), hall.free
    for wish, returned in sales:
        chosen = lived.choose(wish)
        assert chosen == hall.availability(free).choose(wish)
        if chosen is not None:
            lived.take(chosen)
            free -= set(chosen)
        if returned and len(free) < len(hall.seats):
            back = min({seat.idx for seat in hall.seats} - free)
            lived.give_back([back])
            free |= {back}
        assert [lived.is_free(seat.idx) for seat in hall.seats] == [seat.idx in free for seat in hall.seats]
        assert sum(lived.left().values()) == len(free)


@given(halls(), wishes)
@example(Hall((), frozenset()), Wish(quantity=1))
def test_choosing_takes_nothing(hall: Hall, wish: Wish) -> None:
    availability = hall.availability()
    before = availability.left()
    assert availability.choose(wish) == availability.choose(wish)
    assert availability.left() == before


def test_a_pair_sits_in_the_middle_of_the_first_row() -> None:
    assert places(hall("........", "........"), Wish(quantity=2)) == [("1", 4), ("1", 5)]


def test_a_pair_moves_aside_rather_than_leave_one_seat_alone() -> None:
    assert places(hall("x.....xx"), Wish(quantity=2)) == [("1", 5), ("1", 6)]


def test_a_pair_goes_to_the_back_rather_than_leave_one_seat_alone() -> None:
    assert places(hall("xx...xxx", "....xxxx"), Wish(quantity=2)) == [("2", 3), ("2", 4)]


def test_a_pair_leaves_a_seat_alone_when_nothing_else_is_left() -> None:
    assert places(hall("xx...xxx"), Wish(quantity=2)) == [("1", 4), ("1", 5)]


def test_one_buyer_fills_a_seat_that_is_alone_already_before_making_another() -> None:
    assert places(hall("x..xx.xx"), Wish(quantity=1)) == [("1", 6)]


def test_a_group_that_does_not_fit_a_row_splits_over_neighbouring_rows() -> None:
    chosen = places(hall("xx..xxxx", "xx..xxxx", "......xx"), Wish(quantity=8))
    assert chosen is not None
    assert {row: sum(1 for r, _ in chosen if r == row) for row in "123"} == {"1": 0, "2": 2, "3": 6}


def test_friends_who_need_not_sit_side_by_side_get_the_seats_around_the_best_one() -> None:
    chosen = places(hall(".......", "......."), Wish(quantity=4, adjacent=False))
    assert chosen is not None
    assert sorted(chosen) == [("1", 3), ("1", 4), ("1", 5), ("2", 4)]


def test_the_wished_grade_counts_more_than_the_better_seat() -> None:
    assert places(hall("....", "....", grades=("VIP", "R")), Wish(quantity=2, grades=("R", "VIP"))) == [
        ("2", 1),
        ("2", 2),
    ]


def test_a_grade_with_too_few_seats_gives_way_to_the_next_wished_one() -> None:
    wish = Wish(quantity=2, grades=("VIP", "R"))
    assert places(hall("x.xx", "....", grades=("VIP", "R")), wish) == [("2", 1), ("2", 2)]


def test_seats_apart_in_the_first_grade_come_before_neighbours_in_the_second() -> None:
    wish = Wish(quantity=2, grades=("VIP", "R"))
    assert places(hall(".x.x", "....", grades=("VIP", "R")), wish) == [("1", 3), ("1", 1)]


def test_a_wish_that_cannot_be_met_gets_nothing_and_is_told_what_is_left() -> None:
    availability = hall("x.xx", "xxxx", grades=("VIP", "R"))
    assert availability.choose(Wish(quantity=2)) is None
    assert availability.choose(Wish(quantity=1, grades=("R", "unheard of"))) is None
    assert availability.left() == {"VIP": 1, "R": 0}


def test_people_across_an_aisle_are_not_neighbours() -> None:
    seats = [replace(seat, x=seat.x + (1.5 if seat.number > 3 else 0.0)) for seat in row("......")]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2), (3, 4, 5))


def test_seats_whose_numbers_are_not_consecutive_are_not_neighbours() -> None:
    seats = [replace(seat, number=seat.number + (seat.number > 2)) for seat in row("....")]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1), (2, 3))


def test_seats_drawn_in_one_place_are_told_apart_by_number() -> None:
    seats = [replace(seat, x=0.0) for seat in row("....")]
    assert Availability(SeatMap(seats, (0.0, 0.0)), bytes(4)).choose(Wish(quantity=4)) == (0, 1, 2, 3)


def test_a_seat_next_to_another_grade_is_not_alone() -> None:
    seats = [replace(seat, grade="VIP" if seat.number <= 3 else "R") for seat in row(".....")]
    availability = Availability(SeatMap(seats, (0.0, 0.0)), bytes(5))
    assert availability.choose(Wish(quantity=2, grades=("VIP",))) == (0, 1)


def test_a_neighbour_of_another_grade_being_sold_is_noticed() -> None:
    seats = [replace(seat, grade="VIP" if seat.number <= 5 else "R") for seat in row(".......")]
    availability = Availability(SeatMap(seats, (2.5, -1.0)), bytes(7))
    wish = Wish(quantity=2, grades=("VIP",))
    assert availability.choose(wish) == (2, 3)
    availability.take([5])
    assert availability.choose(wish) == (3, 4)


def test_one_buyer_who_need_not_sit_beside_anyone_leaves_no_seat_alone_either() -> None:
    assert places(hall("x...xxxx"), Wish(quantity=1, adjacent=False)) == [("1", 4)]


def test_a_seat_out_of_place_in_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="seat 1 is at position 0"):
        SeatMap(row("..", at=1), FOCAL)


def test_a_status_for_another_hall_is_refused() -> None:
    with pytest.raises(ValueError, match="3 statuses for 2 seats"):
        Availability(SeatMap(row(".."), FOCAL), bytes(3))
