"""The network to a store carries nothing for a while, or PostgreSQL takes no writes: each is a line in the log and no
traceback, `/status` says so, the line goes on, and once it is over everything works by itself.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.settings import Settings
from loadtest.faults.network import HOST, Network
from tests.http.buyer import Answer, Buyer, buyer
from tests.http.system import System, running_system
from tests.postgres import USER, NoPostgresError, Postgres, make
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.postgres, pytest.mark.slow]
PORT = 5432  # in the name of PostgreSQL's socket
AWAY = (503, "store_unavailable"), (503, "lane_busy"), (503, "line_unavailable")


@dataclass
class World:
    system: System
    server: Postgres
    to_redis: Network
    to_database: Network

    async def status(self) -> str:
        self.system.state["metrics"].status.forget()
        async with self.system.web.client() as anybody:
            return (await anybody.get("/status")).text

    async def until_status(self, code: str, *, ended: bool = False) -> None:
        async def says() -> bool:
            return (code in await self.status()) is not ended

        await wait_until(says, description=f"the status {'no longer ' if ended else ''}has {code}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="tiketi-pg-") as folder:
        try:
            server = await asyncio.to_thread(make, Path(folder))
        except NoPostgresError as error:
            pytest.skip(f"no PostgreSQL server can be run here: {error}")
        yield server
        server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(server: Postgres, redis_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    await server.create("shop", "template0")
    database = Network(server.folder / f".s.PGSQL.{PORT}")
    async with Network(redis_socket).serving() as to_redis, database.serving() as to_database:
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("data"),
            redis_url=f"redis://{HOST}:{to_redis.port}",
            database_url=f"postgresql+asyncpg://{USER}@{HOST}:{to_database.port}/shop",
            database_connect_s=2.0,
            database_statement_s=5.0,
            tick_ms=50,
        )
        async with Redis(unix_socket_path=str(redis_socket)) as redis:
            async with running_system(settings, redis) as system:
                yield World(system, server, to_redis, to_database)
            await redis.flushall()


def is_refused(answer: Answer) -> bool:
    return (answer.status_code, answer.json()["code"]) in AWAY


async def until_paid(ann: Buyer, reservation: dict[str, Any]) -> None:
    async def is_paid() -> bool:
        answer = await ann.pay(reservation["id"])
        assert answer.status_code == 201 or is_refused(answer), answer.text
        return answer.status_code == 201

    await wait_until(is_paid, description="the payment goes through")


def only_lines(logged: Any, store: str) -> None:
    assert {entry["store"] for entry in logged if entry["event"] == "store_fails"} <= {store}
    assert [entry for entry in logged if entry["log_level"] not in ("debug", "info", "warning")] == []
    assert [entry for entry in logged if "exc_info" in entry] == []


async def test_a_network_to_the_database_that_carries_nothing(world: World) -> None:
    event_id = await world.system.event()
    async with buyer(world.system, event_id) as ann, buyer(world.system, event_id) as ben:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        with capture_logs() as logged:
            world.to_database.cut()
            assert (await ben.join()).status_code == 201
            await ben.until("admitted")
            assert is_refused(await ann.pay(held["id"]))
            await world.until_status("database_away")
            world.to_database.mend()
            await until_paid(ann, held)
            await world.until_status("database_", ended=True)
        only_lines(logged, "database")


async def test_a_network_to_redis_that_carries_nothing(world: World) -> None:
    event_id = await world.system.event()
    async with buyer(world.system, event_id) as ann, buyer(world.system, event_id) as ben:
        await ann.join()
        await ann.until("admitted")
        with capture_logs() as logged:
            world.to_redis.cut()
            assert (await ann.position())["state"] == "admitted"
            assert is_refused(await ben.join())
            await world.until_status("redis_away")
            world.to_redis.mend()

            async def has_joined() -> bool:
                answer = await ben.join()
                return answer.status_code in (200, 201)

            await wait_until(has_joined, description="the line takes people again")
            await ben.until("admitted")
            await world.until_status("redis_", ended=True)
        only_lines(logged, "redis")


async def test_a_database_that_takes_no_writes(world: World) -> None:
    event_id = await world.system.event()
    async with buyer(world.system, event_id) as ann, buyer(world.system, event_id) as ben:
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        with capture_logs() as logged:
            await world.server.ask("ALTER SYSTEM SET default_transaction_read_only = on")
            await world.server.ask("SELECT pg_reload_conf()")
            try:
                await world.until_status("database_")
                assert (await ben.join()).status_code == 201
                await ben.until("admitted")
                assert is_refused(await ann.pay(held["id"]))
            finally:
                await world.server.ask("ALTER SYSTEM RESET default_transaction_read_only")
                await world.server.ask("SELECT pg_reload_conf()")
            await until_paid(ann, held)
            await world.until_status("database_", ended=True)
        only_lines(logged, "database")
