"""Whether the line moves at its rate, to the second, also when a worker is killed and when 1,000 a second come in."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from bisect import bisect_left
from dataclasses import replace

from app import redis_keys
from app.audit.line_replay import due_of
from app.control.rooms import RoomChange, open_room_control
from app.domain.line import RoomState
from app.room.scripts import RoomScripts
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.machine import child_named
from loadtest.bench.processes import Web, scratch, system
from loadtest.bench.report import BenchError, Row, Say

EVENT = "demo"
SECONDS = 10
KILLED_PER_S = 50  # while a worker is killed
FAST_PER_S = 1_000
BURST = 10
LET_IN = 0.98  # of the rate
LEAD_S = 1.0  # the line runs for so long before we count: the burst that had gathered is out by then
TAIL_S = 1.0
SEEN_EVERY_S = 2.0


def measure(say: Say) -> list[Row]:
    return [
        *_measure(KILLED_PER_S, f"admission, {SECONDS} s at {KILLED_PER_S}/s, a worker killed", True, say),
        *_measure(FAST_PER_S, f"admission, {SECONDS} s at {FAST_PER_S:,}/s by two workers", False, say),
    ]


def _measure(rate_per_s: int, what: str, kill: bool, say: Say) -> list[Row]:
    with scratch() as settings:
        settings = replace(settings, demo=True, workers=2)
        with system(settings) as web:
            times_ms = asyncio.run(_run(settings, web, rate_per_s, kill, say))
    began_ms = times_ms[0] + LEAD_S * 1000
    at_least = rate_per_s * SECONDS - BURST if kill else LET_IN * rate_per_s * SECONDS
    return [
        Row(
            what=what,
            value=_within(times_ms, began_ms, SECONDS * 1000),
            unit="people",
            at_least=at_least,
            at_most=rate_per_s * SECONDS + BURST,
        ),
        Row(
            what="  most in any second",
            value=max(_within(times_ms, at_ms, 1000) for at_ms in times_ms),
            unit="people",
            at_most=rate_per_s + BURST,
        ),
    ]


def _within(times_ms: list[float], from_ms: float, span_ms: float) -> int:
    return bisect_left(times_ms, from_ms + span_ms) - bisect_left(times_ms, from_ms)


async def _run(settings: Settings, web: Web, rate_per_s: int, kill: bool, say: Say) -> list[float]:
    """The moments at which those who were let in were due, by Redis's clock."""
    async with open_room_control(settings) as control, room.scripts_of(settings) as scripts:
        people = int(rate_per_s * (LEAD_S + SECONDS + TAIL_S) * 1.2)
        setting = RoomChange(
            state=RoomState.paused, rate_per_second=rate_per_s, burst=BURST, max_active=people, message=""
        )
        await control.change(EVENT, "bench", setting)
        await room.fill(scripts, EVENT, people)
        await control.change(EVENT, "bench", RoomChange(state=RoomState.open))
        say(f"the line runs; {people:,} people wait")
        await _wait(scripts, people, LEAD_S + SECONDS / 2)
        if kill:
            _kill_a_worker(web, say)
        await _wait(scripts, people, SECONDS / 2 + TAIL_S)
        entries = await scripts.redis.xrange(redis_keys.room_log(EVENT))
    times_ms = [
        due_ms
        for _, entry in entries
        if entry[b"k"] == b"admit" and entry[b"a"]
        for due_ms in due_of(entry).times_ms(entry[b"a"].count(b",") + 1)
    ]
    if not times_ms:
        raise BenchError("nobody was let in")
    return sorted(times_ms)


async def _wait(scripts: RoomScripts, people: int, seconds: float) -> None:
    """Meanwhile everyone stays in sight."""
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0:
        await asyncio.sleep(min(SEEN_EVERY_S, left_s))
        await scripts.seen(EVENT, room.EPOCH, range(1, people + 1))


def _kill_a_worker(web: Web, say: Say) -> None:
    worker = child_named(web.pid, "worker-1")
    if worker is None:
        raise BenchError("the worker to be killed is not there")
    os.kill(worker, signal.SIGKILL)
    say("one of two workers is killed")
