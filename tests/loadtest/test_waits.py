"""What is measured beside the invariants: latencies, news, predicted waits, and what the macro gained."""

from __future__ import annotations

import math

from msgspec.structs import replace

from loadtest.judge import waits
from loadtest.judge.finding import percentile
from loadtest.judge.replay import replay
from loadtest.records import Call, Records
from tests.loadtest.forged import at, clean, joined, polled, with_crowd


def call(name: str, took_ms: float, status: int = 200, code: str = "") -> Call:
    return Call(session=1, call=name, sent_ms=at(0), received_ms=at(0) + took_ms, status=status, code=code)


def run_of(*calls: Call) -> Records:
    return replace(clean(), crowd=[*calls])


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (0.0, 0.5, 0.75, 0.99, 1.0)] == [1, 2, 3, 4, 4]
    assert math.isnan(percentile([], 0.5))


def test_latencies_are_those_of_answered_calls() -> None:
    run = run_of(call("join", 10), call("join", 30), call("join", 9_999, status=0), call("pay", 5, status=201))
    assert waits.latencies(run) == [("join", 2, 10, 30, 30, 30), ("pay", 1, 5, 5, 5, 5)]


def test_only_calls_without_an_answer_or_with_a_fault_are_errors() -> None:
    run = run_of(
        call("reserve", 1, status=409, code="seats_unavailable"),
        call("join", 1, status=503, code="line_unavailable"),
        call("pay", 1, status=0),
        call("join", 1),
    )
    finding = waits.judge_errors(run)
    assert finding.text == "2 of 4 calls; 1 refusals"
    assert sorted(finding.warnings) == ["1 × join: 503 line_unavailable", "1 × pay: no answer"]


def test_a_predicted_wait_is_held_against_the_admission_and_the_absent_are_left_out() -> None:
    run = with_crowd(
        polled(5, 2.0, eta_s=(8, 12)),  # let in at 12: within
        polled(5, 3.0, eta_s=(10, 20)),  # sooner
        polled(5, 4.0, eta_s=(1, 7)),  # later
    )(clean())
    finding = waits.judge_eta(run, replay(run))
    assert finding.text == "3 ranges: 33% within, 33% sooner, 33% later; the first one told: 100% within (1)"


def test_news_is_timed_from_redis_to_the_browser() -> None:
    run = clean()
    assert "of a turn: p50 50, p95 50, p99 50, max 50 ms (1)" in waits.judge_news(run, replay(run)).text


def test_a_crowd_behind_its_plan_says_so() -> None:
    assert waits.judge_arrivals(clean()).warnings == []
    run = replace(clean(), crowd=[joined(1, 0.1), joined(2, 3.0)])
    assert waits.judge_arrivals(run).warnings != []


def test_those_at_it_when_the_run_ended_were_cut_off() -> None:
    assert waits.judge_endings(clean()).text == "3 cut off, 1 paid, 1 leave"
