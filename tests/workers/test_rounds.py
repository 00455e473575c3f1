"""What a worker does by the clock it does once at a time, however long it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.settings import Settings
from workers.main import build
from workers.rounds import alone


async def test_a_round_is_left_out_while_one_runs_and_begun_again_after_it() -> None:
    begun, end = 0, asyncio.Event()

    async def slow(ctx: dict[str, Any]) -> int:
        nonlocal begun
        begun += 1
        await end.wait()
        return begun

    once = alone(slow)
    first = asyncio.create_task(once({}))
    await asyncio.sleep(0)
    assert [await once({}) for _ in range(3)] == [None] * 3
    end.set()
    assert await first == 1
    assert await once({}) == 2


async def test_a_round_that_failed_or_was_cancelled_keeps_no_later_one() -> None:
    async def hangs(ctx: dict[str, Any]) -> int:
        if ctx.get("broken"):
            raise ValueError("broken")
        return await asyncio.get_running_loop().create_future() if ctx.get("hangs") else 7

    once = alone(hangs)
    with pytest.raises(ValueError, match="broken"):
        await once({"broken": True})
    hung = asyncio.create_task(once({"hangs": True}))
    await asyncio.sleep(0)
    assert await once({}) is None
    hung.cancel()
    await asyncio.gather(hung, return_exceptions=True)
    assert await once({}) == 7


async def test_no_round_of_a_worker_runs_beside_itself() -> None:
    """Every schedule of one job shares one guard: the sweeps, and the posters by the clock and by a wake-up."""
    worker = build(Settings(redis_url="redis://127.0.0.1:1"))
    woken: list[Any] = [getattr(function, "coroutine", None) for function in worker.functions.values()]
    guards: dict[Any, set[Any]] = {}
    for coroutine in [job.coroutine for job in worker.cron_jobs or ()]:
        assert hasattr(coroutine, "__wrapped__"), coroutine
        guards.setdefault(coroutine.__wrapped__, set()).add(coroutine)
    for coroutine in woken:
        guards.get(getattr(coroutine, "__wrapped__", coroutine), set()).add(coroutine)
    assert [shared for shared in guards.values() if len(shared) > 1] == []
