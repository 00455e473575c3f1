"""What the door costs: joins from counted addresses against the same joins uncounted, challenges, and solutions.

Then what a flood that solves nothing does to an honest join: one address asks as fast as it can over many connections,
first without a solution and then with wrong ones, while somebody from elsewhere joins now and then.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from statistics import quantiles

import altcha

from app.door.challenges import COUNTERS_MAX, Challenges, Subject, counters_for
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.client import load
from loadtest.bench.machine import CLIENT_CORE, cpu_s, on_cores
from loadtest.bench.processes import HOST, Web, product, redis, scratch
from loadtest.bench.report import Row, Say
from loadtest.bench.rounds import CONNECTIONS, Contender, compare, spread

EVENT = "door"
PATH = f"/api/queue/{EVENT}/join"
ADDRESSES = 20_000  # more than are remembered
TIMES = 300
FLOOD_S = 5.0
FLOOD_NICE = 10
HONEST_JOINS = 100
FLOODER = "203.0.113.7"
NO_LIMIT = 1_000_000
SHARE = 20
CORES = 2


def measure(say: Say) -> list[Row]:
    with ExitStack() as stack:
        settings = stack.enter_context(scratch())
        stack.enter_context(redis(settings))
        asyncio.run(_make(settings))
        counting = replace(settings, trusted_proxies=HOST, door_pressure_per_s=NO_LIMIT)
        free = stack.enter_context(product(settings))
        counted = stack.enter_context(product(replace(counting, places_per_address=NO_LIMIT)))
        asked = stack.enter_context(product(counting))
        requests = spread([_join(f"10.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}") for at in range(ADDRESSES)])
        speeds = compare({"counted": Contender(counted, requests), "uncounted": Contender(free, requests)}, say)
        floods = _flooded(asked, "without a solution", _join(FLOODER))
        floods += _flooded(asked, "wrong", _join(FLOODER, f"X-Challenge-Solution: {_wrong_solution()}"))
    share = speeds["counted"].per_s / speeds["uncounted"].per_s
    made_us, read_us = _cost_us()
    return [
        speeds["counted"].row("join from counted addresses"),
        speeds["uncounted"].row("  the same joins uncounted"),
        Row(what="  counted against uncounted", value=share, unit="×", at_least=0.9),
        Row(what="making a challenge", value=made_us, unit="µs"),
        Row(what="checking a solution", value=read_us, unit="µs", at_most=500),
        Row(what="places a minute for two cores, beyond ten shares", value=_solved_per_minute(), unit="", at_most=60),
        *floods,
    ]


def _join(address: str, *headers: str) -> bytes:
    head = room.request("POST", PATH).removesuffix(b"\r\n")
    more = "".join(f"{line}\r\n" for line in (f"X-Forwarded-For: {address}", *headers))
    return head + more.encode() + b"\r\n"


def _flooded(web: Web, what: str, request: bytes) -> list[Row]:
    """What honest joins take while every connection of a flood sends this request, and what answering one costs."""
    # a process of its own: in one with the flood, the honest would wait for Python's lock
    with on_cores(CLIENT_CORE), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        processes.submit(os.nice, FLOOD_NICE).result()  # on their common core the flood may not delay the honest client
        before_s = cpu_s(web.pid)
        flood = processes.submit(load, web.address, [[request]] * CONNECTIONS, FLOOD_S)
        took_ms = [_honest_ms(web, f"198.51.100.{at}") for at in range(HONEST_JOINS)]
        came = flood.result()
        note = f"{came.per_s:,.0f}/s {what}, {(cpu_s(web.pid) - before_s) / came.answers * 1e6:.0f} µs of its core each"
    p99_ms = quantiles(took_ms, n=100)[98]
    return [Row(what="honest join during a flood, p99", value=p99_ms, unit="ms", at_most=50, note=note)]


def _honest_ms(web: Web, address: str) -> float:
    time.sleep(FLOOD_S / 2 / HONEST_JOINS)
    connection = http.client.HTTPConnection(*web.address, timeout=10)
    began_s = time.perf_counter()
    connection.request("POST", PATH, headers={"X-Forwarded-For": address})
    connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - began_s) * 1000


def _challenges() -> tuple[Challenges, Subject]:
    return Challenges({1: b"k" * 32}, 1, lambda _: 0), Subject(EVENT, room.EPOCH, FLOODER)


def _solution(counter_of: Callable[[altcha.Solution], int]) -> str:
    ours, subject = _challenges()
    challenge = altcha.Challenge.from_dict(ours.make(subject, 1, int(time.time()) + 300))
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    solution.counter = counter_of(solution)
    payload = {"challenge": challenge.to_dict(), "solution": solution.to_dict()}
    return base64.b64encode(json.dumps(payload).encode()).decode()


def _wrong_solution() -> str:
    """Well formed, and signed by nobody we know."""
    return _solution(lambda solution: solution.counter + secrets.randbelow(9) + 1)


def _cost_us() -> tuple[float, float]:
    ours, subject = _challenges()
    solution, expires_s = _solution(lambda solution: solution.counter), int(time.time()) + 300
    began_s = time.perf_counter()
    for _ in range(TIMES):
        ours.make(subject, COUNTERS_MAX, expires_s)
    made_s = time.perf_counter()
    for _ in range(TIMES):
        ours.read(solution, subject, time.time())
    return (made_s - began_s) / TIMES * 1e6, (time.perf_counter() - made_s) / TIMES * 1e6


def _solved_per_minute() -> float:
    """A solution is found halfway through its counters, on average."""
    counters = counters_for(10 * SHARE, SHARE)
    ours, subject = _challenges()
    parameters = altcha.Challenge.from_dict(ours.make(subject, counters, int(time.time()) + 300)).parameters
    salt, began_s = bytes.fromhex(parameters.salt), time.perf_counter()
    for _ in range(TIMES):
        hashlib.pbkdf2_hmac("sha256", bytes.fromhex(parameters.nonce), salt, parameters.cost, parameters.key_length)
    return CORES * 60 / ((time.perf_counter() - began_s) / TIMES * counters / 2)


async def _make(settings: Settings) -> None:
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, EVENT)
