"""A Redis that is nearly full takes nobody new, and those who are in line go on."""

from __future__ import annotations

import pytest

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
