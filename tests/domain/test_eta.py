"""A wait is an honest range, known only while the line moves; polls come often in front and rarely far back."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.eta import (
    ETA_MAX_S,
    LONG_WINDOW_S,
    POLL_MAX_MS,
    POLL_MIN_MS,
    SAMPLE_GAP_S,
    SAMPLES_MAX,
    SHORT_WINDOW_S,
    SPREAD,
    DrainMeter,
    eta_range_s,
    first_poll_ms,
    lobby_poll_ms,
    pace_of,
    poll_after_ms,
)

rates = st.floats(0.05, 5_000)
distances = st.integers(0, 2_000_000)


def moving(per_s: float, seconds: int, every_s: float = 0.1) -> DrainMeter:
    meter = DrainMeter()
    for step in range(int(seconds / every_s) + 1):
        meter.add(step * every_s, int(step * every_s * per_s))
    return meter


@given(st.sampled_from([1.0, 7.0, 50.0, 400.0]), distances)
def test_a_line_that_moves_evenly_has_the_true_wait_in_its_range(per_s: float, distance: int) -> None:
    pace = moving(per_s, 30).pace(30.0, set_per_s=1.0)
    wait = eta_range_s(distance, pace)
    if distance / per_s < ETA_MAX_S / 2:
        assert wait is not None
        assert wait[0] <= distance / per_s <= wait[1]


def test_a_line_that_changed_its_pace_has_both_paces_in_its_range() -> None:
    meter = moving(10, 50)
    for step in range(1, 101):
        meter.add(50 + step / 10, 500 + step * 4)
    wait = eta_range_s(1_000, meter.pace(60.0, set_per_s=1.0))
    assert wait is not None
    assert wait[0] <= 1_000 / 40
    assert wait[1] >= 1_000 / 15


@given(distances, rates, rates)
def test_a_range_is_ordered_and_never_narrower_than_its_spread(distance: int, one: float, other: float) -> None:
    wait = eta_range_s(distance, pace_of(min(one, other), max(one, other)))
    if wait is not None:
        low, high = wait
        assert 0 <= low < high or low == high == ETA_MAX_S
        rounding = 1 + 1e-9  # a quotient and a product with the inverse are not the same to the last bit
        assert low <= distance / max(one, other) * (1 - SPREAD) * rounding
        assert high * rounding >= min(distance / min(one, other) * (1 + SPREAD), ETA_MAX_S)


@given(rates, distances, distances)
def test_who_is_nearer_never_waits_longer(per_s: float, one: int, other: int) -> None:
    pace = pace_of(per_s, per_s)
    near, far = eta_range_s(min(one, other), pace), eta_range_s(max(one, other), pace)
    assert far is None or (near is not None and near <= far)


def test_the_first_in_line_is_told_how_long_one_more_takes() -> None:
    assert eta_range_s(0, pace_of(1 / 60, 1 / 60)) == (0, 71)


def test_where_the_rate_is_not_the_limit_only_what_was_seen_counts() -> None:
    assert DrainMeter().pace(0.0, None) is None
    assert moving(0, 3).pace(3.0, None) is None
    assert moving(5, 3).pace(3.0, None) == pace_of(5.0, 5.0)


def test_a_line_that_stands_still_promises_nothing() -> None:
    assert moving(0, 30).pace(30.0, set_per_s=10.0) is None
    assert eta_range_s(5, None) is None


def test_before_much_was_seen_the_rate_that_is_set_counts_too() -> None:
    assert DrainMeter().pace(0.0, set_per_s=10.0) == pace_of(10.0, 10.0)
    assert moving(5, 3).pace(3.0, set_per_s=10.0) == pace_of(5.0, 10.0)
    assert moving(5, 30).pace(30.0, set_per_s=10.0) == pace_of(5.0, 5.0)


def test_what_was_seen_before_the_line_was_empty_is_forgotten() -> None:
    meter = moving(5, 30)
    meter.clear()
    assert meter.pace(31.0, set_per_s=10.0) == pace_of(10.0, 10.0)


def test_a_line_that_stopped_is_forgotten_after_the_long_window() -> None:
    meter = moving(10, 20)
    for step in range(1, 1_000):
        meter.add(20 + step / 10, 200)
    assert meter.pace(20 + 99.9, set_per_s=10.0) is None


@example([(wait_s, 0) for wait_s in (0.400390625, 0.01953125, 0.400390625, 0.333984375, 1.462890625, 2.875)])
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), max_size=50))
@example([(1.53, 0), (0.02, 0)])
def test_the_meter_is_bounded_and_never_says_less_than_nothing(steps: list[tuple[float, int]]) -> None:
    meter, at_s, passed = DrainMeter(), 0.0, 0
    for wait_s, people in steps * 40:
        at_s, passed = at_s + wait_s, passed + people
        meter.add(at_s, passed)
        assert len(meter._samples) <= SAMPLES_MAX
        assert meter._samples[0][0] >= at_s - LONG_WINDOW_S
    pace = meter.pace(at_s, set_per_s=1.0)
    assert pace is None or 0 < pace.low_s <= pace.high_s


@given(st.integers(1, 10**7), st.none() | st.integers(0, 90_000), distances)
def test_a_poll_interval_stays_in_its_bounds(number: int, wait_s: int | None, ahead: int) -> None:
    assert POLL_MIN_MS * 0.9 <= poll_after_ms(number, wait_s, ahead) <= POLL_MAX_MS


@given(st.integers(1, 10**7), st.integers(0, 1_000), st.integers(0, 1_000))
def test_who_waits_longer_never_polls_more_often(number: int, one: int, other: int) -> None:
    assert poll_after_ms(number, min(one, other), 0) <= poll_after_ms(number, max(one, other), 0)


def test_who_joined_just_now_asks_again_soon_and_not_all_at_once() -> None:
    polls = [first_poll_ms(number, 30_000, 10_000) for number in range(1, 1_001)]
    assert 9_000 <= min(polls) < max(polls) <= 10_000
    assert len(set(polls)) > 500
    assert first_poll_ms(1, 1_000, 10_000) == 1_000


def test_polls_of_neighbours_do_not_march_in_step() -> None:
    intervals = {poll_after_ms(number, 100, 0) for number in range(1, 1_001)}
    assert len(intervals) > 500
    assert min(intervals) >= 4_500
    assert max(intervals) <= 5_500


def test_a_log_that_says_more_than_a_tick_does_pushes_nothing_out_of_the_windows() -> None:
    """Every claim and every leave is an entry of its own: the rate that is set would count as seen for ever."""
    meter = DrainMeter()
    for look in range(60 * 200):
        meter.add(look / 200, look // 40)
    assert meter.pace(60, 50) == pytest.approx(pace_of(5, 5), rel=0.05)


def test_a_lobby_asks_again_after_the_draw_and_not_all_at_once() -> None:
    people, left_ms = 10_000, 20_000
    polls = [lobby_poll_ms(number, left_ms, people) for number in range(people)]
    assert min(polls) > left_ms, "nobody asks before there is something to know"
    each_second = Counter(after_ms // 1000 for after_ms in polls)
    assert max(each_second.values()) <= people // 9
    assert max(polls) <= 2 * POLL_MAX_MS
    far = [lobby_poll_ms(number, 3_600_000, people) for number in range(people)]
    assert POLL_MAX_MS * 0.9 <= min(far) <= max(far) <= POLL_MAX_MS


@given(st.lists(st.tuples(st.floats(0.01, 20), st.integers(0, 50)), min_size=1, max_size=60))
def test_the_pace_is_that_of_all_samples_of_both_windows(steps: list[tuple[float, int]]) -> None:
    """Against the same said plainly: look through everything that was ever added."""
    meter, samples, at_s, passed = DrainMeter(), list[tuple[float, int]](), 0.0, 0
    for later_s, more in steps:
        at_s, passed = at_s + later_s, passed + more
        meter.add(at_s, passed)
        if not samples or at_s - samples[-1][0] >= SAMPLE_GAP_S:
            samples.append((at_s, passed))
        rates = []
        for window_s in (SHORT_WINDOW_S, LONG_WINDOW_S):
            within = [sample for sample in samples if sample[0] >= at_s - window_s]
            if within:
                rates.append((within[-1][1] - within[0][1]) / max(at_s - within[0][0], 1.0))
        moved = [rate for rate in rates if rate > 0]
        assert meter.pace(at_s, None) == (pace_of(min(moved), max(moved)) if moved else None)
        assert len(meter._short) <= sum(sample[0] >= at_s - SHORT_WINDOW_S for sample in samples)
