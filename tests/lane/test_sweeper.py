"""Holds end by themselves, within a bounded pass, and only through the lane."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app import redis_keys
from app.lane.commands import REPLIES_KEPT_FOR, OutcomeStatus
from app.ledger import events
from tests.lane.world import EVENT, HOLD_FOR, START, World, confirm, hold, spec
from workers import sweeper as sweeping
from workers.sweeper import Sweeper


@pytest.fixture
def sweeper(world: World) -> Sweeper:
    return Sweeper(redis=world.redis, db=world.db, wake=world.wake, now=world.time.now)


async def test_a_hold_whose_time_is_over_gives_its_seats_back(world: World, sweeper: Sweeper) -> None:
    kept, sold = await world.do(hold("a", [0]), hold("b", [1], holder="bob"))
    assert sold.reservation
    assert kept.reservation
    await world.do(confirm("c", sold.reservation.id, holder="bob"))
    assert await sweeper.sweep() == 0
    world.time.pass_s(HOLD_FOR.total_seconds())
    assert await sweeper.sweep() == 1
    assert [event_id for event_id, _ in world.woken] == [EVENT]
    await world.allocator().run(EVENT)
    assert (await world.statuses())[:2] == bytes([0, 2])
    assert (await world.answers())[f"expire:{kept.reservation.id}"][-1].status is OutcomeStatus.expired
    assert await sweeper.sweep() == 0


async def test_sweeping_twice_before_the_lane_is_drained_ends_each_hold_once(world: World, sweeper: Sweeper) -> None:
    await world.do(hold("a", [0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    await sweeper.sweep()
    await sweeper.sweep()
    await world.allocator().run(EVENT)
    (taken,) = await world.do(hold("b", [0], holder="bob"))
    assert taken.status is OutcomeStatus.held


async def test_a_pass_is_bounded_and_takes_the_longest_overdue_first(
    world: World, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.do(hold("a", [0]))
    world.time.pass_s(1)
    await world.do(hold("b", [1], holder="bob"), hold("c", [2], holder="cat"))
    world.time.pass_s(HOLD_FOR.total_seconds())
    monkeypatch.setattr(sweeping, "SWEEP_MAX", 1)
    assert await sweeper.sweep() == 1
    await world.allocator().run(EVENT)
    assert (await world.statuses())[:3] == bytes([0, 1, 1])


async def test_each_event_gets_its_own_expiries(world: World, sweeper: Sweeper) -> None:
    await events.create(world.db, spec("other"), world.time.now())
    await world.send(hold("a", [0]), event_id="other")
    await world.allocator().run("other")
    await world.do(hold("a", [0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    assert await sweeper.sweep() == 2
    assert [await world.redis.xlen(redis_keys.lane(name)) for name in (EVENT, "other")] == [1, 1]
    assert await sweeper.prune() == 0


async def test_a_full_lane_keeps_no_other_event_s_holds(
    world: World, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await events.create(world.db, spec("other"), world.time.now())
    for event_id in (EVENT, "other"):
        await world.send(hold("a", [0]), event_id=event_id)
        await world.allocator().run(event_id)
    world.time.pass_s(HOLD_FOR.total_seconds())
    monkeypatch.setattr("app.lane.scripts.COMMANDS_MAX", 1)
    await world.send(hold("b", [1]))
    assert await sweeper.sweep() == 1
    assert await world.redis.xlen(redis_keys.lane("other")) == 1


async def test_answers_are_forgotten_after_a_day(world: World, sweeper: Sweeper) -> None:
    await world.do(hold("a", [0]))
    world.time.pass_s(REPLIES_KEPT_FOR.total_seconds())
    assert await sweeper.prune() == 0
    world.time.pass_s(1)
    assert await sweeper.prune() == 1


async def test_a_lane_of_an_event_that_is_long_over_is_looked_at_in_its_turn(
    world: World, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "OTHER_LANES_MAX", 1)
    long_over = replace(spec("over"), starts_at=START - timedelta(days=9), opens_at=START - timedelta(days=99))
    await events.create(world.db, long_over, START)
    await world.send(hold("a", [0]), event_id="over")
    await world.send(hold("b", [0]))
    assert [event_id for event_id, _ in world.woken] == []
    await sweeper.wake_stranded()
    assert [event_id for event_id, _ in world.woken] == [EVENT], "the sale that runs is looked at each time"
    await sweeper.wake_stranded()
    assert [event_id for event_id, _ in world.woken] == [EVENT, EVENT, "over"]
