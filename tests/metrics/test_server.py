"""A process's own port: it tells the metrics, and that the event loop is stuck when the loop itself cannot."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from app.metrics import loop_lag as loop_lag
from app.metrics.exchange import MetricsExchange
from app.metrics.loop_lag import LoopLag
from app.metrics.readings import Reading
from app.metrics.server import serving
from tests.ports import kept_port

TOKEN = "a-token-of-some-length"


def utc_now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def opened(token: str = "") -> Iterator[tuple[int, LoopLag]]:
    beating, exchange = (
        LoopLag(),
        MetricsExchange("worker-1", None, [lambda: [Reading("tiketi_polls", (), 3)]], utc_now),
    )
    with kept_port() as port, serving("127.0.0.1", port, exchange, beating, token):
        yield port, beating


def ask(port: int, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def test_it_tells_metrics_and_health_and_nothing_else() -> None:
    with opened() as (port, _):
        status, body = await asyncio.to_thread(ask, port, "/metrics")
        assert (status, 'tiketi_polls_total{process="worker-1"} 3.0' in body) == (200, True)
        assert await asyncio.to_thread(ask, port, "/healthz") == (200, "ok\n")
        assert (await asyncio.to_thread(ask, port, "/"))[0] == 404


async def test_with_a_token_only_who_sends_it_is_told() -> None:
    with opened(TOKEN) as (port, _):
        assert (await asyncio.to_thread(ask, port, "/metrics"))[0] == 401
        assert (await asyncio.to_thread(ask, port, "/metrics", Authorization="Bearer wrong"))[0] == 401
        assert (await asyncio.to_thread(ask, port, "/metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert (await asyncio.to_thread(ask, port, "/healthz"))[0] == 200


async def test_a_loop_that_is_blocked_is_told_of_while_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "STUCK_S", 0.0)
    monkeypatch.setattr("app.metrics.server.SHARED_WAIT_S", -1.0)
    said: dict[str, tuple[int, str]] = {}
    with opened() as (port, beating):
        told = threading.Event()

        def probe() -> None:
            said["health"], said["metrics"] = ask(port, "/healthz"), ask(port, "/metrics")
            told.set()

        while not beating.stuck:
            pass
        asker = threading.Thread(target=probe)
        asker.start()
        told.wait(20)  # the loop stands still: exactly what is told of
        asker.join()
    assert said["health"] == (503, "stuck\n")
    assert said["metrics"][0] == 200
    assert "tiketi_polls_total" in said["metrics"][1]


async def test_port_zero_listens_nowhere() -> None:
    with serving("127.0.0.1", 0, MetricsExchange("worker-1", None, [], utc_now), LoopLag(), ""):
        assert "metrics" not in {thread.name for thread in threading.enumerate()}


async def test_a_name_that_leads_here_by_somebody_elses_doing_is_told_nothing() -> None:
    with opened() as (port, _):
        assert (await asyncio.to_thread(ask, port, "/metrics", Host="evil.example"))[0] == 421
        assert (await asyncio.to_thread(ask, port, "/metrics", Host="web:9100"))[0] == 200
    with opened(TOKEN) as (port, _):
        named = {"Host": "metrics.example", "Authorization": f"Bearer {TOKEN}"}
        assert (await asyncio.to_thread(ask, port, "/metrics", **named))[0] == 200
