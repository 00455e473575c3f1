"""A real `tiketi worker` whose stores fail in every way: it waits, says so once, and goes on by itself."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.ledger import events
from app.ledger.database import Database, open_database
from app.room.answers import JoinStatus
from app.room.scripts import RoomScripts
from tests.faults.test_line_processes import worker
from tests.lane.world import spec
from tests.postgres import Postgres, make
from tests.room.room import TIMING
from tests.room.server import Server, server_in
from tests.waiting import wait_until
from workers.keeper import keep

EVENT = "gig"
PEOPLE = 4


@dataclass
class Sale:
    """A sale in whose line people wait, on stores of its own."""

    server: Server
    redis: Redis
    db: Database
    environ: dict[str, str]
    log: Path

    def said(self) -> list[dict[str, Any]]:
        """The worker's log, which must have nothing but lines of JSON: a traceback is none."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def names(self) -> list[str]:
        return [line["name"] for line in self.said()]

    async def until_said(self, name: str, times: int = 1) -> None:
        async def is_said() -> bool:
            return self.names().count(name) >= times

        await wait_until(is_said, description=f"the worker says {name}")

    async def more_come_and_are_let_in(self, people: int, first: int) -> None:
        scripts = RoomScripts(self.redis, TIMING)
        batch = await scripts.join(EVENT, 1, [(f"h{number}", "") for number in range(first, first + people)])
        assert [joined.status for joined in batch.joined] == [JoinStatus.joined] * people
        numbers = [str(joined.number) for joined in batch.joined]

        async def are_in() -> bool:
            turns = await self.redis.zmscore(redis_keys.of_epoch(EVENT, 1, "admitted"), numbers)
            return None not in turns

        await wait_until(are_in, description=f"the numbers {numbers} are let in")

    async def until_recovered(self) -> None:
        """The room is made again for the Redis that was started, and the time in which people may come back is over."""
        room = redis_keys.room(EVENT)

        async def is_recovering() -> bool:
            return bool(await self.redis.hget(room, "state") == b"recovering")  # type: ignore[misc]

        await wait_until(is_recovering, description="the worker makes the room again")
        await self.redis.hset(room, "recover_until_ms", "0")  # type: ignore[misc]


@asynccontextmanager
async def sale_in(folder: Path, url: str = "") -> AsyncIterator[Sale]:
    url = url or f"sqlite+aiosqlite:///{folder / 'tiketi.db'}"
    db = open_database(url)
    await db.create_all()
    room = {"state": "open", "rate_per_s": 1_000.0, "burst": 100, "max_active": 1_000}
    try:
        assert await events.create(db, replace(spec(EVENT), room=room), datetime.now(UTC))
        async with server_in(folder / "redis") as server, server.client() as redis:
            await keep(redis, RoomScripts(redis, TIMING), db, datetime.now(UTC))
            environ = {"REDIS_URL": server.url, "DATABASE_URL": url, "TIKETI_DATA_DIR": str(folder)}
            yield Sale(server, redis, db, {**environ, "TIKETI_LOG_FORMAT": "json"}, folder / "worker.log")
    finally:
        await db.close()


async def be_killed(sale: Sale) -> None:
    sale.server.kill()


async def be_full(sale: Sale) -> None:
    await sale.redis.config_set("maxmemory", "1")


async def be_read_only(sale: Sale) -> None:
    await sale.redis.replicaof("127.0.0.1", "1")


async def stand_still(sale: Sale) -> None:
    sale.server.signal(signal.SIGSTOP)


async def start(sale: Sale) -> None:
    await sale.server.start()
    await sale.until_recovered()


async def have_room(sale: Sale) -> None:
    await sale.redis.config_set("maxmemory", "0")


async def be_writable(sale: Sale) -> None:
    await sale.redis.replicaof("NO", "ONE")


async def go_on(sale: Sale) -> None:
    sale.server.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("fail", "mend"),
    [(be_killed, start), (be_full, have_room), (be_read_only, be_writable), (stand_still, go_on)],
)
async def test_a_worker_outlives_redis_says_so_once_and_goes_on(tmp_path: Path, fail: Any, mend: Any) -> None:
    async with sale_in(tmp_path) as sale:
        with worker("one", sale.environ, sale.log) as process:
            await sale.until_said("worker_ready")
            await sale.more_come_and_are_let_in(PEOPLE, 0)
            await fail(sale)
            await sale.until_said("store_fails")
            await mend(sale)
            await sale.more_come_and_are_let_in(PEOPLE, PEOPLE)
            await sale.until_said("store_works_again")
            assert process.poll() is None, "the worker ended"
            process.terminate()
            process.wait()
        said_once_and_ended_well(sale)


def said_once_and_ended_well(sale: Sale) -> None:
    """Nothing but the beginning and the end of each outage, and that the worker ended when it was told to."""
    names = sale.names()
    told = [name for name in names if name in ("store_fails", "store_works_again")]
    assert told == ["store_fails", "store_works_again"] * (len(told) // 2)
    assert names[-1] == "process_ended"
    assert [line for line in sale.said() if line["level"] not in ("info", "warning")] == []


async def test_a_worker_that_starts_before_redis_waits_for_it(tmp_path: Path) -> None:
    async with sale_in(tmp_path) as sale:
        sale.server.kill()
        with worker("one", sale.environ, sale.log) as process:
            await sale.until_said("store_fails")
            await start(sale)
            await sale.more_come_and_are_let_in(PEOPLE, 0)
            process.terminate()
            process.wait()
        said_once_and_ended_well(sale)


async def test_a_redis_that_refuses_us_is_one_sentence_at_the_start_and_waited_for_later(tmp_path: Path) -> None:
    async with sale_in(tmp_path) as sale:
        with worker("one", sale.environ, sale.log):
            await sale.until_said("worker_ready")
            await sale.redis.config_set("requirepass", "s3cret")
            await sale.redis.client_kill_filter(_type="normal", skipme=True)
            await sale.until_said("store_fails")
            await sale.redis.config_set("requirepass", "")
            await sale.until_said("store_works_again")
        await sale.redis.config_set("requirepass", "s3cret")
        with worker("two", sale.environ, tmp_path / "two.log") as process:
            assert process.wait() == 1
        (said,) = (tmp_path / "two.log").read_text().splitlines()
        assert said.startswith(f"tiketi: Redis at {sale.server.url} refuses us (")
        assert said.endswith("Check the user and the password in REDIS_URL or TIKETI_REDIS_PASSWORD_FILE.")


async def test_a_worker_outlives_postgresql_in_a_few_lines(tmp_path: Path, postgres: Postgres) -> None:
    """The line goes on meanwhile, and what the shop lost is done when it is back."""
    with tempfile.TemporaryDirectory(prefix="tiketi-pg-") as folder:
        server = await asyncio.to_thread(make, Path(folder))
        try:
            async with sale_in(tmp_path, await server.create("shop", "template0")) as sale:
                with worker("one", sale.environ, sale.log) as process:
                    await sale.until_said("worker_ready")
                    server.kill()
                    await sale.until_said("store_fails")
                    await sale.more_come_and_are_let_in(PEOPLE, 0)
                    await asyncio.to_thread(server.start)
                    await sale.until_said("store_works_again")
                    process.terminate()
                    process.wait()
                said_once_and_ended_well(sale)
        finally:
            server.kill()
