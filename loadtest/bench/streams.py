"""What open streams cost one web process, and how long a move of the cursor takes to reach all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from app.http.line.streams import FAR_S
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.crowd import Crowd, crowd
from loadtest.bench.machine import CLIENT_CORE, cpu_s, on_cores, open_files_max, rss_bytes
from loadtest.bench.processes import Web, ask, compared, redis, scratch
from loadtest.bench.report import BenchError, Row, Say
from workers.admitter import Admitter

STREAMS = 10_000
IN_FRONT = 100  # people without a stream, who are let in while the others watch
MOVES = 5
APART_S = FAR_S + 0.6  # so that everyone is due at every move
OPEN_S = 10.0
REACH_S = 5.0
WARM_UP = 200  # streams opened before memory is compared: code and pools are there then
EVENT = "bench"
PATH = f"/api/queue/{EVENT}/stream"


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the cursor as all streams saw it."""

    reached_s: float
    cpu_s: float
    stall_ms: float
    work_ms: float  # processor time of the server's own between two turns of its event loop


def measure(say: Say) -> list[Row]:
    streams = min(STREAMS, open_files_max())
    if streams < STREAMS:
        say(f"the limit of open files allows {streams:,} streams, not {STREAMS:,}")
    with ExitStack() as stack:
        settings = stack.enter_context(scratch())
        stack.enter_context(redis(settings))
        requests = asyncio.run(_gather(settings, streams))
        web = stack.enter_context(compared(settings, "watched"))
        stack.enter_context(on_cores(CLIENT_CORE))
        people = stack.enter_context(crowd(web.address))
        people.open(requests[:WARM_UP], OPEN_S)
        before = rss_bytes(web.pid)
        say(f"opening {streams:,} streams")
        began_s = time.perf_counter()
        people.open(requests[WARM_UP:], OPEN_S)
        opened_s = time.perf_counter() - began_s
        each = (rss_bytes(web.pid) - before) / (streams - WARM_UP)
        moves = asyncio.run(_move(settings, web, people, say))
    return _rows(streams, each, opened_s, moves)


def _rows(streams: int, each: float, opened_s: float, moves: Sequence[Move]) -> list[Row]:
    per_message_us = sum(move.cpu_s for move in moves) / (len(moves) * streams) * 1e6
    reached = [move.reached_s for move in moves]
    return [
        Row(
            what=f"{streams:,} open streams, memory each",
            value=each / 1000,
            unit="kB",
            at_most=16,
            note=f"opened in {opened_s:.1f} s",
        ),
        Row(what="  processor time per message", value=per_message_us, unit="µs", at_most=30),
        Row(
            what="  cursor move reaches the last stream",
            value=max(reached) * 1000,
            unit="ms",
            at_most=500,
            note=f"slowest of {MOVES}, median {median(reached) * 1000:.0f}",
        ),
        Row(
            what="  longest stall of the event loop meanwhile",
            value=max(move.stall_ms for move in moves),
            unit="ms",
            at_most=20,
            note=f"median {median(move.stall_ms for move in moves):.1f}, "
            f"of which {max(move.work_ms for move in moves):.1f} at most its own work",
        ),
    ]


async def _gather(settings: Settings, streams: int) -> list[bytes]:
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, EVENT, rate_per_s=1, burst=1)
        holders = await room.fill(scripts, EVENT, IN_FRONT + streams)
        await room.admitter(scripts)  # logs that they joined: no news is left for the streams but the moves
    cookies = room.cookies(settings, EVENT, holders)[IN_FRONT:]
    return [room.request("GET", PATH, cookie) for cookie in cookies]


async def _move(settings: Settings, web: Web, people: Crowd, say: Say) -> list[Move]:
    moves = []
    async with room.scripts_of(settings) as scripts:
        admitter = await room.admitter(scripts)
        for turn in range(MOVES):
            people.listen({-1}, APART_S)  # reads what may come meanwhile
            move = await _once(admitter, web, people)
            say(f"move {turn + 1} of {MOVES}: reached all in {move.reached_s * 1000:.0f} ms")
            moves.append(move)
    return moves


async def _once(admitter: Admitter, web: Web, people: Crowd) -> Move:
    _stall(web)
    cpu_before_s, began_s = cpu_s(web.pid), time.perf_counter()
    await admitter.tick()  # lets one in
    last_s, silent = people.listen(None, REACH_S)
    if silent:
        raise BenchError(f"{silent} streams were not told of a move within {REACH_S:g} s")
    used_s = cpu_s(web.pid) - cpu_before_s
    return Move(last_s - began_s, used_s, *_stall(web))


def _stall(web: Web) -> tuple[float, float]:
    _, body = ask(web.address, "GET", "/stall", {})
    stall = json.loads(body)
    return stall["longestMs"], stall["workMs"]
