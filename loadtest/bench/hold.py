"""How long a buyer waits for seats when nothing else happens: request to answer, through the whole system."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import replace
from statistics import median, quantiles

from app.domain.browser import Browsers
from loadtest.bench.processes import ANSWER_S, Web, scratch, system
from loadtest.bench.report import BenchError, Row, Say
from loadtest.bench.room import browsers_of

HOLDS = 40
APART_S = 0.35  # the allocator has let go of the lane by then, so each request has to wake it
EVENT = "open-air"  # of the demo; sold without a waiting room
SEATS = 2


def measure(say: Say) -> list[Row]:
    with scratch() as settings, system(replace(settings, demo=True)) as web:
        say(f"{HOLDS} holds, {APART_S * 1000:.0f} ms apart")
        browsers = browsers_of(settings)
        took_ms = sorted(_hold(web, browsers) * 1000 for _ in range(HOLDS))
    return [
        Row(
            what="hold, request to answer when idle, p50",
            value=median(took_ms),
            unit="ms",
            at_most=25,
            note=f"p95 {quantiles(took_ms, n=20)[-1]:.0f}, fastest {took_ms[0]:.0f}",
        )
    ]


def _hold(web: Web, browsers: Browsers) -> float:
    """One new buyer holds the best seats; how many seconds that took, the connection being open already."""
    time.sleep(APART_S)
    connection = http.client.HTTPConnection(*web.address, timeout=ANSWER_S)
    connection.connect()
    try:
        cookie = f"tiketi_holder={browsers.new().cookie}"
        body = json.dumps({"eventId": EVENT, "quantity": SEATS})
        began_s = time.perf_counter()
        connection.request("POST", "/api/seats/reserve", body, {"Cookie": cookie})
        answer = connection.getresponse()
        said = answer.read()
        took_s = time.perf_counter() - began_s
    finally:
        connection.close()
    if answer.status != 201:
        raise BenchError(f"a hold is refused: {answer.status} {said.decode(errors='replace')}")
    return took_s
