"""A store that fails is said once, and once that it works again, also if it comes and goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from app.outages import ATTEMPT_MAX_S, REDIS, STEADY_S, Outages


@dataclass
class Clock:
    at_s: float = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def said(entries: Sequence[Mapping[str, object]]) -> list[object]:
    return [entry["event"] for entry in entries]


def test_an_outage_ends_when_everybody_who_noticed_it_was_served(clock: Clock) -> None:
    outages = Outages(clock)
    with capture_logs() as entries:
        for who in ("lines", "seats"):
            outages.failed(REDIS, who, OSError("away"))
        outages.worked("lines")
        assert outages.kinds == {REDIS: "OSError"}
        outages.worked("seats")
    assert (said(entries), dict(outages.kinds)) == (["store_fails", "store_works_again"], {})


def test_who_does_not_try_again_holds_up_no_end(clock: Clock) -> None:
    outages = Outages(clock)
    outages.failed(REDIS, "lines", OSError("away"))
    outages.failed(REDIS, "seats", OSError("away"))
    clock.at_s += ATTEMPT_MAX_S + 1
    outages.worked("lines")
    assert not outages.kinds


def test_a_store_that_comes_and_goes_is_said_to_fail_until_it_has_worked_for_a_while(clock: Clock) -> None:
    outages = Outages(clock)
    with capture_logs() as entries:
        for _ in range(300):  # ten times a second, every second attempt
            outages.failed(REDIS, "admitter", OSError("full"))
            clock.at_s += 0.1
            outages.worked("admitter")
            clock.at_s += 0.1
        assert said(entries) == ["store_fails", "store_works_again", "store_fails"]
        clock.at_s += STEADY_S - 0.2
        outages.worked("admitter")
        assert not outages.kinds
    assert said(entries)[3:] == ["store_works_again"]
    assert entries[-1]["failures"] == 299


def test_a_store_that_fails_again_much_later_ends_as_promptly_as_the_first_time(clock: Clock) -> None:
    outages = Outages(clock)
    for _ in range(2):
        outages.failed(REDIS, "admitter", OSError("away"))
        outages.worked("admitter")
        assert not outages.kinds
        clock.at_s += STEADY_S


def test_of_several_failures_at_once_it_is_said_what_the_first_one_is(clock: Clock) -> None:
    outages = Outages(clock)
    group = ExceptionGroup("several", [ExceptionGroup("of a task", [OSError("disk full")]), ValueError("a bug")])
    with capture_logs() as entries:
        outages.failed(REDIS, "allocate", group)
    assert (outages.kinds, entries[0]["error"]) == ({REDIS: "OSError"}, "OSError: disk full")
