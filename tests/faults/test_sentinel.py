"""Redis behind sentinels: the primary is killed or demoted in mid-sale, with real processes. Nobody loses their place,
no number is given twice, and everything goes on with the one that took over.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisAway

from app import jobs, redis_keys
from app.connections import open_redis
from app.room.record import read_record
from config.settings import Settings, environment, load
from tests.http.buyer import Buyer, buyer
from tests.http.system import System, running_system
from tests.http.test_stores_away import working_process
from tests.ports import kept_port
from tests.sentinels import SERVICE, Watched, named, sentinel_at, watched_in
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
PEOPLE = 8


@asynccontextmanager
async def sale_behind(watched: Watched, folder: Path) -> AsyncIterator[System]:
    settings = Settings(
        data_dir=folder / "data",
        redis_url=watched.url,
        redis_sentinel_password_file=watched.password_file,
        tick_ms=50,
        lane_wait_s=15.0,
    )
    async with open_redis(settings) as redis, running_system(settings, redis, working_process) as system:
        yield system


async def is_killed(watched: Watched) -> None:
    await watched.until_copied()
    watched.primary.kill()


async def is_killed_and_the_replica_is_behind(watched: Watched) -> None:
    watched.primary.kill()
    await watched.replica.start()


async def is_asked_to_step_down(watched: Watched) -> None:
    """As before its machine is taken out of service: it lives on, as a replica."""
    async with sentinel_at(watched.sentinels[0]) as sentinel:
        await sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)  # type: ignore[no-untyped-call]


async def given(one: Buyer) -> int:
    """The number that joining gives, as soon as it is given."""

    async def number() -> int:
        joined = await one.join()
        assert joined.status_code == 503 or "number" in joined.json(), joined.text
        return int(joined.json()["number"]) if joined.status_code != 503 else 0

    return await wait_until(number, description="a number is given")


async def until_made_again(watched: Watched, event_id: str) -> None:
    """Whoever was asked stepped down, and the room was made again in the one that took over."""
    await watched.until_followed()

    async def is_made_again() -> bool:
        async with watched.replica.client() as promoted:
            record = await read_record(promoted, event_id)
        return record is not None and record.generation > 1

    await wait_until(is_made_again, description="the room is made again")


async def until_it_works(act: Callable[[], Awaitable[int]], description: str) -> None:
    async def works() -> bool:
        return await act() in (200, 201)

    await wait_until(works, description=description)


@pytest.mark.parametrize("primary", [is_killed, is_killed_and_the_replica_is_behind, is_asked_to_step_down])
async def test_a_failover_in_mid_sale_loses_no_place_and_gives_no_number_twice(
    tmp_path: Path, primary: Callable[[Watched], Awaitable[None]]
) -> None:
    async with watched_in(tmp_path) as watched, sale_behind(watched, tmp_path) as system, AsyncExitStack() as stack:
        event_id = await system.event()

        async def come(people: int) -> list[Buyer]:
            return [await stack.enter_async_context(buyer(system, event_id)) for _ in range(people)]

        ann, *waiting = await come(PEOPLE)
        await ann.enter()
        held = await ann.hold(seatIds=["s0"])
        await system.change(event_id, state="paused")
        numbers = [await given(one) for one in waiting]
        if primary is is_killed_and_the_replica_is_behind:
            await watched.until_copied()
            watched.replica.kill()
            late = await come(PEOPLE)
            waiting += late
            numbers += [await given(one) for one in late]
        await primary(watched)
        await watched.until_promoted()
        new = await come(3)
        numbers += [await given(one) for one in new]  # by either of them: who steps down takes writes a while longer
        await until_made_again(watched, event_id)
        assert numbers == sorted(set(numbers)), "a number was given twice, or somebody stands before who came earlier"
        for one, number in zip(waiting, numbers, strict=False):
            assert (await one.position())["number"] == number

        async def pays() -> int:
            return (await ann.pay(held["id"])).status_code

        await until_it_works(pays, "the payment goes through")
        room = redis_keys.room(event_id)

        async def all_have_come_back() -> bool:
            for one in [*waiting, *new]:
                await one.position()
            lost = redis_keys.of_epoch(event_id, 1, "lost")
            return not any([await system.redis.getbit(lost, number) for number in numbers])

        await wait_until(all_have_come_back, description="everybody who waits has shown their ticket")
        await system.change(event_id, state="open")

        async def all_are_in() -> bool:
            await system.redis.hset(room, "recover_until_ms", "0")  # type: ignore[misc]
            return {(await one.position())["state"] for one in [*waiting, *new]} == {"admitted"}

        await wait_until(all_are_in, description="everybody is let in")
        assert await let_in(system, event_id) == numbers
        assert (await new[-1].claim()).status_code == 200
        bought = await new[-1].hold(seatIds=["s1"])
        assert (await new[-1].pay(bought["id"])).status_code == 201
        assert await check(system.settings) == "Every invariant holds.\n"
        assert await named(watched.sentinels[0]) == watched.ports[1]


async def let_in(system: System, event_id: str) -> list[int]:
    """Whom the room let in since it was made again, in order."""
    log = await system.redis.xrange(redis_keys.room_log(event_id))
    admitted = [number for _, entry in log for number in entry.get(b"a", b"").split(b",") if number]
    return [int(number) for number in admitted if int(number) > 1]


async def check(settings: Settings) -> str:
    """What `tiketi check` says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "app.cli", "check"),
        env={**os.environ, **environment(settings)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_who_the_sentinels_name_is_found_whichever_of_them_is_away(tmp_path: Path) -> None:
    async with watched_in(tmp_path) as watched:
        with kept_port() as one, kept_port() as two:
            away = [one, two]
            few = [*away, watched.sentinels[0]]
            for ports in (watched.sentinels, [away[0], *watched.sentinels], few):
                url = f"sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/{SERVICE}/1"
                password = {"TIKETI_REDIS_SENTINEL_PASSWORD_FILE": str(watched.password_file)}
                async with open_redis(load({"REDIS_URL": url, **password})) as redis:
                    assert (await redis.config_get("port"))["port"] == str(watched.ports[0])
                    await jobs.wake_allocator(jobs.job_queue(redis.connection_pool), "gig", "1-0")
                    assert (await redis.client_info())["db"] == 1


async def test_sentinels_that_cannot_say_are_an_error_that_says_why(tmp_path: Path) -> None:
    async with watched_in(tmp_path) as watched:
        password = {"TIKETI_REDIS_SENTINEL_PASSWORD_FILE": str(watched.password_file)}
        for url, given, says in (
            (watched.url.replace(SERVICE, "yourmaster"), password, "No such master with that name"),
            (watched.url, {}, "Authentication required"),
        ):
            async with open_redis(load({"REDIS_URL": url, **given})) as redis:
                with pytest.raises(RedisAway, match=says):
                    await redis.ping()
