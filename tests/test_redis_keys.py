"""The names of keys: those of one event are on one node of a cluster, and so are those that all events share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app import jobs, redis_keys
from app.connections import RedisRefused, ask_redis, open_redis, utc_now
from app.ledger import events
from app.ledger.database import Database, open_database
from app.room.record import Schedule
from app.room.scripts import RoomScripts
from config.settings import Settings
from tests.http.system import working
from tests.lane.world import spec
from tests.ports import kept_port
from tests.room.room import EVENT, TIMING, Room
from tests.room.server import Server, server_in
from tests.waiting import wait_until
from workers.keeper import keep
from workers.main import build

ROUNDS_OF_A_SECOND = 8


async def test_what_wakes_a_worker_and_what_it_keeps_have_the_tag_of_the_shared_keys(redis: Redis) -> None:
    await jobs.wake_allocator(jobs.job_queue(redis.connection_pool), "gig", "1-0")
    assert sorted(await redis.keys("*")) == [
        f"arq:job:allocate:gig:1-0{redis_keys.SHARED}".encode(),
        redis_keys.ARQ_JOBS.encode(),
    ]
    worker = build(Settings(redis_url="redis://127.0.0.1:1"))
    named = [worker.queue_name, worker.health_check_key, *(job.name for job in worker.cron_jobs or ())]
    assert [name for name in named if redis_keys.SHARED not in name] == []
    assert len(set(named)) == len(named)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Server]:
    """The only node of a cluster: it refuses every command, script and transaction that takes keys of two slots."""
    with kept_port() as port, kept_port() as bus:
        options = ("--cluster-enabled", "yes", "--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1")
        async with server_in(tmp_path / "redis", *options) as server, server.client() as redis:
            await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)  # type: ignore[no-untyped-call]

            async def is_ready() -> bool:
                return b"cluster_state:ok" in await redis.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]

            await wait_until(is_ready, description="the cluster of one node is ready")
            yield server


async def test_no_command_of_a_room_takes_keys_of_two_slots(node: Server, ledger: Database) -> None:
    async with node.client() as redis:
        room = await Room(redis, ledger).make(rate_per_s=100, burst=10, max_active=100, bound=1_000)
        await room.crowd(5)
        await room.seen(1, 2, 3)
        await room.tick()
        assert (await room.claim(1)).status == "claimed"
        assert await room.leave(2) == "left"
        await keep(redis, room.scripts, ledger, utc_now())
        await room.change(state="closed")
        await room.change(state="open")
        scripts = room.scripts
        assert (await scripts.schedule(EVENT, Schedule(opens_ms=1, version=9, cancelled=True))).status == "changed"
        assert await scripts.snapshot(EVENT, 2) is not None
        assert await redis.smembers(redis_keys.ROOMS) == {EVENT.encode()}  # type: ignore[misc]
        assert await redis.xlen(redis_keys.OPENED) >= 2


async def test_no_job_and_no_round_of_a_worker_takes_keys_of_two_slots(node: Server, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, redis_url=node.url, tick_ms=50)
    db = open_database(settings.database)
    await db.create_all()
    made = {"state": "open", "rate_per_s": 100.0, "burst": 10, "max_active": 100}
    for event_id in (EVENT, "other"):
        await events.create(db, replace(spec(event_id), room=made), utc_now())
    async with node.client() as redis, working(settings):
        scripts = RoomScripts(redis, TIMING)

        async def is_let_in() -> bool:
            joined = await scripts.join(EVENT, 1, [("h", "1;R;0")])
            return bool(joined.joined and await redis.zscore(redis_keys.of_epoch(EVENT, 1, "admitted"), "1"))

        async def all_rounds_ran() -> bool:
            ran = {name.split(b":")[3] async for name in redis.scan_iter("arq:in-progress:cron:*")}
            return len(ran) >= ROUNDS_OF_A_SECOND

        await wait_until(is_let_in, description="somebody is let in")
        await wait_until(all_rounds_ran, description="the rounds of every second run")
        assert "errorstat_CROSSSLOT" not in await redis.info("errorstats")
    await db.close()


async def test_a_node_of_a_cluster_is_refused_at_the_start_in_one_sentence(node: Server) -> None:
    settings = Settings(redis_url=node.url)
    async with open_redis(settings) as redis:
        with pytest.raises(RedisRefused) as refused:
            await ask_redis(redis, settings)
    assert str(refused.value).endswith("is a cluster: its address begins with redis+cluster:// then.")


async def test_a_redis_that_is_no_cluster_is_refused_if_its_address_says_so(tmp_path: Path) -> None:
    with kept_port() as port:
        async with server_in(tmp_path / "redis", "--port", str(port), "--bind", "127.0.0.1"):
            settings = Settings(redis_url=f"redis+cluster://127.0.0.1:{port}")
            async with open_redis(settings) as redis:
                with pytest.raises(RedisRefused, match="is no cluster: its address begins with redis:// then"):
                    await ask_redis(redis, settings)
