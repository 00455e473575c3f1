"""What an adversary gained, against honest people who want as many seats and came in the same second."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.flooder import solution
from loadtest.judge.adversaries import judge_adversary
from loadtest.judge.replay import replay
from loadtest.options import Adversary
from loadtest.plan import Kind, Visit
from loadtest.records import Flood
from tests.door.test_challenges import HERE, challenges, made
from tests.loadtest.forged import at, clean, joined, visit


def judged(adversary: Adversary, visits: list[Visit] | None = None, **changed: Any) -> Any:
    run = clean()
    known = replace(run, run=replace(run.run, adversary=adversary), visits=visits or run.visits, **changed)
    return judge_adversary(known, replay(known))


def test_a_macro_is_held_against_those_who_came_with_it_and_want_as_much() -> None:
    run = clean()
    wants_four = replace(run.visits[4], quantity=4)
    finding = judged(Adversary.macro, [visit(1, Kind.macro), *run.visits[1:4], wants_four])
    assert "1 sessions of one address, 1 places, the best 1" in finding.text
    assert "2 seats bought; 1 honest people of the first second who want as many: 1.0 each, 2.0 ×" in finding.text
    assert finding.warnings == ["with one place it got 2.00 times an honest buyer's seats"]


def test_a_repeater_has_one_place_however_often_it_joins() -> None:
    run = clean()
    again = [joined(2, 0.3, again=True), joined(2, 0.4, again=True)]
    visits = [run.visits[0], visit(2, Kind.repeater), *run.visits[2:]]
    finding = judged(Adversary.repeater, visits, crowd=[*run.crowd, *again])
    assert finding.text.startswith("3 joins, 1 place, number 2: before 3 of 4 honest people")
    assert finding.warnings == []
    grown = judged(Adversary.repeater, visits, crowd=[*run.crowd, joined(6, 0.4, session=2, again=True)])
    assert grown.warnings == ["one browser had 2 places"]


@pytest.mark.parametrize(("ghosts", "warns"), [(0, False), (40, True)])
def test_a_flooder_is_told_its_places_and_what_they_cost_the_honest(ghosts: int, warns: bool) -> None:
    flood = Flood(began_ms=at(0), solves_from_ms=at(30), ended_ms=at(60), asked=100_000)
    flood.unsolved = [(at(1), 0)] * ghosts
    flood.solved = [(at(31 + second), 10 + second) for second in range(20)]
    finding = judged(Adversary.flooder, flood=flood)
    assert f"100,000 joins: {ghosts} places without work; then on two cores 20 more in 30 s" in finding.text
    assert "60 a minute at the end" in finding.text
    assert bool(finding.warnings) is warns


def test_a_run_without_what_the_flooder_got_is_not_judged() -> None:
    assert judged(Adversary.flooder).unproven != ""
    assert judged(Adversary.none).text == "there was none"


def test_the_flooders_solution_is_one_that_the_door_takes() -> None:
    sent = made()
    assert challenges().read(solution(sent), HERE, time.time()) == sent["parameters"]["nonce"]
