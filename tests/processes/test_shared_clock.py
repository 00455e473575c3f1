"""All processes go by Redis's clock: a wall clock that is off moves nothing, and is said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app import jobs
from app.outages import Outages
from app.processes.shared_clock import OFF_MAX_S, SharedClock, is_off
from app.redis_keys import ARQ_JOBS

START_S = 1_800_000_000.0


@dataclass
class Machine:
    """A machine beside Redis, with a wall clock and a steady one, and a network that takes its time."""

    redis_s: float = START_S
    wall_off_s: float = 0.0
    steady_s: float = 500.0
    way_there_s: float = 0.0
    way_back_s: float = 0.0
    clock: SharedClock = field(init=False)

    def __post_init__(self) -> None:
        self.outages = Outages()
        self.clock = SharedClock(self, self.outages, self.wall_s, lambda: self.steady_s)  # type: ignore[arg-type]

    def wall_s(self) -> float:
        return self.redis_s + self.wall_off_s

    def passes(self, seconds: float) -> None:
        self.redis_s += seconds
        self.steady_s += seconds

    async def time(self) -> Sequence[int]:
        """Redis's answer, made on the way."""
        self.passes(self.way_there_s)
        told = divmod(round(self.redis_s * 1_000_000), 1_000_000)
        self.passes(self.way_back_s)
        return told

    @property
    def error_s(self) -> float:
        return self.clock.seconds() - self.redis_s


@pytest.mark.parametrize("off_s", [-32_400.0, -1.5, 0.0, 1.5, 3600.0])
async def test_it_is_redis_s_time_however_wrong_the_wall_clock_is(off_s: float) -> None:
    machine = Machine(wall_off_s=off_s)
    await machine.clock.read()
    assert machine.error_s == pytest.approx(0, abs=1e-6)
    assert machine.clock.off_s == pytest.approx(off_s, abs=1e-6)
    machine.passes(2.5)
    machine.wall_off_s += 7_200  # somebody sets the clock
    assert machine.error_s == pytest.approx(0, abs=1e-6), "it went on by the steady clock"
    assert machine.clock.now().timestamp() == pytest.approx(machine.redis_s, abs=1e-5)


async def test_a_slow_answer_moves_nothing_that_it_does_not_contradict() -> None:
    machine = Machine()
    await machine.clock.read()
    machine.way_back_s = 4.0  # half of the way would be two seconds wrong
    await machine.clock.read()
    assert machine.error_s == pytest.approx(0, abs=1e-6)
    assert machine.clock.off_s == 0.0


async def test_it_follows_redis_s_clock_when_that_is_another_one() -> None:
    """As after a failover to a machine with a clock of its own."""
    machine = Machine(way_there_s=0.01, way_back_s=0.01)
    await machine.clock.read()
    machine.redis_s += 90
    await machine.clock.read()
    assert abs(machine.error_s) <= 0.02


async def test_what_the_way_of_the_answer_explains_is_not_called_wrong() -> None:
    machine = Machine(wall_off_s=1.9, way_there_s=1.0)
    await machine.clock.read()
    assert machine.clock.off_s == pytest.approx(0.9, abs=1e-6)
    assert not machine.clock.is_off


async def test_a_wall_clock_that_is_off_is_said_once_and_when_it_is_right_again() -> None:
    machine = Machine(wall_off_s=-(OFF_MAX_S + 0.1))
    with capture_logs() as said:
        for _ in range(3):
            await machine.clock.read()
        off_s = machine.clock.off_s
        machine.wall_off_s = -(OFF_MAX_S - 0.1)
        for _ in range(3):
            await machine.clock.read()
    assert (is_off(off_s), machine.clock.is_off) == (True, False)
    assert [(each["event"], each["log_level"]) for each in said] == [
        ("clock_wrong", "warning"),
        ("clock_right", "info"),
    ]


async def test_it_is_told_by_a_real_redis(redis: Redis) -> None:
    clock = SharedClock(redis, Outages(), wall_s=lambda: 1.0)
    await clock.read()
    seconds, _ = await redis.time()
    assert abs(clock.seconds() - seconds) < 60, "the wall clock of this process was that of 1970"


async def test_it_goes_on_while_redis_is_away_and_says_so_to_whoever_counts_outages(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = Outages()
    clock = SharedClock(redis, outages)
    slept = asyncio.Event()

    async def sleep(_: float) -> None:
        slept.set()
        await asyncio.Event().wait()

    async def away() -> None:
        raise ConnectionError("away")

    await clock.read()
    monkeypatch.setattr(redis, "time", away)
    monkeypatch.setattr("app.processes.shared_clock.asyncio.sleep", sleep)
    run = asyncio.create_task(clock.run())
    await slept.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert outages.kinds == {"redis": "ConnectionError"}
    before_s = clock.seconds()
    assert clock.seconds() >= before_s


async def test_a_wake_up_is_due_for_a_worker_whose_clock_is_hours_behind(redis: Redis) -> None:
    queue = jobs.job_queue(redis.connection_pool)
    await jobs.wake_allocator(queue, "first", "1-0")
    await jobs.wake_allocator(queue, "second", "1-0")
    seconds, _ = await redis.time()
    due = await redis.zrange(ARQ_JOBS, 0, -1, withscores=True)
    assert all(score / 1000 < seconds - 12 * 3600 for _, score in due)
    assert all(score > 0 for _, score in due), "arq takes no job without a time"
    assert {name.decode().split(":")[1] for name, _ in due} == {"first", "second"}
