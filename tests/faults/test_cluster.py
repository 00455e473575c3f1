"""A cluster of three shards, with real processes: a sale on each of them, and shards that fail and come back."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app import redis_keys
from app.connections import open_redis
from app.redis_cluster import Cluster
from app.room.errors import RoomUnavailable
from app.room.record import read_record
from config.settings import Settings
from tests.clusters import SHARDS, Clustered, cluster_in
from tests.faults.test_sentinel import check, given
from tests.http.buyer import Buyer, buyer
from tests.http.system import System, running_system
from tests.http.test_stores_away import working_process
from tests.room.server import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@asynccontextmanager
async def sale_on(cluster: Clustered, folder: Path) -> AsyncIterator[System]:
    settings = Settings(data_dir=folder / "data", redis_url=cluster.url, tick_ms=50, lane_wait_s=15.0)
    async with open_redis(settings) as redis, running_system(settings, redis, working_process) as system:
        yield system


async def event_of_each(system: System, cluster: Clustered) -> list[str]:
    """An event of each shard, in their order."""
    found: dict[int, str] = {}
    while len(found) < SHARDS:
        event_id = await system.event()
        found.setdefault(cluster.shard_of(event_id), event_id)
    return [found[shard] for shard in range(SHARDS)]


async def buys(system: System, event_id: str, stack: AsyncExitStack, seat: str) -> Buyer:
    """Somebody new who waits, holds a seat and pays for it."""
    one = await stack.enter_async_context(buyer(system, event_id))
    await given(one)
    await one.until("admitted")
    assert (await one.claim()).status_code == 200
    held = await one.hold(seatIds=[seat])
    assert (await one.pay(held["id"])).status_code == 201
    return one


async def until_let_in(system: System, event_id: str, people: Sequence[Buyer]) -> None:
    """Open a room that was made again, once everybody has shown their ticket, and wait until they are in."""

    async def all_are_in() -> bool:
        states = {(await one.position())["state"] for one in people}
        if states != {"admitted"}:
            room = redis_keys.room(event_id)
            if await system.redis.hexists(room, "recover_until_ms"):  # type: ignore[misc]
                await system.redis.hset(room, "recover_until_ms", "0")  # type: ignore[misc]
            await system.change(event_id, state="open")
        return states == {"admitted"}

    await wait_until(all_are_in, description="everybody is let in")


async def is_killed(server: Server) -> None:
    server.kill()


async def is_started(server: Server) -> None:
    await server.start()


async def stands_still(server: Server) -> None:
    server.signal(signal.SIGSTOP)


async def goes_on(server: Server) -> None:
    server.signal(signal.SIGCONT)


@pytest.mark.parametrize(("fails", "comes_back"), [(is_killed, is_started), (stands_still, goes_on)])
async def test_every_shard_sells_and_one_that_fails_takes_only_its_rooms_with_it(
    tmp_path: Path, fails: Callable[[Server], Awaitable[None]], comes_back: Callable[[Server], Awaitable[None]]
) -> None:
    async with cluster_in(tmp_path) as cluster, sale_on(cluster, tmp_path) as system, AsyncExitStack() as stack:
        events = await event_of_each(system, cluster)
        for event_id in events:
            await buys(system, event_id, stack, "s0")
        away = (cluster.shared + 1) % SHARDS
        waits = await stack.enter_async_context(buyer(system, events[away]))
        await system.change(events[away], state="paused")
        number = await given(waits)
        await cluster.until_copied(away)
        for member in (cluster.replicas[away], cluster.primaries[away]):
            await fails(member.server)
        for shard, event_id in enumerate(events):
            if shard != away:
                await buys(system, event_id, stack, "s1")
        assert (await waits.position())["number"] == number, "from memory"
        late = await stack.enter_async_context(buyer(system, events[away]))
        assert (await late.join()).status_code == 503
        await comes_back(cluster.primaries[away].server)
        assert await given(late) > number
        await until_let_in(system, events[away], [waits, late])
        assert (await waits.claim()).status_code == 200
        assert await check(system.settings) == "Every invariant holds.\n"


@pytest.mark.parametrize("which", ["the shared keys", "a room only"])
async def test_a_replica_that_takes_over_is_found_and_nobody_loses_their_place(tmp_path: Path, which: str) -> None:
    async with cluster_in(tmp_path) as cluster, sale_on(cluster, tmp_path) as system, AsyncExitStack() as stack:
        events = await event_of_each(system, cluster)
        shard = cluster.shared if which == "the shared keys" else (cluster.shared + 1) % SHARDS
        event_id = events[shard]
        await buys(system, event_id, stack, "s0")
        await system.change(event_id, state="paused")
        waiting = [await stack.enter_async_context(buyer(system, event_id)) for _ in range(5)]
        numbers = [await given(one) for one in waiting]
        await cluster.until_copied(shard)
        cluster.primaries[shard].server.kill()
        await cluster.until_promoted(shard)
        new = await stack.enter_async_context(buyer(system, event_id))
        numbers.append(await given(new))
        assert numbers == sorted(set(numbers)), "a number was given twice, or somebody stands before who came earlier"
        assert [(await one.position())["number"] for one in (*waiting, new)] == numbers

        async def is_made_again() -> bool:
            try:
                record = await read_record(system.redis, event_id)
            except RoomUnavailable:  # the first to ask the one that is gone
                return False
            return record is not None and record.generation > 1

        await wait_until(is_made_again, description="the room is made again")
        await cluster.primaries[shard].server.start()  # now a replica of the one that took over
        for other in events:
            if other != event_id:
                await buys(system, other, stack, "s1")

        await until_let_in(system, event_id, [*waiting, new])
        assert await check(system.settings) == "Every invariant holds.\n"


async def test_a_room_is_on_one_node_and_every_command_finds_it(tmp_path: Path) -> None:
    async with cluster_in(tmp_path) as cluster, open_redis(Settings(redis_url=cluster.url)) as redis:
        assert isinstance(redis, Cluster)
        for name in ("a", "b", "c", "d"):
            await redis.set(f"tiketi:{{{name}}}:x", name)
        assert [await redis.get(f"tiketi:{{{name}}}:x") for name in "abcd"] == [b"a", b"b", b"c", b"d"]
        async with redis.pipeline(transaction=False) as pipe:
            for name in "abcd":
                pipe.get(f"tiketi:{{{name}}}:x")
                pipe.incr(f"tiketi:{{{name}}}:y")
            assert await pipe.execute() == [b"a", 1, b"b", 1, b"c", 1, b"d", 1]
        homes = {await redis.home(f"tiketi:{{{name}}}:x") for name in "abcd"}
        assert 1 < len(homes) <= SHARDS
        assert len(await redis.nodes()) == SHARDS
