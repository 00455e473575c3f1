"""`make scenarios`: the four load scenarios with ApacheBench and wrk on a system of its own, beside their targets.

Exit code 1 if a target is missed, 2 if they could not be run. `ONLY="1 3"` runs some of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from loadtest.bench.machine import ALL_CORES, others_s
from loadtest.options import OwnRoom
from loadtest.scenarios.shop import Shop
from loadtest.scenarios.targets import Figure, errors_percent, read_figures, table
from loadtest.scenarios.tools import Load, ToolError, require_tools, run_ab, run_wrk
from loadtest.system import SystemFailed, own_system

LINE, DIRECT = "demo", "open-air"  # demo events: with a waiting room and sold directly
ROUNDS = 5  # of scenario 3 and per event, each with another seat
BUYERS = 100
CONFLICT = 409
MIXED = Path(__file__).with_name("mixed.lua")
ROOM = OwnRoom(
    rate_per_s=1000,
    burst=1000,
    max_active=10_000,
    presence_window_s=120,
    presence_flush_s=5.0,
    claim_window_s=120,
    pass_s=600,
    hold_s=300,
)

Loads = list[Load]
Scenario = Callable[[Shop, Loads], Coroutine[Any, Any, list[Figure]]]


async def details(shop: Shop, loads: Loads) -> list[Figure]:
    load = await asyncio.to_thread(run_ab, f"{shop.url}/api/events/{LINE}", 1000, 50)
    loads.append(load)
    wrong = Figure(scenario="1 event detail", what="errors", value=load.failed + load.refused, exactly=0)
    return [*read_figures("1 event detail", load, mean_ms=100, p95_ms=200, per_s=500), wrong]


async def seat_map(shop: Shop, loads: Loads) -> list[Figure]:
    load = await asyncio.to_thread(run_ab, f"{shop.url}/api/seats/events/{LINE}", 5000, 200)
    loads.append(load)
    wrong = Figure(scenario="2 seat map", what="errors", value=errors_percent(load), unit="%", below=1)
    return [*read_figures("2 seat map", load, mean_ms=200, p95_ms=500, per_s=300), wrong]


async def one_seat(shop: Shop, loads: Loads) -> list[Figure]:
    """A hundred at once for one seat, several times over, on an event sold directly and on one with a line."""
    bearer = await asyncio.to_thread(shop.bearer)
    figures = []
    for event_id in (DIRECT, LINE):
        rounds = [await _one_seat_round(shop, event_id, bearer, number) for number in range(ROUNDS)]
        loads += [load for load, _ in rounds]
        figures += _one_seat_figures(f"3 one seat, {event_id}", rounds)
    return figures


async def _one_seat_round(shop: Shop, event_id: str, bearer: str, number: int) -> tuple[Load, int]:
    """The load, and how many hold the seat in SQL afterwards."""
    seat_id = (await asyncio.to_thread(shop.seats_free, event_id))[number * 7]
    headers = ["-H", f"Authorization: {bearer}"]
    if event_id == LINE:
        headers += ["-H", f"X-Admission-Pass: {await asyncio.to_thread(shop.admission_pass, event_id, bearer)}"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump({"eventId": event_id, "seatIds": [seat_id]}, body)
        body.flush()
        options = ("-p", body.name, "-T", "application/json", *headers)
        url = f"{shop.url}/api/seats/reserve"
        load = await asyncio.to_thread(lambda: run_ab(url, BUYERS, BUYERS, options, statuses=True))
    return load, await shop.live_holders(event_id, seat_id)


def _one_seat_figures(scenario: str, rounds: Sequence[tuple[Load, int]]) -> list[Figure]:
    """One success and 99 conflicts every time, and one who holds the seat in SQL; times of the slowest round."""
    exact = sum(load.statuses == {201: 1, CONFLICT: BUYERS - 1} and holders == 1 for load, holders in rounds)
    others = sum(count for load, _ in rounds for code, count in load.statuses.items() if code not in (201, CONFLICT))
    return [
        Figure(scenario=scenario, what="rounds: 1 success, 99 conflicts, 1 in SQL", value=exact, exactly=len(rounds)),
        Figure(scenario=scenario, what="other answers", value=others, exactly=0),
        Figure(scenario=scenario, what="mean", value=max(load.mean_ms for load, _ in rounds), unit="ms", below=500),
        Figure(
            scenario=scenario, what="requests", value=min(load.per_s for load, _ in rounds), unit="/s", at_least=100
        ),
    ]


async def mixed(shop: Shop, loads: Loads) -> list[Figure]:
    """A conflict is a right answer to a seat that is taken; the cache's own numbers say how often it had the answer."""
    names = ("tiketi_cache_hits_total", "tiketi_cache_misses_total")
    seats = await asyncio.to_thread(shop.seats_total, DIRECT)
    bearer = await asyncio.to_thread(shop.bearer)
    before = [await asyncio.to_thread(shop.metric, name) for name in names]
    load = await asyncio.to_thread(run_wrk, shop.url, 4, 100, 30, str(MIXED), DIRECT, str(seats), bearer)
    await asyncio.sleep(1.5)  # every process tells its numbers once a second
    hits, misses = [await asyncio.to_thread(shop.metric, name) - was for name, was in zip(names, before, strict=True)]
    loads.append(load)
    rate = 100 * hits / max(1, hits + misses)
    scenario, wrong = "4 mixed", errors_percent(load, (CONFLICT,))
    return [
        Figure(scenario=scenario, what="requests", value=load.per_s, unit="/s", at_least=100),
        Figure(scenario=scenario, what="mean", value=load.mean_ms, unit="ms", below=200),
        Figure(scenario=scenario, what="95 % within", value=load.p95_ms, unit="ms"),
        Figure(scenario=scenario, what="errors", value=wrong, unit="%", below=1),
        Figure(scenario=scenario, what="seats sold or held", value=load.statuses.get(201, 0)),
        Figure(scenario=scenario, what="cache hit rate", value=rate, unit="%", at_least=80),
    ]


def _overall(load: Load) -> Figure:
    """The mixed load is what a sale is like: what it came to per second is what the shop as a whole carries."""
    return Figure(scenario="overall", what="transactions", value=load.per_s, unit="/s", at_least=1000)


SCENARIOS: dict[str, Scenario] = {"1": details, "2": seat_map, "3": one_seat, "4": mixed}


async def run(only: Sequence[str]) -> int:
    require_tools()
    log = Path(tempfile.gettempdir()) / "tiketi-scenarios.log"
    figures: list[Figure] = []
    began_s, others_before_s = time.monotonic(), others_s()
    async with own_system(os.environ, ROOM, LINE, log) as system:
        shop = Shop(system.url, system.settings)
        for name in only:
            print(f"Scenario {name} …", flush=True)
            loads: Loads = []
            figures += await SCENARIOS[name](shop, loads)
            if name == "4":
                figures.append(_overall(loads[0]))
    took_s, others = time.monotonic() - began_s, others_s() - others_before_s
    print(f"\n{table(figures)}\n")
    print(f"{len(ALL_CORES)} cores; {took_s:.0f} s, of which other programs took {others:.0f} s of one core.")
    missed = [figure for figure in figures if not figure.met]
    print(f"{len(missed)} targets missed." if missed else "Every target is met.")
    return 1 if missed else 0


def main() -> int:
    only = sys.argv[1:] or list(SCENARIOS)
    unknown = [name for name in only if name not in SCENARIOS]
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}.", file=sys.stderr)
        return 2
    try:
        return asyncio.run(run(only))
    except (ToolError, SystemFailed) as error:
        print(f"scenarios: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
