"""Whether Redis has memory for further people, looked at once a second; of a cluster, the node that has least left.

A Redis that is full refuses every write, a claim or an admission as much as a join. So joins stop before that, and
those who are in line go on with what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis

from app.redis_nodes import nodes_of
from app.room.errors import RoomUnavailable, as_room_unavailable

LOOK_S = 1.0
USED_MAX = 0.9  # of `maxmemory`; above it nobody new is taken
USED_AGAIN = 0.85  # below it they are again: between the two it stays as it is, and does not change each second

log = structlog.get_logger()


def fullest(infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the node says that has least memory left; of those without a limit, the one that uses most."""

    def used(info: dict[str, Any]) -> tuple[float, int]:
        used_bytes, max_bytes = int(info["used_memory"]), int(info["maxmemory"])
        return used_bytes / max_bytes if max_bytes else 0.0, used_bytes

    return max(infos, key=used)


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
            info = fullest([await node.info("memory") for node in await nodes_of(self._redis)])
        used, most = int(info["used_memory"]), int(info["maxmemory"])
        is_short = most > 0 and used > most * (USED_AGAIN if self.is_short else USED_MAX)
        if is_short != self.is_short:
            log.warning("redis_memory_short" if is_short else "redis_memory_enough", used_bytes=used, max_bytes=most)
        self.is_short = is_short
