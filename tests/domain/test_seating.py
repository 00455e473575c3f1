"""Best available does what a person with a list of the seats and much patience would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, hypot, sin
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.layout import DISTANCE_STEPS
from app.domain.seatfile import read_sheet
from app.domain.seating import Availability, Seat, SeatMap
from app.domain.seatplan import Given, read_plan
from app.domain.wish import Adjacent, Wish

GRADES = ("VIP", "R", "S")
FOCAL = (5.0, -2.0)


@dataclass(frozen=True)
class Hall:
    seats: tuple[Seat, ...]
    free: frozenset[int]

    def availability(self, free: frozenset[int] | None = None) -> Availability:
        free = self.free if free is None else free
        return Availability(SeatMap(self.seats, FOCAL), bytearray(seat.idx not in free for seat in self.seats))


def a_hall(dice: Random) -> Hall:
    """A few rows in two sections, listed in any order: with points or without, numbered from one end, odd to the left
    and even to the right, or in one parity; with aisles; grades by row or mixed; rows wider than others.
    """
    seats: list[Seat] = []
    for section in ("A", "B")[: dice.randint(1, 2)]:
        drawn = dice.random() < 0.8
        for row in range(dice.randint(1, 4)):
            mixed, grade, pitch = dice.random() < 0.5, dice.choice(GRADES), dice.choice((1.0, 1.0, 1.0, 2.0))
            numbers = numbered(dice, dice.randint(1, 9))
            x = dice.choice((0.0, 0.5)) + (20.0 if section == "B" else 0.0)
            for number in numbers:
                grade = dice.choice(GRADES) if mixed else grade
                x += pitch * dice.choice((1.0, 1.0, 1.0, 1.0, 1.1, 2.0))
                point = (x, row * 1.5) if drawn else (0.0, 0.0)
                marks = dice.choice((("wheelchair",), ("companion",), ("restricted_view",), *[()] * 12))
                seats.append(Seat(len(seats), section, "ABCD"[row], number, grade, 1000, *point, marks=marks))
    dice.shuffle(seats)
    listed = tuple(replace(seat, idx=idx) for idx, seat in enumerate(seats))
    share = dice.choice((0.3, 0.5, 0.7, 0.9))
    return Hall(listed, frozenset(seat.idx for seat in listed if dice.random() < share))


def numbered(dice: Random, seats: int) -> list[int]:
    """The numbers of a row from left to right."""
    first = dice.randint(1, 3)
    match dice.choice(("from one end", "from the other", "with a gap", "odd and even", "one parity")):
        case "from one end":
            return list(range(first, first + seats))
        case "from the other":
            return list(range(first + seats - 1, first - 1, -1))
        case "with a gap":
            return [number + 2 * (number > first + seats // 2) for number in range(first, first + seats)]
        case "odd and even":
            left = dice.randint(0, seats)
            return [*range(2 * left - 1, 0, -2), *range(2, 2 * (seats - left) + 1, 2)]
        case _:
            return list(range(first, first + 2 * seats, 2))


halls = st.randoms(use_true_random=False).map(a_hall)
wishes = st.builds(
    Wish,
    quantity=st.integers(1, 8),
    grades=st.lists(st.sampled_from((*GRADES, "none of these")), max_size=3).map(tuple),
    adjacent=st.sampled_from(["required", "preferred", True, False]),
)


class Model:
    """The same rules with lists and loops only."""

    def __init__(self, hall: Hall) -> None:
        self.seats = hall.seats
        self.free = frozenset(idx for idx in hall.free if not is_kept(hall.seats[idx]))
        self.usual: dict[str, float] = {}  # by section
        self.next: dict[int, int] = {}  # a seat → its neighbour to one side
        self.before: dict[int, int] = {}
        steps: list[int] = []
        for section in {seat.section for seat in self.seats}:
            mine = [seat for seat in self.seats if seat.section == section]
            rows = [[seat for seat in mine if seat.row == row] for row in {seat.row for seat in mine}]
            gaps = sorted(b.x - a.x for row in map(ordered, rows) if has_points(row) for a, b in pairwise(row))
            for row in map(ordered, rows):
                for a, b in pairwise(row):
                    if beside(row, a, b, gaps):
                        self.next[a.idx], self.before[b.idx] = b.idx, a.idx
                        steps.append(int(hypot(b.x - a.x, b.y - a.y) * DISTANCE_STEPS))
        self.pitch = max(1, sorted(steps)[(len(steps) - 1) // 2]) if steps else DISTANCE_STEPS

    def groups(self, pool: frozenset[int], quantity: int) -> list[tuple[int, ...]]:
        groups = []
        for idx in pool:
            group = [idx]
            while len(group) < quantity and group[-1] in self.next:
                group.append(self.next[group[-1]])
            if len(group) == quantity and pool.issuperset(group):
                groups.append(tuple(group))
        return groups

    def orphans(self, group: tuple[int, ...]) -> int:
        left = self.free - set(group)
        ends = [(self.before.get(group[0]), self.before), (self.next.get(group[-1]), self.next)]
        return sum(end in left and further.get(end) not in left for end, further in ends if end is not None)

    def distance(self, idx: int) -> int:
        return int(hypot(self.seats[idx].x - FOCAL[0], self.seats[idx].y - FOCAL[1]) * DISTANCE_STEPS)

    def cost(self, group: tuple[int, ...]) -> int:
        """Every seat its distance; for every seat left alone, three seat widths for each of the group."""
        return sum(map(self.distance, group)) + 3 * self.pitch * len(group) * self.orphans(group)

    def middle(self, group: tuple[int, ...]) -> tuple[float, float]:
        xs, ys = [self.seats[idx].x for idx in group], [self.seats[idx].y for idx in group]
        return sum(xs) / len(xs), sum(ys) / len(ys)

    def best(self, pool: frozenset[int], quantity: int) -> tuple[int, ...] | None:
        groups = self.groups(pool, quantity)
        return min(groups, key=lambda group: (self.cost(group), group[0]), default=None)

    def choose(self, wish: Wish) -> tuple[int, ...] | None:
        for grade in wish.grades or (None,):
            pool = frozenset(i for i in self.free if grade is None or self.seats[i].grade == grade)
            if len(pool) < wish.quantity:
                continue
            if not wish.adjacent:
                return self.around(pool, wish.quantity)
            found = self.best(pool, wish.quantity)
            if found is None and wish.adjacent != "required":
                found = self.party(pool, wish.quantity)
            if found is not None:
                return found
        return None

    def around(self, pool: frozenset[int], quantity: int) -> tuple[int, ...]:
        start = self.best(pool, 1)
        assert start is not None
        seat = self.seats[start[0]]
        others = sorted(
            pool - set(start), key=lambda i: ((self.seats[i].x - seat.x) ** 2 + (self.seats[i].y - seat.y) ** 2, i)
        )
        return start + tuple(others[: quantity - 1])

    def party(self, pool: frozenset[int], quantity: int) -> tuple[int, ...]:
        """Nobody alone, then few groups, then even ones; then the least cost."""
        shapes = {tuple(sorted(shape, reverse=True)) for shape in divided(quantity)}
        for shape in sorted(shapes, key=lambda shape: (shape.count(1), len(shape), max(shape), shape)):
            found = [party for group in self.groups(pool, shape[0]) if (party := self.completed(group, shape, pool))]
            if found:
                return min(found)[2]
        raise AssertionError("as many groups as people always fit")

    def completed(
        self, first: tuple[int, ...], shape: tuple[int, ...], pool: frozenset[int]
    ) -> tuple[int, tuple[int, ...], tuple[int, ...]] | None:
        """The whole party around its first group: (cost, first seats, seats). None if there is no room."""
        x, y = self.middle(first)
        total, seats, firsts = self.cost(first), first, [first[0]]
        for size in shape[1:]:
            touched = {*seats, *(self.next.get(i, -1) for i in seats), *(self.before.get(i, -1) for i in seats)}
            costs = []
            for group in self.groups(pool - touched, size):
                x2, y2 = self.middle(group)
                apart = 2 * size * int(hypot(x2 - x, y2 - y) * DISTANCE_STEPS)
                costs.append((self.cost(group) + apart, group[0], group))
            if not costs:
                return None
            cost, start, group = min(costs)
            total, seats = total + cost, seats + group
            firsts.append(start)
        return total, tuple(firsts), seats


def is_kept(seat: Seat) -> bool:
    """For somebody who needs it: nobody gets it without choosing it."""
    return "wheelchair" in seat.marks or "companion" in seat.marks


def ordered(row: Sequence[Seat]) -> list[Seat]:
    """From left to right; where no points are, by number."""
    return sorted(row, key=lambda seat: (seat.x if has_points(row) else 0.0, seat.number))


def has_points(row: Sequence[Seat]) -> bool:
    return len({(seat.x, seat.y) for seat in row}) == len(row)


def beside(row: Sequence[Seat], a: Seat, b: Seat, gaps_in_section: Sequence[float]) -> bool:
    """Whether two seats that follow each other in their row are side by side."""
    if not has_points(row):
        return b.number - a.number == (2 if len({seat.number % 2 for seat in row}) == 1 else 1)
    gaps = sorted(b.x - a.x for a, b in pairwise(row)) if len(row) > 3 else gaps_in_section
    return b.x - a.x <= 1.5 * gaps[(len(gaps) - 1) // 4] + 1e-6


def divided(quantity: int) -> Iterator[tuple[int, ...]]:
    if not quantity:
        yield ()
    for size in range(1, quantity + 1):
        yield from ((size, *rest) for rest in divided(quantity - size))


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


@given(halls, wishes)
def test_the_choice_is_the_one_a_patient_person_would_make(hall: Hall, wish: Wish) -> None:
    assert hall.availability().choose(wish) == Model(hall).choose(wish)


@given(halls, wishes)
def test_a_choice_is_as_many_free_seats_of_one_wished_grade_as_were_wished(hall: Hall, wish: Wish) -> None:
    chosen = hall.availability().choose(wish)
    if chosen is not None:
        assert len(set(chosen)) == len(chosen) == wish.quantity
        assert hall.free.issuperset(chosen)
        grades = {hall.seats[idx].grade for idx in chosen}
        assert not wish.grades or (len(grades) == 1 and grades <= set(wish.grades))


@given(halls, wishes)
def test_no_choice_means_that_no_wished_grade_has_enough_seats(hall: Hall, wish: Wish) -> None:
    availability = hall.availability()
    is_required = wish.adjacent == "required"
    left = availability.left_together(wish.quantity + 1) if is_required else availability.left()
    some = max(left.values(), default=0) if is_required else sum(left.values())
    enough = [left.get(grade, 0) >= wish.quantity for grade in wish.grades]
    if not wish.grades and is_required and some < wish.quantity:
        return  # side by side in different grades: the model tells
    enough = enough or [some >= wish.quantity]
    assert (availability.choose(wish) is not None) == any(enough)


@given(halls, st.lists(st.tuples(wishes, st.booleans()), max_size=12))
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
        assert sum(lived.left().values()) == sum(not is_kept(hall.seats[idx]) for idx in free)


@given(halls, wishes)
@example(Hall((), frozenset()), Wish(quantity=1))
def test_choosing_takes_nothing(hall: Hall, wish: Wish) -> None:
    availability = hall.availability()
    before = availability.left()
    assert availability.choose(wish) == availability.choose(wish)
    assert availability.left() == before


def test_seats_for_wheelchairs_and_companions_are_given_to_nobody_who_did_not_choose_them() -> None:
    marks = ((), ("wheelchair",), ("companion",), (), ("restricted_view",))
    seats = [replace(seat, marks=mark) for seat, mark in zip(row("....."), marks, strict=True)]
    free = Availability(SeatMap(seats, (2.0, -1.0)), bytes(5))
    assert free.choose(Wish(quantity=2)) == (3, 4), "not the middle of the row"
    assert free.choose(Wish(quantity=4)) is None
    assert free.left() == {"VIP": 3}
    assert free.left_together(5) == {"VIP": 2}
    assert free.singles([3, 4]) == ((), False), "the seat beside them was alone before"
    assert free.is_free(1)
    free.take([1, 2])
    assert not free.is_free(1)
    assert free.left() == {"VIP": 3}
    free.give_back([2])
    assert (free.is_free(1), free.is_free(2)) == (False, True)


def test_a_pair_sits_in_the_middle_of_the_first_row() -> None:
    assert places(hall("........", "........"), Wish(quantity=2)) == [("1", 4), ("1", 5)]


def test_a_pair_moves_aside_rather_than_leave_one_seat_alone() -> None:
    assert places(hall("x.....xx"), Wish(quantity=2)) == [("1", 5), ("1", 6)]


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
    assert sorted(places(hall(".x.x", "....", grades=("VIP", "R")), wish) or []) == [("1", 1), ("1", 3)]


def test_a_wish_that_cannot_be_met_gets_nothing_and_is_told_what_is_left() -> None:
    availability = hall("x.xx", "xxxx", grades=("VIP", "R"))
    assert availability.choose(Wish(quantity=2)) is None
    assert availability.choose(Wish(quantity=1, grades=("R", "unheard of"))) is None
    assert availability.left() == {"VIP": 1, "R": 0}


def test_people_across_an_aisle_are_not_neighbours() -> None:
    seats = [replace(seat, x=seat.x + (1.5 if seat.number > 3 else 0.0)) for seat in row("......")]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2), (3, 4, 5))


def test_seats_without_points_whose_numbers_are_not_consecutive_are_not_neighbours() -> None:
    seats = [replace(seat, x=0.0, number=seat.number + (seat.number > 2)) for seat in row("....")]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1), (2, 3))


def test_a_row_without_points_of_one_parity_counts_in_twos() -> None:
    for first in (1, 2):
        seats = [replace(seat, x=0.0, number=first + 2 * seat.idx) for seat in row("....")]
        assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2, 3),)


def test_points_decide_who_is_side_by_side_whatever_the_numbers_are() -> None:
    """Odd numbers to the left of the aisle, even ones to the right: 5 3 1 | 2 4 6."""
    numbers, xs = (5, 3, 1, 2, 4, 6), (0.0, 1.0, 2.0, 5.0, 6.0, 7.0)
    seats = [replace(seat, number=numbers[seat.idx], x=xs[seat.idx]) for seat in row("......")]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2), (3, 4, 5))
    assert Availability(SeatMap(seats, (3.5, -1.0)), bytes(6)).choose(Wish(quantity=2)) == (1, 2)


def test_a_hall_numbered_odd_left_and_even_right_gives_no_two_seats_one_behind_the_other() -> None:
    """A file with sections of one parity and no points: A15 and A17 are side by side, A15 and B15 are not."""
    lines = [
        f"{side},{name},{n},R" for side, first in (("L", 1), ("R", 2)) for name in "AB" for n in range(first, 20, 2)
    ]
    sheet = read_sheet("\n".join(["section,row,number,grade", *lines]).encode())
    plan = read_plan(sheet, Given(prices={"R": 1})).plan
    assert plan is not None
    free = Availability(SeatMap(plan.seats, plan.drawing.focal), bytes(len(plan.seats)))
    chosen = [plan.seats[idx] for idx in free.choose(Wish(quantity=2)) or ()]
    assert len({(seat.section, seat.row) for seat in chosen}) == 1
    assert abs(chosen[0].number - chosen[1].number) == 2


def test_a_short_row_across_an_aisle_goes_by_what_is_usual_in_its_section() -> None:
    seats = [*row("....."), *(replace(seat, x=seat.x * 3) for seat in row("..", name="2", y=1.0, at=5))]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2, 3, 4), (5,), (6,))


def test_a_row_that_is_wider_than_the_others_has_neighbours_too() -> None:
    seats = [*row("....."), *(replace(seat, x=seat.x * 2) for seat in row(".....", name="2", y=1.0, at=5))]
    assert SeatMap(seats, (0.0, 0.0)).runs == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def test_a_curved_row_and_a_folded_one_go_by_their_numbers() -> None:
    around = [replace(seat, x=cos(seat.idx / 2), y=sin(seat.idx / 2)) for seat in row("." * 11)]  # nearly a circle
    assert SeatMap(around, (0.0, 0.0)).runs in ((tuple(range(11)),), (tuple(range(10, -1, -1)),))
    folded = [replace(seat, x=float(seat.idx % 10), y=1.2 * (seat.idx // 10)) for seat in row("." * 20)]
    assert SeatMap(folded, (0.0, 0.0)).runs == (tuple(range(10)), tuple(range(10, 20)))


def test_two_pairs_are_better_than_three_and_one() -> None:
    chosen = places(hall("...x.x.."), Wish(quantity=4))
    assert sorted(chosen or []) == [("1", 2), ("1", 3), ("1", 7), ("1", 8)]


def test_friends_in_two_pairs_sit_near_each_other_and_not_one_pair_in_front() -> None:
    back = ["x" * 12] * 20
    chosen = places(hall("xxxxx..xxxxx", *back, "xxx..x..xxxx"), Wish(quantity=4))
    assert {row for row, _ in chosen or ()} == {"22"}


def test_nobody_goes_far_back_only_to_leave_no_seat_alone() -> None:
    assert places(hall("xx...xxx", "....xxxx"), Wish(quantity=2)) == [("2", 3), ("2", 4)]
    far = places(hall("xx...xxx", *["xxxxxxxx"] * 9, "....xxxx"), Wish(quantity=2))
    assert far == [("1", 4), ("1", 5)]


def test_required_neighbours_are_neighbours_or_none() -> None:
    availability = hall("..x..x.x", "xxxxx...", grades=("VIP", "R"))
    assert availability.choose(Wish(quantity=4, adjacent="required")) is None
    assert availability.left_together(4) == {"VIP": 2, "R": 3}
    assert places(availability, Wish(quantity=3, grades=("VIP", "R"), adjacent="required")) == [
        ("2", 6),
        ("2", 7),
        ("2", 8),
    ]


def test_the_groups_of_a_choice_are_counted() -> None:
    seat_map = hall("........", "........").seat_map
    assert [seat_map.groups(chosen) for chosen in ((), (3,), (4, 2, 3), (0, 1, 3, 4), (7, 8))] == [0, 1, 1, 2, 2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_random_halls_are_answered_as_by_brute_force() -> None:
    dice = Random(10_000)
    for _ in range(10_000):
        hall = a_hall(dice)
        adjacent: Adjacent = dice.choice(("required", "preferred", "preferred", False))
        grades = tuple(dice.sample(GRADES, dice.randint(0, 2)))
        wish = Wish(quantity=dice.randint(1, 8), grades=grades, adjacent=adjacent)
        assert hall.availability().choose(wish) == Model(hall).choose(wish), (hall, wish)


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
