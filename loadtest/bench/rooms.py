"""What many open rooms cost two workers, in processor time of each, and how soon one has the rooms of one that dies.

The rooms are in Redis only: it is the ticks that are measured, not what is stored in SQL once a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import ExitStack

from app import redis_keys
from app.room.scripts import RoomScripts
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.machine import cpu_s
from loadtest.bench.processes import redis, scratch, worker
from loadtest.bench.report import BenchError, Row, Say

ROOMS = 400
BUSY = 40  # of them, in the second measure: people wait there all the time
BUSY_PER_S = 10.0
READY_S = 120.0
READY_POLL_S = 0.1
SETTLE_S = 4.0
SECONDS = 10.0
CORE_MAX = 0.2
AFTER_S = 3.0  # so long after a worker was killed it is looked whom the other let in
GAP_MAX_MS = 1_000.0


def measure(say: Say) -> list[Row]:
    with ExitStack() as stack:
        settings = stack.enter_context(scratch())
        redis_pid = stack.enter_context(redis(settings))
        names = [f"room-{at}" for at in range(ROOMS)]
        asyncio.run(_make(settings, names))
        workers = [stack.enter_context(worker(settings, f"worker-{at}")) for at in (1, 2)]
        return asyncio.run(_rows(settings, names[:BUSY], workers, redis_pid, say))


async def _make(settings: Settings, names: list[str]) -> None:
    async with room.scripts_of(settings) as scripts:
        for name in names:
            await room.make(scripts, name, rate_per_s=BUSY_PER_S, burst=1)


async def _rows(settings: Settings, busy: list[str], workers: list[int], redis_pid: int, say: Say) -> list[Row]:
    async with room.scripts_of(settings) as scripts:
        await _until_both_tick(scripts)
        rows = [await _used(f"{ROOMS} open rooms, nobody waits", workers, redis_pid, say)]
        for name in busy:
            await room.fill(scripts, name, int(BUSY_PER_S * (2 * SETTLE_S + SECONDS + AFTER_S)))
        rows.append(await _used(f"{ROOMS} open rooms, people wait in {BUSY}", workers, redis_pid, say))
        os.kill(workers[0], signal.SIGKILL)
        say("one of two workers is killed")
        await asyncio.sleep(AFTER_S)
        gap_ms = max([await _longest_gap_ms(scripts, name) for name in busy])
    rows.append(Row(what="  longest time nobody was let in, one killed", value=gap_ms, unit="ms", at_most=GAP_MAX_MS))
    return rows


async def _until_both_tick(scripts: RoomScripts) -> None:
    gives_up_s = time.monotonic() + READY_S
    while await scripts.redis.zcard(redis_keys.WORKERS) < 2:
        if time.monotonic() > gives_up_s:
            raise BenchError("the workers do not start")
        await asyncio.sleep(READY_POLL_S)


async def _used(what: str, workers: list[int], redis_pid: int, say: Say) -> Row:
    say(what)
    await asyncio.sleep(SETTLE_S)
    processes = [*workers, redis_pid]
    before, began_s = [cpu_s(pid) for pid in processes], time.monotonic()
    await asyncio.sleep(SECONDS)
    took_s = time.monotonic() - began_s
    *used, of_redis = [(cpu_s(pid) - was) / took_s for pid, was in zip(processes, before, strict=True)]
    note = f"{min(used):.2f} the other worker, {of_redis:.2f} Redis"
    return Row(what=what, value=max(used), unit="of a core", at_most=CORE_MAX, note=note)


async def _longest_gap_ms(scripts: RoomScripts, event_id: str) -> float:
    """Between two ticks that let somebody in, while people waited for nothing but the rate."""
    entries = await scripts.redis.xrevrange(redis_keys.room_log(event_id), count=int((SECONDS + AFTER_S) * 10))
    times = sorted(int(entry[b"t"]) for _, entry in entries if entry[b"k"] == b"admit" and entry[b"a"])
    if not times:
        raise BenchError(f"nobody was let in to {event_id}")
    now_s, _ = await scripts.redis.time()
    return float(max(later - earlier for earlier, later in zip(times, [*times[1:], now_s * 1000], strict=True)))
