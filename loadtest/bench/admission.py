"""Whether the line moves at its rate, to the second, when one of two workers is killed half way."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from bisect import bisect_left
from dataclasses import replace

from app import redis_keys
from app.control.rooms import RoomChange, open_room_control
from app.domain.line import RoomState
from app.room.scripts import RoomScripts
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.machine import child_named
from loadtest.bench.processes import Web, scratch, system
from loadtest.bench.report import BenchError, Row, Say

EVENT = "demo"
PEOPLE = 1_500
RATE_PER_S = 50
BURST = 10
SECONDS = 10
LEAD_S = 1.0  # the line runs for so long before we count: the burst that had gathered is out by then
TAIL_S = 1.0
SEEN_EVERY_S = 2.0


def measure(say: Say) -> list[Row]:
    with scratch() as settings:
        settings = replace(settings, demo=True, workers=2)
        with system(settings) as web:
            times_ms = asyncio.run(_run(settings, web, say))
    began_ms = times_ms[0] + int(LEAD_S * 1000)
    let_in = _within(times_ms, began_ms, SECONDS * 1000)
    busiest = max(_within(times_ms, at_ms, 1000) for at_ms in times_ms)
    return [
        Row(
            what=f"admission, {SECONDS} s at {RATE_PER_S}/s, a worker killed",
            value=let_in,
            unit="people",
            at_least=RATE_PER_S * SECONDS - BURST,
            at_most=RATE_PER_S * SECONDS + BURST,
        ),
        Row(what="  most in any second", value=busiest, unit="people", at_most=RATE_PER_S + BURST),
    ]


def _within(times_ms: list[int], from_ms: int, span_ms: int) -> int:
    return bisect_left(times_ms, from_ms + span_ms) - bisect_left(times_ms, from_ms)


async def _run(settings: Settings, web: Web, say: Say) -> list[int]:
    """The moments of all admissions, by Redis's clock."""
    async with open_room_control(settings) as control, room.scripts_of(settings) as scripts:
        setting = RoomChange(
            state=RoomState.paused, rate_per_second=RATE_PER_S, burst=BURST, max_active=PEOPLE, message=""
        )
        await control.change(EVENT, "bench", setting)
        await room.fill(scripts, EVENT, PEOPLE)
        await control.change(EVENT, "bench", RoomChange(state=RoomState.open))
        say(f"the line runs; {PEOPLE:,} people wait")
        await _wait(scripts, LEAD_S + SECONDS / 2)
        _kill_a_worker(web, say)
        await _wait(scripts, SECONDS / 2 + TAIL_S)
        entries = await scripts.redis.xrange(redis_keys.room_log(EVENT))
    times_ms = [
        int(entry[b"t"])
        for _, entry in entries
        if entry[b"k"] == b"admit"
        for number in entry[b"a"].split(b",")
        if number
    ]
    if not times_ms:
        raise BenchError("nobody was let in")
    return sorted(times_ms)


async def _wait(scripts: RoomScripts, seconds: float) -> None:
    """Meanwhile everyone stays in sight."""
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0:
        await asyncio.sleep(min(SEEN_EVERY_S, left_s))
        await scripts.seen(EVENT, room.EPOCH, range(1, PEOPLE + 1))


def _kill_a_worker(web: Web, say: Say) -> None:
    worker = child_named(web.pid, "worker-1")
    if worker is None:
        raise BenchError("the worker to be killed is not there")
    os.kill(worker, signal.SIGKILL)
    say("one of two workers is killed")
