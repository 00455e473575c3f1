"""What 200 rules cost a request: in processor time of this process, for the first rule that fits and for none.

The rules are of every kind there is, as a shop might write them; each request has another path, so nothing can be
remembered from one to the next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from app.connect.asked import Asked
from app.connect.presets import preset
from app.connect.rules import RULES_MAX, Rules
from loadtest.bench.report import BenchError, Row, Say

REQUESTS = 20_000
ROUNDS = 5
AT_MOST_US = 20.0
HEADERS = (
    (b"host", b"shop.example"),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
    ),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"cookie", b"session=2f8e1c; theme=dark; consent=all"),
)


def rules() -> list[dict[str, Any]]:
    """A preset, and beyond it rules of six kinds by turns, up to the most there may be."""
    made = preset("woocommerce")
    kinds = len(makers := (_folder, _glob, _agent, _query, _header, _several))
    made += [makers[place % kinds](place) for place in range(RULES_MAX - len(made))]
    return made


def _folder(place: int) -> dict[str, Any]:
    return {"action": "queue", "path": f"/collection-{place}"}


def _glob(place: int) -> dict[str, Any]:
    return {"action": "queue", "path": f"/shop/*/event-{place}/*.html", "host": "*.shop.example"}


def _agent(place: int) -> dict[str, Any]:
    return {"action": "pass", "userAgent": f"Monitor-{place}/"}


def _query(place: int) -> dict[str, Any]:
    return {"action": "queue", "query": {"campaign": f"spring-{place}*"}}


def _header(place: int) -> dict[str, Any]:
    return {"action": "pass", "header": {"x-partner": f"partner-{place}"}, "method": "POST"}


def _several(place: int) -> dict[str, Any]:
    return {"action": "refuse", "path": f"/old-{place}", "also": [{"cookie": {"member": "*"}, "negate": True}]}


def measure(say: Say) -> list[Row]:
    made = rules()
    read = Rules(made)
    say(f"{len(made)} rules, {REQUESTS:,} requests {ROUNDS} times")
    none = _us(read, [f"/products/{number}/view" for number in range(REQUESTS)], None)
    last = next(place for place in reversed(range(len(made))) if made[place].keys() == {"action", "path"})
    late = _us(read, [f"{made[last]['path']}/{number}" for number in range(REQUESTS)], last)
    return [
        Row(what=f"{len(made)} rules, a request that none fits", value=none, unit="µs", at_most=AT_MOST_US),
        Row(what=f"{len(made)} rules, a request that rule {last + 1} fits", value=late, unit="µs", at_most=AT_MOST_US),
    ]


def _us(read: Rules, paths: Sequence[str], expected: int | None) -> float:
    if read.first(_asked(paths[0])) != expected:
        raise BenchError(f"the rules do not decide {paths[0]} as they should")
    times = []
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for path in paths:
            read.decide(_asked(path))
        times.append((time.thread_time() - began_s) / len(paths) * 1e6)
    return median(times)


def _asked(path: str) -> Asked:
    return Asked("GET", "shop.example", path, "ref=mail", HEADERS)
