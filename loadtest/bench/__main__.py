"""`python -m loadtest.bench [name ...]`: take the measures named, or all, and print the table. Exits with 0."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from functools import partial

import structlog

from loadtest.bench import (
    admission,
    check,
    door,
    draw,
    guard,
    hold,
    join,
    lane,
    memory,
    poll,
    rooms,
    rules,
    scale,
    seating,
    streams,
)
from loadtest.bench.machine import ALL_CORES, others_s
from loadtest.bench.report import BenchError, Row, Say, progress, table

Measure = Callable[[Say], list[Row]]

MEASURES: dict[str, Measure] = {
    "poll": poll.measure,
    "join": join.measure,
    "door": door.measure,
    "check": check.measure,
    "streams": streams.measure,
    "lane": lane.measure,
    "seating": seating.measure,
    "hold": hold.measure,
    "admission": admission.measure,
    "rooms": rooms.measure,
    "rules": rules.measure,
    "draw": draw.measure,
    "guard": guard.measure,
    "memory": memory.measure,
    "scale": scale.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description="Measure the hot paths.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(MEASURES)}; all if none is named")
    parser.add_argument("--people", type=int, default=memory.PEOPLE, help="how many wait when memory is measured")
    given = parser.parse_args()
    names = given.names or list(MEASURES)
    measures: dict[str, Measure] = {**MEASURES, "memory": partial(memory.measure, people=given.people)}
    if unknown := set(names) - MEASURES.keys():
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    began_s, others_before_s = time.monotonic(), others_s()
    rows: list[Row] = []
    missing: list[str] = []
    try:
        for name in names:
            progress(f"{name}:")
            try:
                rows += measures[name](lambda line: progress(f"  {line}"))
            except BenchError as error:
                missing.append(f"{name} could not be measured: {error}")
    finally:  # whatever stops us, what was measured until then is shown
        took_s, others = time.monotonic() - began_s, others_s() - others_before_s
        print(f"\n{len(ALL_CORES)} cores; {took_s:.0f} s, of which other programs took {others:.0f} s of one core.")
        print(f"\n{table(rows)}")
        for line in missing:
            print(line)


if __name__ == "__main__":
    main()
