"""The crowd's own process: `python -m loadtest.crowd RUN_FOLDER`, started by `python -m loadtest`.

Every session of the plan is a Locust user, made and, with accounts, logged in before the opening; each then starts at
its planned time, so a slow answer to one never delays another. Prints its counts as JSON once a second; ends when
everyone has, or on SIGTERM.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event
from locust.env import Environment

from loadtest import records
from loadtest.plan import Visit
from loadtest.users import KINDS
from loadtest.visitor import Crowd, Visitor

READY_S = 3.0  # between the last session made and the opening, which the shop is told meanwhile
MADE_POLL_S = 0.05
GC_YOUNG_MAX = 50_000
COUNT_EVERY_S = 1.0
AWAY_WINDOWS = 1.4  # how long the absent stay away, in presence windows


def main(folder: Path) -> None:
    run = msgspec.json.decode((folder / records.RUN).read_bytes(), type=records.Run)
    visits = list(records.read_lines(folder / records.PLAN, Visit))
    writer = records.Writer(folder / records.CROWD)
    away_s = run.presence_window_s * AWAY_WINDOWS + 1
    Visitor.crowd = crowd = Crowd(run.event_id, visits, writer.add, away_s, accounts=run.accounts, own=run.own)
    logging.basicConfig(level=logging.WARNING, format="crowd: %(message)s")
    logging.getLogger("locust.runners").setLevel(logging.CRITICAL)  # many at once is the point here
    come(run.host, crowd, len(visits))
    writer.close()


def come(host: str, crowd: Crowd, sessions: int) -> None:
    """Open the doors and wait until the last has gone."""
    kinds = [kind for kind in KINDS if crowd.number_of(kind.kind)]
    for kind in kinds:
        kind.fixed_count = crowd.number_of(kind.kind)
    environment = Environment(user_classes=[*kinds], host=host, stop_timeout=0)
    runner = environment.create_local_runner()
    told_to_stop = Event()
    gevent.signal_handler(signal.SIGTERM, told_to_stop.set)
    runner.start(sessions, spawn_rate=sessions)
    while crowd.ready < sessions and not told_to_stop.wait(MADE_POLL_S):
        pass
    gc.collect()
    gc.freeze()  # thousands of sessions live until the end: looking at them again and again delays everyone
    gc.set_threshold(GC_YOUNG_MAX, 20, 20)
    crowd.opening_ms = records.now_ms() + READY_S * 1000
    crowd.doors.set()
    report(crowd, opening_ms=crowd.opening_ms)
    while runner.user_count > 0 and not told_to_stop.wait(COUNT_EVERY_S):
        report(crowd)
    runner.quit()
    report(crowd)


def report(crowd: Crowd, **more: float) -> None:
    line = {**crowd.counts, **more}
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
