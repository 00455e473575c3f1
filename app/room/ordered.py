"""Script calls over one connection of their own: several under way at once, carried out and answered in order.

A connection pool gives each call its own connection, and calls on two connections can overtake each other. Here the
order is kept, and a call does not wait for the answer to the one before it. When the connection breaks, every call
under way fails: none is repeated, since Redis may have carried it out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Connection, Redis
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ResponseError

from app.redis_nodes import leads_elsewhere


class OrderedCalls:
    """The part of a Redis client that a script uses: `evalsha` and `script_load`. Raises what redis-py raises."""

    def __init__(self, redis: Redis) -> None:
        self._connection: Connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self._sending, self._reading = asyncio.Lock(), asyncio.Lock()  # both are acquired in the order of the calls
        self.under_way = 0  # calls that were sent and not answered yet
        self._broken = 0  # how often the connection was closed: what was sent before gets no answer

    async def evalsha(self, sha: str, keys_total: int, *keys_and_args: Any) -> Any:
        return await self._call("EVALSHA", sha, keys_total, *keys_and_args)

    async def script_load(self, script: bytes) -> str:
        sha = await self._call("SCRIPT LOAD", script)
        return str(sha.decode())

    async def _call(self, *command: Any) -> Any:
        try:
            async with self._sending:
                if not self.under_way:
                    await self._make_sure_of_connection()
                await self._connection.send_command(*command)
                self.under_way += 1
                broken = self._broken
            try:
                async with self._reading:
                    if broken != self._broken:
                        raise RedisAway("the connection broke before the answer came")
                    return await self._connection.read_response()
            finally:
                self.under_way -= 1
        except ResponseError as error:
            if leads_elsewhere(error):
                await self.aclose()
            raise  # an error answer was read in its turn, so the connection can be used otherwise
        except BaseException:
            await self.aclose()  # else the next call would read the unread answer of this one
            raise

    async def _make_sure_of_connection(self) -> None:
        """Close a connection that Redis closed while it was idle, for example because Redis was restarted."""
        if self._connection.is_connected:
            try:
                closed = await self._connection.can_read_destructive()  # type: ignore[no-untyped-call]
            except (RedisAway, OSError):
                closed = True
            if closed:
                await self.aclose()

    async def aclose(self) -> None:
        self._broken += 1
        await self._connection.disconnect(nowait=True)
