"""Counts what a part of the product asks its stores for: work that is counted is the same on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis


async def _calls(redis: Redis) -> Counter[str]:
    return Counter({name[8:]: each["calls"] for name, each in (await redis.info("commandstats")).items()})


@asynccontextmanager
async def redis_commands(redis: Redis) -> AsyncIterator[Counter[str]]:
    """Command → how often Redis executed it meanwhile, also for scripts; known when the block ends."""
    before, done = await _calls(redis), Counter[str]()
    yield done
    done.update(await _calls(redis) - before)
    done["info"] -= 1  # ours
