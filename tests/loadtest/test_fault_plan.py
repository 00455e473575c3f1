"""Which faults a seed stands for: always the same, every kind sometime, and none that needs what another one holds."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from loadtest.faults.inflict import HOW
from loadtest.faults.plan import FAULTS_MAX, FAULTS_MIN, FIRST_S, LAST_S, LASTS_S, PROCESSES, Fault, Kind, plan

SEEDS = range(1, 301)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)
    assert [str(fault) for fault in plan(1)][:2] == ["kill web-1 at 7.0 s for 2.7 s", "redis full at 7.3 s for 2.9 s"]


def test_every_kind_occurs_and_can_be_done() -> None:
    counts = Counter(fault.kind for seed in SEEDS for fault in plan(seed))
    assert set(counts) == set(Kind) == set(HOW)
    assert min(counts.values()) * 4 > max(counts.values())


def test_every_process_is_killed_stopped_and_paused() -> None:
    signalled = {(fault.kind, fault.target) for seed in SEEDS for fault in plan(seed) if fault.target in PROCESSES}
    assert {(kind, name) for kind in (Kind.kill, Kind.stop, Kind.pause) for name in PROCESSES} <= signalled


def test_a_plan_fits_into_its_run_and_its_faults_do_not_meet() -> None:
    for seed in SEEDS:
        faults = plan(seed)
        assert FAULTS_MIN <= len(faults) <= FAULTS_MAX
        assert all(fault.begins_s >= FIRST_S and fault.at_s <= LAST_S for fault in faults)
        assert all(fault.at_s + fault.for_s <= LASTS_S for fault in faults)
        assert not any(one.meets(other) for one, other in combinations(faults, 2))


def test_faults_of_different_things_overlap_and_those_of_one_thing_do_not() -> None:
    paused = Fault(5.0, 2.0, Kind.pause, "redis")
    assert not paused.meets(Fault(5.0, 2.0, Kind.pause, "web-1"))
    assert paused.meets(Fault(6.0, 1.0, Kind.redis_full, "redis"))
    assert paused.meets(Fault(9.0, 1.0, Kind.redis_older, "redis"))  # its copy is made before
    assert not paused.meets(Fault(9.0, 1.0, Kind.redis_emptied, "redis"))
    assert any(
        one.at_s < other.at_s + other.for_s and other.at_s < one.at_s + one.for_s
        for seed in SEEDS
        for one, other in combinations(plan(seed), 2)
    )
