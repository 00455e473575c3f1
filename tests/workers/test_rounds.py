"""What a worker does by the clock it does once at a time, however long it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.lane.errors import LaneUnavailable
from app.ledger.errors import StoreAway
from app.outages import ATTEMPT_MAX_S, Outages
from app.room.errors import RoomUnavailable
from config.settings import Settings
from workers.main import build
from workers.rounds import alone, unhurt


def worker(**more: Any) -> dict[str, Any]:
    """What a job is given."""
    return {"outages": Outages(), **more}


async def test_a_round_is_left_out_while_one_runs_and_begun_again_after_it() -> None:
    begun, end = 0, asyncio.Event()

    async def slow(ctx: dict[str, Any]) -> int:
        nonlocal begun
        begun += 1
        await end.wait()
        return begun

    once = alone(slow)
    first = asyncio.create_task(once(worker()))
    await asyncio.sleep(0)
    assert [await once(worker()) for _ in range(3)] == [None] * 3
    end.set()
    assert await first == 1
    assert await once(worker()) == 2


async def test_a_round_that_failed_or_was_cancelled_keeps_no_later_one() -> None:
    async def hangs(ctx: dict[str, Any]) -> int:
        if ctx.get("broken"):
            raise ValueError("broken")
        return await asyncio.get_running_loop().create_future() if ctx.get("hangs") else 7

    once = alone(hangs)
    with pytest.raises(ValueError, match="broken"):
        await once(worker(broken=True))
    hung = asyncio.create_task(once(worker(hangs=True)))
    await asyncio.sleep(0)
    assert await once(worker()) is None
    hung.cancel()
    await asyncio.gather(hung, return_exceptions=True)
    assert await once(worker()) == 7


async def test_no_round_of_a_worker_runs_beside_itself() -> None:
    """Every schedule of one job shares one guard: the sweeps, and the posters by the clock and by a wake-up."""
    built = build(Settings(redis_url="redis://127.0.0.1:1"))
    woken: list[Any] = [getattr(function, "coroutine", None) for function in built.functions.values()]
    guards: dict[Any, set[Any]] = {}
    for coroutine in [job.coroutine for job in built.cron_jobs or ()]:
        assert hasattr(coroutine, "__wrapped__"), coroutine
        guards.setdefault(coroutine.__wrapped__, set()).add(coroutine)
    for coroutine in woken:
        guards.get(getattr(coroutine, "__wrapped__", coroutine), set()).add(coroutine)
    assert [shared for shared in guards.values() if len(shared) > 1] == []


async def test_a_job_that_a_store_fails_ends_quietly_and_a_bug_does_not() -> None:
    errors: list[Exception | None] = [RoomUnavailable("ConnectionError"), StoreAway("gone"), LaneUnavailable("gone")]
    errors += [ExceptionGroup("both", [StoreAway("gone"), LaneUnavailable("gone")]), None]

    async def work(ctx: dict[str, Any]) -> str:
        if (error := errors.pop(0)) is not None:
            raise error
        return "done"

    ctx, job = worker(), unhurt(work)
    with capture_logs() as said:
        assert [await job(ctx) for _ in range(5)] == [None] * 4 + ["done"]
    assert [(each["event"], each["store"]) for each in said] == [
        ("store_fails", "redis"),
        ("store_fails", "database"),
        ("store_works_again", "redis"),
        ("store_works_again", "database"),
    ]
    for bug in (KeyError("oops"), ExceptionGroup("one is a bug", [StoreAway("gone"), KeyError("oops")])):
        errors.append(bug)
        with pytest.raises(type(bug)):
            await job(ctx)


async def test_an_outage_is_over_when_all_who_noticed_it_were_served_again() -> None:
    now_s = 0.0
    outages = Outages(lambda: now_s)
    with capture_logs() as said:
        for _ in range(3):
            outages.failed("redis", "one", OSError("gone"))
            outages.failed("redis", "other", OSError("gone"))
            outages.worked("one")
            outages.worked("somebody else")
        assert outages.kinds == {"redis": "OSError"}
        now_s = 7.0
        outages.worked("other")
        assert outages.kinds == {}
        outages.failed("redis", "who tries once a minute", OSError("gone"))
        now_s += ATTEMPT_MAX_S
        outages.worked("one")
        assert outages.kinds
        now_s += 1
        outages.worked("one")
        assert outages.kinds == {}
    assert [each["event"] for each in said] == ["store_fails", "store_works_again"] * 2
    assert (said[1]["away_s"], said[1]["failures"]) == (7.0, 6)
