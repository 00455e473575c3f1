"""The verdict on a flooded shop: what the shop noted decides, and each way of breaking a rule is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.run.demo_shop.shopper import Story
from loadtest.audit import BROKEN, CLEAN, UNPROVEN, code
from loadtest.judge.visits import Came, Limits, judge_order
from loadtest.options import Options, OptionsError, read
from loadtest.shop_swarm import flood, judge

LIMITS = Limits(rate_per_s=2, burst=1, max_active=2)
START_S = 1_800_000_000.0


def seen(number: int, at_s: float, stays_s: float | None = 0.4, passes_s: float = 10) -> dict[str, Any]:
    came_s = START_S + at_s
    ended_s = None if stays_s is None else came_s + stays_s
    return {"number": number, "came_s": came_s, "expires_s": came_s + passes_s, "ended_s": ended_s}


def told(number: int, turn_s: float, **other: Any) -> Story:
    return Story(number=number, asked_s=START_S, turn_s=START_S + turn_s, in_s=START_S + turn_s + 0.1, tries=2, **other)


def steady() -> tuple[list[dict[str, Any]], list[Story]]:
    """Ten visitors at the rate, each in the shop a tenth of a second after the turn began."""
    return [seen(n, n * 0.5 + 0.1) for n in range(10)], [told(n, n * 0.5) for n in range(10)]


def verdict(visits: list[dict[str, Any]], stories: list[Story], forgotten: int = 0) -> tuple[int, set[str]]:
    findings = judge({"visits": visits, "forgotten": forgotten}, stories, LIMITS)
    return code(findings), {finding.topic for finding in findings if finding.breaches or finding.unproven}


def test_a_shop_that_saw_no_more_than_was_set_is_clean() -> None:
    assert verdict(*steady()) == (CLEAN, set())


def test_more_visitors_than_the_rate_allows_are_seen() -> None:
    visits, stories = steady()
    visits += [seen(20 + n, 7 + n * 0.01, stays_s=0.001) for n in range(4)]
    assert verdict(visits, stories) == (BROKEN, {"rate"})


def test_a_crowd_that_was_only_late_on_its_way_is_no_breach() -> None:
    visits = [seen(n, 5 + n * 0.001, stays_s=0.0005) for n in range(8)]
    stories = [told(n, 1 + n * 0.5) for n in range(8)]
    assert verdict(visits, stories) == (CLEAN, set())


def test_who_did_not_wait_may_be_late_as_well() -> None:
    """They were let in one by one, and all of them came when the shop answered again."""
    visits = [seen(n, 5 + n * 0.001, stays_s=0.0005) for n in range(8)]
    stories = [Story(number=n, asked_s=START_S + 1 + n * 0.5, in_s=START_S + 5.1) for n in range(8)]
    assert verdict(visits, stories) == (CLEAN, set())
    assert verdict(visits, [Story(number=n, asked_s=START_S + 4.9, in_s=START_S + 5.1) for n in range(8)])[0] == BROKEN


@pytest.mark.parametrize("stays_s", [1.4, None])
def test_more_visitors_at_once_than_the_capacity_are_seen(stays_s: float | None) -> None:
    visits = [seen(n, n * 0.5 + 0.1, stays_s) for n in range(4)]
    assert verdict(visits, [told(n, n * 0.5) for n in range(4)]) == (BROKEN, {"capacity"})


def test_a_visitor_who_vanishes_is_inside_until_the_pass_runs_out() -> None:
    visits = [seen(n, n * 0.5 + 0.1, None, passes_s=0.9) for n in range(6)]
    assert verdict(visits, [told(n, n * 0.5) for n in range(6)]) == (CLEAN, set())


def test_somebody_who_was_passed_over_is_seen() -> None:
    visits, stories = steady()
    stories[3].turn_s, stories[4].turn_s = stories[4].turn_s, stories[3].turn_s
    assert verdict(visits, stories) == (BROKEN, {"order"})


def test_people_of_one_moment_have_no_order() -> None:
    visits = [Came(number=number, came_s=START_S, left_s=START_S + 1) for number in (2, 1)]
    assert judge_order(visits, {1: START_S - 0.1, 2: START_S - 0.1}).breaches == []


def test_somebody_who_came_in_without_a_turn_is_seen() -> None:
    visits, stories = steady()
    stories[0].crashed.append("a forged pass")
    assert verdict(visits, stories) == (BROKEN, {"without a turn"})


def test_what_was_not_seen_is_not_called_clean() -> None:
    visits, stories = steady()
    assert verdict([], [])[0] == UNPROVEN
    assert verdict(visits, stories, forgotten=1) == (UNPROVEN, {"order", "rate", "capacity"})
    stories[0].failed = "ReadTimeout"
    assert verdict(visits, stories) == (UNPROVEN, {"visitors"})


def test_only_our_own_shop_may_be_flooded() -> None:
    assert read({"ORIGIN": "demo-shop"}).origin == "demo-shop"
    for wrong in ({"ORIGIN": "somebody"}, {"ORIGIN": "demo-shop", "LOBBY": "1"}):
        with pytest.raises(OptionsError, match="ORIGIN"):
            read(wrong)


@pytest.mark.slow
async def test_the_demo_shop_sees_no_more_than_its_room_lets_in(tmp_path: Path) -> None:
    lines: list[str] = []
    options = Options(users=12, duration_s=20, rate_per_s=12, origin="demo-shop")
    assert await flood(options, {}, tmp_path, lines.append) == CLEAN, lines
    assert any("none came in" in line for line in lines)
