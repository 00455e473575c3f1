"""What ApacheBench and wrk printed in real runs is read right, and a target that is missed is called so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.scenarios import __main__ as scenarios
from loadtest.scenarios.targets import Figure, errors_percent, read_figures, table
from loadtest.scenarios.tools import Load, ToolError, read_ab, read_wrk, require_tools

RECORDED = Path(__file__).parent / "recorded"
AB, ONE_SEAT, WRK = ((RECORDED / name).read_text() for name in ("ab.txt", "ab-one-seat.txt", "wrk.txt"))


def test_a_plain_run_of_ab_is_read() -> None:
    load = read_ab(AB)
    assert (load.requests, load.failed, load.refused, load.statuses) == (200, 0, 0, {})
    assert load.p95_ms == 34
    assert load.per_s == pytest.approx(load.requests / load.seconds, rel=0.01)
    assert load.mean_ms == pytest.approx(20 * 1000 / load.per_s, rel=0.01)


def test_the_status_of_every_answer_is_counted() -> None:
    load = read_ab(ONE_SEAT)
    assert load.statuses == {201: 1, 409: 5}
    assert (load.requests, load.refused) == (6, 5)


def test_a_run_of_wrk_is_read_from_the_lines_of_the_script() -> None:
    load = read_wrk(WRK)
    assert (load.requests, load.failed, load.refused) == (2829, 0, 75)
    assert load.statuses == {200: 2564, 201: 190, 409: 75}
    assert load.per_s == pytest.approx(1395.5, abs=0.1)  # as wrk itself says
    assert (load.mean_ms, load.p95_ms) == (24.5195, 90.063)


@pytest.mark.parametrize("lost", ["Complete requests", "Time per request", "Failed requests", "  95%"])
def test_a_figure_that_is_missing_is_an_error_and_not_a_nought(lost: str) -> None:
    with pytest.raises(ToolError):
        read_ab("\n".join(line for line in AB.splitlines() if not line.startswith(lost)))


def test_an_answer_whose_status_was_not_told_is_an_error() -> None:
    with pytest.raises(ToolError, match="5 statuses of 6 requests"):
        read_ab(ONE_SEAT.replace("LOG: header received:\nHTTP/1.1 201 Created", ""))


def test_a_conflict_is_a_right_answer_where_it_is_expected_and_an_error_elsewhere() -> None:
    load = read_wrk(WRK)
    assert errors_percent(load, (409,)) == 0
    assert errors_percent(load) == pytest.approx(100 * 75 / 2829)
    assert errors_percent(replace(load, failed=2829), (409,)) == 100


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure(scenario="x", what="a", value=500, at_least=500), True),
        (Figure(scenario="x", what="a", value=499.9, at_least=500), False),
        (Figure(scenario="x", what="a", value=99.9, below=100), True),
        (Figure(scenario="x", what="a", value=100, below=100), False),
        (Figure(scenario="x", what="a", value=1, exactly=1), True),
        (Figure(scenario="x", what="a", value=2, exactly=1), False),
    ],
)
def test_a_target_is_met_or_missed_at_its_edge(figure: Figure, met: bool) -> None:
    assert figure.met is met
    assert ("MISSED" in table([figure])) is not met


def test_a_slow_run_misses_all_three_of_its_targets() -> None:
    slow = Load(requests=10, seconds=10, per_s=1, mean_ms=900, p95_ms=2000, failed=0, refused=0)
    assert [figure.met for figure in read_figures("1", slow, mean_ms=100, p95_ms=200, per_s=500)] == [False] * 3


@pytest.mark.parametrize(
    ("statuses", "holders"),
    [({201: 2, 409: 98}, 1), ({409: 100}, 0), ({201: 1, 409: 98, 503: 1}, 1), ({201: 1, 409: 99}, 2)],
)
def test_one_round_that_is_not_exact_spoils_scenario_three(statuses: dict[int, int], holders: int) -> None:
    good = Load(
        requests=100, seconds=0.1, per_s=1000, mean_ms=50, p95_ms=60, failed=0, refused=99, statuses={201: 1, 409: 99}
    )
    bad = replace(good, statuses=statuses)
    assert all(figure.met for figure in scenarios._one_seat_figures("3", [(good, 1), (good, 1)]))
    assert not all(figure.met for figure in scenarios._one_seat_figures("3", [(good, 1), (bad, holders)]))


def test_a_missing_tool_is_named_with_the_package_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ab" else f"/usr/bin/{name}")
    with pytest.raises(ToolError, match=r"sudo apt-get install apache2-utils$"):
        require_tools()


def test_the_mixed_load_is_of_the_shares_it_says() -> None:
    """One turn in ten reserves, two ask for the map."""
    script = scenarios.MIXED.read_text()
    assert "if turn < 7 then return detail" in script
    assert "if turn < 9 then return map" in script
    assert "made % 10" in script
