"""As many numbers are reserved as come in the next seconds, within bounds."""

from __future__ import annotations

import pytest

from app.domain.numbers import AHEAD_MAX, AHEAD_MIN, AHEAD_S, Demand


def demand_of(per_s: int, seconds: float, *, calls_per_s: int = 100) -> Demand:
    demand = Demand()
    for call in range(int(seconds * calls_per_s) + 1):
        demand.see(1_000 + call / calls_per_s, 7_000_000 + per_s * call // calls_per_s)
    return demand


def test_nobody_joins_or_few_do_and_the_least_is_reserved() -> None:
    for demand in (Demand(), demand_of(0, 10), demand_of(1_000, 10)):
        assert demand.ahead == AHEAD_MIN
        assert not demand.is_low(AHEAD_MIN // 2)
        assert demand.is_low(AHEAD_MIN // 2 - 1)


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_what_comes_in_the_next_second_is_never_more_than_what_is_left_before_more_are_asked_for(
    seconds: float,
) -> None:
    demand = demand_of(200_000, seconds)
    assert demand.ahead == pytest.approx(200_000 * AHEAD_S, rel=0.02)
    assert demand.is_low(195_000)
    assert not demand.is_low(210_000)


def test_a_sudden_crowd_counts_before_its_first_window_is_over() -> None:
    assert demand_of(400_000, 0.2).ahead > 2 * AHEAD_MIN


def test_a_crowd_that_is_over_is_forgotten() -> None:
    demand = demand_of(200_000, 1)
    for second in range(3):
        demand.see(1_010 + second, 7_200_000)
    assert demand.ahead == AHEAD_MIN


def test_a_jump_of_the_numbers_after_a_loss_reserves_no_more_than_the_most() -> None:
    demand = demand_of(1_000, 1)
    demand.see(1_001.3, 900_000_000)
    assert demand.ahead == AHEAD_MAX


def test_answers_that_come_in_another_order_are_no_numbers_taken_back() -> None:
    demand = Demand()
    for at_s, last_number in [(0.0, 500_000), (0.1, 400_000), (0.3, 300_000)]:
        demand.see(at_s, last_number)
    assert demand.ahead == AHEAD_MIN
