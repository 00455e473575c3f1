"""What is read from the keeper's samples: flows, the longest wait, and the last ten minutes of a line."""

from __future__ import annotations

from app.domain.samples import HISTORY_EVERY_S, HISTORY_S, LineSample, flows_per_s, history, oldest_wait_s, read_samples

NOW_MS = 1_000_000_000


def ago(seconds: float) -> int:
    return NOW_MS - int(seconds * 1000)


def test_marks_are_read_as_they_were_written_and_older_ones_without_what_they_do_not_say() -> None:
    new, old = LineSample(1, 2, 3, 4, 5, 6), LineSample(1, 2, 3)
    assert read_samples([new.packed().encode(), b"1:2:3"]) == [new, old]
    assert old.waiting is None


def test_a_flow_is_what_came_in_the_last_ten_seconds() -> None:
    samples = [LineSample(ago(20), 0, 0), LineSample(ago(10), 100, 10), LineSample(ago(5), 150, 30)]
    assert flows_per_s(samples, LineSample(NOW_MS, 200, 40)) == (10.0, 3.0)
    assert flows_per_s([], LineSample(NOW_MS, 200, 40)) == (0.0, 0.0)


def test_the_longest_wait_is_since_the_mark_that_has_the_number() -> None:
    samples = [LineSample(ago(20), 5, 0), LineSample(ago(10), 100, 10)]
    assert [oldest_wait_s(samples, number, NOW_MS) for number in (5, 6, 101)] == [20, 10, 0]


def test_an_operator_who_comes_late_sees_the_last_ten_minutes_at_once() -> None:
    samples = [LineSample(ago(second), 10 * (900 - second), 0, 900 - second, 1, 2) for second in range(900, 0, -1)]
    past = history(samples, NOW_MS)
    assert len(past) == HISTORY_S / HISTORY_EVERY_S
    assert (past[0].at, past[0].waiting, past[0].inflow_per_second) == (ago(600), 300, 10.0)
    assert (past[-1].at, past[-1].waiting, past[-1].admitted, past[-1].active) == (ago(4), 896, 1, 2)


def test_a_line_is_as_its_last_mark_says_until_the_next_and_nothing_is_said_of_before_the_first() -> None:
    past = history([LineSample(ago(100), 7, 0, 7, 0, 0), LineSample(ago(10), 8, 0, 8, 0, 0)], NOW_MS)
    assert (past[0].at, past[0].waiting, past[0].inflow_per_second) == (ago(100), 7, 0.0)
    assert [one.waiting for one in past] == [7] * 23 + [8] * 2
    assert history([], NOW_MS) == []
