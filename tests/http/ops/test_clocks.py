"""A whole system whose only worker has a clock that is an hour ahead: buyers notice nothing, and operators are told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from config.settings import Settings
from tests.http.buyer import buyer
from tests.http.system import System, running_system, working
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOUR_S = 3600.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(redis_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), redis_url=f"unix://{redis_socket}", tick_ms=50, opening_draw_s=0.0
    )
    wrong = partial(working, wall_s=lambda: time.time() + HOUR_S)
    async with Redis(unix_socket_path=str(redis_socket)) as redis:
        await redis.flushall()
        async with running_system(settings, redis, wrong) as running:
            yield running
        await redis.flushall()


async def test_a_hold_ends_by_the_clock_of_all(system: System) -> None:
    event_id = await system.event()
    async with buyer(system, event_id) as ann:
        await ann.enter()
        before_s = time.time()
        held = await ann.hold(seatIds=["s0"])
        lasts_s = datetime.fromisoformat(held["expiresAt"]).timestamp() - before_s
        assert abs(lasts_s - system.settings.hold_s) < HOUR_S / 2
        assert (await ann.client.get(f"/api/reservations/{held['id']}")).json()["reservation"]["status"] == "pending"


async def test_a_sale_that_begins_within_the_hour_is_not_open_yet(system: System) -> None:
    async with system.web.client() as client:
        assert (await client.get("/api/queue/later/status")).json()["state"] == "scheduled"


async def test_status_and_metrics_say_whose_clock_it_is(system: System) -> None:
    async with system.web.client() as client:

        async def is_told() -> bool:
            system.state["metrics"].status.forget()
            told = (await client.get("/status")).json()
            return any(problem["code"] == "clock_wrong" for problem in told["problems"])

        await wait_until(is_told, description="/status says that a clock is wrong")
        told = (await client.get("/status")).json()
        assert "The clock of worker@" in str(told["problems"])
        assert " 3600." in str(told["problems"])
        ahead = {each["kind"]: each["clockAheadSeconds"] for each in told["processes"]}
        assert abs(ahead["worker"] - HOUR_S) < HOUR_S / 2
        assert ahead["web"] == 0.0
        page = await client.get("/status", headers={"accept": "text/html", "accept-language": "en"})
        assert "The clock of a process is wrong" in page.text
        system.state["metrics"].stores.forget()
        metrics = (await client.get("/metrics")).text
    assert 'tiketi_problem{code="clock_wrong"} 1.0' in metrics
    assert 'tiketi_clock_off_seconds{process="web"} 0.0' in metrics
