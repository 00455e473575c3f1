"""A predicted wait is judged by the wait that came of it."""

from __future__ import annotations

import pytest

from app.domain.eta import Pace
from app.domain.line import Bits, RoomState
from app.metrics.eta import Forecasts
from app.room.view import LineView


def line() -> LineView:
    """Ten people wait; the line loses one person in one to two seconds."""
    view = LineView("demo")
    view.state, view.epoch, view.number, view.cursor = RoomState.open, 1, 10, 0
    view.ended_ranks = view.ended = Bits()
    view.pace = Pace(1.0, 2.0)
    return view


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("wait_s", "verdict"), [(3, "early"), (10, "within"), (20, "within"), (60, "late")])
def test_a_wait_is_early_within_or_late(wait_s: int, verdict: str) -> None:
    clock, view = Clock(), line()
    forecasts = Forecasts(clock)
    forecasts.look(view)  # 9 people ahead: 9 to 22 seconds
    clock.now_s += wait_s
    view.cursor = 9
    forecasts.look(view)
    assert forecasts.verdicts == {}
    view.cursor = 10
    forecasts.look(view)
    assert forecasts.verdicts == {(verdict,): 1}
    assert sum(forecasts.waits.counts) == 1
    assert forecasts.waits.total == wait_s


def test_one_person_is_forecast_once_and_a_new_line_forgets() -> None:
    clock, view = Clock(), line()
    forecasts = Forecasts(clock)
    for _ in range(5):
        forecasts.look(view)
        clock.now_s += 10
    view.epoch, view.cursor, view.number = 2, 20, 20
    forecasts.look(view)
    assert forecasts.verdicts == {}


def test_a_line_that_stands_still_is_not_forecast() -> None:
    clock, view = Clock(), line()
    view.pace = None
    forecasts = Forecasts(clock)
    forecasts.look(view)
    view.cursor = 10
    forecasts.look(view)
    assert forecasts.verdicts == {}
