"""A Redis that is nearly full takes nobody new, and those who are in line go on."""

from __future__ import annotations

import pytest

from app.room.memory import RedisMemory
from tests.http.buyer import buyer
from tests.http.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_redis_that_is_nearly_full_takes_nobody_new_and_serves_who_is_in_line(system: System) -> None:
    event_id = await system.event()
    memory = system.state["redis_memory"]
    async with buyer(system, event_id) as ann, buyer(system, event_id) as bea:
        await ann.join()
        used = int((await system.redis.info("memory"))["used_memory"])
        await system.redis.config_set("maxmemory", int(used / 0.95))
        try:
            await memory.look()
            refused = await bea.client.post(f"/api/queue/{event_id}/join")
            assert (refused.status_code, refused.json()["code"]) == (503, "line_unavailable")
            assert refused.headers["retry-after"] == "30"
            assert (await ann.position())["number"] == 1
            await ann.enter()
            assert await ann.hold(seatIds=["s0"])
        finally:
            await system.redis.config_set("maxmemory", 0)
        await memory.look()
        assert (await bea.client.post(f"/api/queue/{event_id}/join")).status_code == 201


@pytest.mark.parametrize(
    ("shares", "short"),
    [([0.89, 0.91, 0.89, 0.86, 0.84, 0.89], [False, True, True, True, False, False]), ([0.91, 0], [True, False])],
)
async def test_a_redis_that_is_full_by_a_hair_does_not_take_people_every_second_second(
    system: System, shares: list[float], short: list[bool]
) -> None:
    """A share of 0: there is no limit any more."""
    memory, found = RedisMemory(system.redis), []
    try:
        for share in shares:
            used = int((await system.redis.info("memory"))["used_memory"])
            await system.redis.config_set("maxmemory", int(used / share) if share else 0)
            await memory.look()
            found.append(memory.is_short)
    finally:
        await system.redis.config_set("maxmemory", 0)
    assert found == short
