"""PostgreSQL goes away and comes back: the line goes on, the shop says it cannot, and then it can again by itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.settings import Settings
from tests.http.buyer import assert_problem, buyer
from tests.http.system import ADMIN, System, running_system
from tests.postgres import NoPostgresError, Postgres, make
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.postgres]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_postgres() -> AsyncIterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="tiketi-pg-") as folder:
        try:
            server = await asyncio.to_thread(make, Path(folder), synchronous_commit="on")
        except NoPostgresError as error:
            pytest.skip(f"no PostgreSQL server can be run here: {error}")
        yield server
        server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(
    own_postgres: Postgres, redis_socket: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        redis_url=f"unix://{redis_socket}",
        database_url=await own_postgres.create("shop", "template0"),
        tick_ms=50,
        lane_wait_s=15.0,
    )
    async with Redis(unix_socket_path=str(redis_socket)) as redis:
        async with running_system(settings, redis) as running:
            yield running
        await redis.flushall()


async def test_without_the_database_the_line_goes_on_and_nothing_is_lost(
    system: System, own_postgres: Postgres
) -> None:
    event_id = await system.event()
    headers = await system.bearer()
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben, system.web.client() as anybody:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        assert (await anybody.get("/readyz")).status_code == 200
        own_postgres.kill()
        with capture_logs() as logged:
            assert (await ben.join()).status_code == 201
            await ben.until("admitted")
            assert_problem(await ben.claim(), 503, "store_unavailable")  # it tells what is held already
            assert (await ann.seat_statuses())["s0"] == "held"
            mine = await anybody.get("/api/reservations/my", headers=headers)
            refused = assert_problem(mine, 503, "store_unavailable")
            assert "Nothing was lost" in refused["detail"]
            assert int(mine.headers["retry-after"]) >= 1
            who = {"email": ADMIN[0], "password": ADMIN[1]}
            assert_problem(await anybody.post("/api/auth/login", json=who), 503, "store_unavailable")
            assert_problem(await ann.pay(held["id"]), 503, "store_unavailable")
            page = await anybody.get("/reservations", headers={"accept": "text/html", **headers})
            assert (page.status_code, "html" in page.headers["content-type"]) == (503, True)
            assert (await anybody.get("/healthz")).status_code == 200
            assert (await anybody.get("/readyz")).status_code == 200
            system.state["metrics"].status.forget()
            assert "database_away" in (await anybody.get("/status")).text
        assert not [entry for entry in logged if entry["event"] == "request_crashed"]
        assert own_postgres.folder.name not in str(logged)
        await asyncio.to_thread(own_postgres.start)

        async def is_paid() -> bool:
            return (await ann.pay(held["id"])).status_code == 201

        async def is_well() -> bool:
            return "database_" not in (await anybody.get("/status")).text

        await wait_until(is_paid, description="the payment goes through once the database is back")
        await wait_until(is_well, description="nothing is wrong any more")
        assert (await anybody.get("/api/reservations/my", headers=headers)).status_code == 200
