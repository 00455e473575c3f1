"""The admission rule, sentence by sentence. That admit.lua decides the same is what the model of the line proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.admission import (
    Bucket,
    Clocks,
    Limits,
    Line,
    Reports,
    absence_known,
    decide,
    refill,
    who_is_next,
)

LIMITS = Limits(rate_per_s=10.0, burst=5, max_active=50)
NOW_MS = 1_800_000_000_000
SLOT_MS = 30_000
SLOTS = 4


def line(*, ended: set[int] | None = None, absent: set[int] | None = None, returned: tuple[int, ...] = ()) -> Line:
    """Ten people, of whom the cursor has passed three."""
    return Line(
        cursor=3,
        last_number=10,
        returned=returned,
        has_ended=(ended or set()).__contains__,
        was_seen=lambda number: number not in (absent or set()),
        absence_known=True,
    )


def test_numbers_behind_the_cursor_are_let_in_in_order() -> None:
    assert who_is_next(line(), 3)[:3] == ([4, 5, 6], [], 6)


def test_nobody_is_let_in_behind_the_last_number() -> None:
    assert who_is_next(line(), 99)[:3] == ([4, 5, 6, 7, 8, 9, 10], [], 10)


def test_who_came_back_goes_first_in_order_and_moves_no_cursor() -> None:
    assert who_is_next(line(returned=(3, 1)), 3) == ([1, 3, 4], [], 4, [], True)
    assert who_is_next(line(returned=(3, 1)), 1) == ([1], [], 3, [3], True)


def test_a_position_that_has_ended_is_stepped_over_and_an_absent_one_passed_over() -> None:
    assert who_is_next(line(ended={4}, absent={5}), 2)[:3] == ([6, 7], [5], 7)


def test_while_absence_is_not_known_who_was_seen_is_let_in_and_nobody_further_back_is_passed_over() -> None:
    unsure = replace(line(ended={4, 8}, absent={5, 6, 9, 10}), absence_known=False)
    assert who_is_next(unsure, 9) == ([7], [5, 6], 8, [], True)
    assert who_is_next(unsure, 9, unseen_max=2) == ([], [], 4, [], True)


def test_while_absence_is_not_known_somebody_absent_who_came_back_holds_up_nobody() -> None:
    unsure = replace(line(absent={1}, returned=(1, 2)), absence_known=False)
    assert who_is_next(unsure, 2)[:4] == ([2, 4], [1], 4, [])


def test_while_nothing_is_reported_who_joined_just_now_passes_over_nobody() -> None:
    unsure = replace(line(absent={*range(5, 11)}), absence_known=False, reports_go_on=False, joined_after=9)
    assert who_is_next(unsure, 9)[:3] == ([4], [], 4)
    assert who_is_next(replace(unsure, reports_go_on=True), 9)[:3] == ([4, 10], [5, 6, 7, 8, 9], 10)
    assert who_is_next(replace(unsure, cursor=9), 9)[:3] == ([10], [], 10), "there is nobody to pass over"


def test_a_tick_looks_at_so_many_numbers_at_most() -> None:
    assert who_is_next(line(absent={4, 5, 6}), 9, scan_max=4)[:3] == ([7], [4, 5, 6], 7)


@pytest.mark.parametrize(
    ("reports", "known"),
    [
        (Reports(NOW_MS, NOW_MS - 3 * SLOT_MS), True),
        (Reports(NOW_MS, NOW_MS - 3 * SLOT_MS + 1), False),  # not for long enough
        (Reports(NOW_MS - SLOT_MS - 1, NOW_MS - 9 * SLOT_MS), False),  # not any more
        (Reports(NOW_MS + 1, NOW_MS - 9 * SLOT_MS), False),  # the clock was set back
        (Reports(None, 0), False),
    ],
)
def test_who_is_not_seen_is_absent_only_if_presence_was_reported_all_along(reports: Reports, known: bool) -> None:
    assert absence_known(reports, NOW_MS, SLOT_MS, SLOTS) is known


def test_time_becomes_tokens_up_to_burst() -> None:
    bucket = Bucket(1.0, NOW_MS)
    assert refill(bucket, LIMITS, Clocks(NOW_MS + 100, None, 100)) == (2.0, NOW_MS + 100, False)
    assert refill(bucket, LIMITS, Clocks(NOW_MS + 9_000, None, 9_000)) == (5.0, NOW_MS + 9_000, False)


def test_a_clock_that_was_set_forward_grants_no_more_than_the_worker_saw_pass() -> None:
    filled = refill(Bucket(1.0, NOW_MS), LIMITS, Clocks(NOW_MS + 3_600_000, NOW_MS, 100))
    assert filled.tokens == 2.0


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    filled = refill(Bucket(1.0, NOW_MS), LIMITS, Clocks(NOW_MS - 60_000, NOW_MS, 100))
    assert filled == (1.0, NOW_MS - 60_000, False)


def test_capacity_bounds_what_the_tokens_allow() -> None:
    clocks = Clocks(NOW_MS + 100, None, 100)
    decision = decide(line(), Bucket(4.0, NOW_MS), LIMITS, clocks, moves=True, inside=48)
    assert decision.outcome.let_in == [4, 5]
    assert decision.bucket == (3.0, NOW_MS + 100, False)


def test_a_room_that_does_not_move_lets_nobody_in_and_goes_on_filling() -> None:
    clocks = Clocks(NOW_MS + 100, None, 100)
    decision = decide(line(), Bucket(1.0, NOW_MS), LIMITS, clocks, moves=False, inside=0)
    assert (decision.outcome.let_in, decision.bucket) == ([], (2.0, NOW_MS + 100, False))


def test_ten_tenths_of_a_token_let_somebody_in() -> None:
    bucket = Bucket(0.0, NOW_MS)
    for tick in range(1, 11):
        clocks = Clocks(NOW_MS + tick * 10, None, 10)
        outcome, bucket, _ = decide(line(), bucket, LIMITS, clocks, moves=True, inside=0)
    assert outcome.let_in == [4]
