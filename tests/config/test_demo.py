"""The demo shows every way an event can be sold, in halls that can be drawn and sat in."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import hypot
from typing import Any

import pytest

from app.domain.seating import Seat, SeatMap
from config.demo import ACCOUNTS, DemoEvent, demo_events
from config.halls import SEAT_SIZE, Hall

NOW = datetime(2026, 3, 1, 15, 30, 12, 345, UTC)  # half past midnight of the next day in Seoul
EVENTS = {event.id: event for event in demo_events(NOW)}


@pytest.fixture(params=list(EVENTS))
def event(request: pytest.FixtureRequest) -> DemoEvent:
    return EVENTS[request.param]


def seat_map(event: DemoEvent) -> SeatMap:
    seats = [
        Seat(idx, s.section, s.row, s.number, s.grade, event.prices[s.grade], s.x, s.y)
        for idx, s in enumerate(event.hall.seats)
    ]
    return SeatMap(seats, event.hall.focal)


def sections(hall: Hall) -> list[dict[str, Any]]:
    found = hall.layout["sections"]
    assert isinstance(found, list)
    return found


def test_there_is_an_arena_a_club_a_sale_without_a_line_and_one_that_opens_later() -> None:
    assert list(EVENTS) == ["demo", "small", "open-air", "upcoming"]
    assert {id: event.admission for id, event in EVENTS.items()} == {
        "demo": "room",
        "small": "room",
        "open-air": "open",
        "upcoming": "room",
    }
    seats = {id: len(event.hall.seats) for id, event in EVENTS.items()}
    assert 2_000 <= seats["demo"] <= 3_000
    assert seats["small"] == 120
    assert 700 <= seats["open-air"] <= 900


def test_the_arena_sells_four_grades_at_their_prices() -> None:
    assert EVENTS["demo"].prices == {"VIP": 165_000, "R": 132_000, "S": 110_000, "A": 88_000}


def test_all_but_the_upcoming_event_are_on_sale_at_once() -> None:
    opens_at = {id: event.sale_opens_at for id, event in EVENTS.items()}
    assert opens_at == {"demo": NOW, "small": NOW, "open-air": NOW, "upcoming": NOW + timedelta(hours=1)}


def test_a_show_begins_on_the_hour_in_seoul_after_its_sale(event: DemoEvent) -> None:
    assert event.zone == "Asia/Seoul"
    assert event.starts_at.utcoffset() == timedelta(hours=9)
    assert (event.starts_at.minute, event.starts_at.second, event.starts_at.microsecond) == (0, 0, 0)
    assert event.sale_opens_at < event.sale_closes_at < event.starts_at


def test_the_day_of_a_show_is_counted_in_seoul() -> None:
    assert EVENTS["demo"].starts_at.isoformat() == "2026-04-01T19:00:00+09:00"


def test_an_event_speaks_korean_and_english(event: DemoEvent) -> None:
    for korean, english in (
        (event.ko.title, event.en.title),
        (event.ko.venue, event.en.venue),
        (event.ko.description, event.en.description),
    ):
        assert any("가" <= letter <= "힣" for letter in korean)
        assert english.isascii()


def test_a_hall_sells_exactly_the_grades_that_have_a_price(event: DemoEvent) -> None:
    assert {seat.grade for seat in event.hall.seats} == set(event.prices)


def test_a_grade_is_nearer_to_the_stage_than_the_cheaper_ones(event: DemoEvent) -> None:
    x, y = event.hall.focal
    mean = {
        grade: sum(hypot(s.x - x, s.y - y) for s in event.hall.seats if s.grade == grade) / count
        for grade, count in Counter(s.grade for s in event.hall.seats).items()
    }
    assert sorted(mean, key=lambda grade: mean[grade]) == list(event.prices)


def test_no_seat_is_made_twice_or_outside_the_drawing(event: DemoEvent) -> None:
    hall = event.hall
    assert len({(s.section, s.row, s.number) for s in hall.seats}) == len(hall.seats)
    width, height = hall.layout["width"], hall.layout["height"]
    assert isinstance(width, float)
    assert isinstance(height, float)
    assert all(SEAT_SIZE < s.x < width - SEAT_SIZE and SEAT_SIZE < s.y < height - SEAT_SIZE for s in hall.seats)


def test_no_seat_is_drawn_over_another(event: DemoEvent) -> None:
    by_height = sorted(event.hall.seats, key=lambda seat: seat.y)
    for place, seat in enumerate(by_height):
        for other in by_height[place + 1 :]:
            if other.y - seat.y >= SEAT_SIZE:
                break
            assert hypot(other.x - seat.x, other.y - seat.y) >= SEAT_SIZE, (seat, other)


def test_every_section_is_named_once_in_the_drawing(event: DemoEvent) -> None:
    named = [section["name"] for section in sections(event.hall)]
    assert sorted(named) == sorted({seat.section for seat in event.hall.seats})


def test_the_stage_is_drawn_in_front_of_every_seat(event: DemoEvent) -> None:
    stage = event.hall.layout["stage"]
    assert isinstance(stage, dict)
    assert 0 < stage["x"] < event.hall.focal[0] < stage["x"] + stage["width"]
    assert stage["y"] + stage["height"] == event.hall.focal[1]
    assert all(seat.y > event.hall.focal[1] for seat in event.hall.seats)


def test_a_row_of_a_section_is_one_run_of_neighbours_from_left_to_right(event: DemoEvent) -> None:
    built = seat_map(event)
    assert len(built.runs) == len({(seat.section, seat.row) for seat in event.hall.seats})
    for run in built.runs:
        assert all(built.seats[a].x < built.seats[b].x for a, b in pairwise(run))


def test_a_hall_is_the_same_whenever_it_is_built(event: DemoEvent) -> None:
    later = {event.id: event for event in demo_events(NOW + timedelta(days=400))}
    assert later[event.id].hall == event.hall


def test_an_admin_and_a_buyer_can_log_in() -> None:
    assert {(a.email, a.password, a.role) for a in ACCOUNTS} == {
        ("admin@tiketi.gg", "admin123", "admin"),
        ("test@tiketi.gg", "test1234", "buyer"),
    }


def test_the_left_and_the_right_of_a_hall_are_as_far_from_the_stage(event: DemoEvent) -> None:
    x, y = event.hall.focal
    assert {(round(s.x - x, 1), round(s.y - y, 1)) for s in event.hall.seats} == {
        (round(x - s.x, 1), round(s.y - y, 1)) for s in event.hall.seats
    }
