"""Whether Redis has memory for further people, looked at once a second.

A Redis that is full refuses every write, a claim or an admission as much as a join. So joins stop before that, and
those who are in line go on with what is left.
"""

from __future__ import annotations

import asyncio

import structlog
from redis.asyncio import Redis

from app.room.errors import RoomUnavailable, as_room_unavailable

LOOK_S = 1.0
USED_MAX = 0.9  # of `maxmemory`; above it nobody new is taken

log = structlog.get_logger()


class RedisMemory:
    """`is_short`: whether nobody new is to be taken. False while Redis has no limit."""

    def __init__(self, redis: Redis) -> None:
        self.is_short = False
        self._redis = redis

    async def run(self) -> None:
        """Look once a second, until cancelled. While Redis cannot be reached, what was seen last holds."""
        while True:
            try:
                await self.look()
            except RoomUnavailable as error:
                log.debug("redis_memory_unread", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Raises RoomUnavailable."""
        with as_room_unavailable():
            info = await self._redis.info("memory")
        used, most = int(info["used_memory"]), int(info["maxmemory"])
        is_short = most > 0 and used > most * USED_MAX
        if is_short != self.is_short:
            log.warning("redis_memory_short" if is_short else "redis_memory_enough", used_bytes=used, max_bytes=most)
        self.is_short = is_short
