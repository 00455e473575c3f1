"""Which Redis server has what, for whoever sends it commands: one has everything, unless it is a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from heapq import nsmallest
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import MovedError, ReadOnlyError, RedisError, ResponseError

from app.redis_cluster import Cluster

READS_MAX = 500  # of streams that are on nodes of a cluster, under way at once: each has a connection
KEYS_PER_SCAN = 1_000
RETRY_S = 0.2  # after a read that failed, until the stream is read again

T = TypeVar("T")
Entries = list[tuple[bytes, dict[bytes, bytes]]]


def leads_elsewhere(error: ResponseError) -> bool:
    """Whether the server says that this is not for it: it is a replica, or another node has the key. Scripts say so in
    their own way before Redis 7. A connection that hears it should not be used again."""
    return isinstance(error, ReadOnlyError | MovedError) or "-READONLY " in str(error)


async def home(redis: Redis, key: str) -> Redis:
    """The client of the node that has a key. Raises redis-py's ConnectionError if none is known to."""
    return await redis.home(key) if isinstance(redis, Cluster) else redis


async def nodes_of(redis: Redis) -> list[Redis]:
    """A client of each node that has keys. Raises redis-py's ConnectionError if none is known."""
    return await redis.nodes() if isinstance(redis, Cluster) else [redis]


async def keys_like(redis: Redis, pattern: str) -> AsyncIterator[str]:
    """The names of all keys that match, on whichever node they are. Raises RedisError, OSError."""
    for node in await nodes_of(redis):
        async for name in node.scan_iter(match=pattern, count=KEYS_PER_SCAN):
            yield name.decode()


async def execute_each(pipe: Pipeline) -> list[Any]:
    """What each command of a pipeline gave: an exception in the place of one that failed. Raises it if all have."""
    async with pipe:  # returns its connection to the pool even if the call is cancelled
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    if answers and all(isinstance(answer, Exception) for answer in answers):
        raise answers[0]
    return answers


def parted(found: Mapping[str, T | Exception]) -> tuple[dict[str, T], dict[str, Exception]]:
    """What was found, and what failed."""
    news = {name: each for name, each in found.items() if not isinstance(each, Exception)}
    return news, {name: each for name, each in found.items() if isinstance(each, Exception)}


class StreamReads:
    """Reads several streams again and again, wherever they are. One Redis answers for all of them; in a cluster each
    has a read of its own under way, so that a node that is away keeps nobody."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._failed_s: dict[str, float] = {}  # when a read failed, of streams that are not read again yet
        self._ended: dict[str, int] = {}  # which one the last read of a stream was
        self._turn = 0

    async def next(
        self, streams: Mapping[str, bytes], count: int, block_ms: int, late_s: float
    ) -> dict[str, Entries | RedisError | OSError]:
        """What came after these entry ids, by stream, once some is there; a stream without news is missing, or has
        none. Returns after `block_ms` at the latest. Of one Redis raises what redis-py raises, and TimeoutError after
        `late_s` more; in a cluster that is what a stream has instead of entries."""
        if not isinstance(self._redis, Cluster):
            positions: dict[Any, Any] = dict(streams)
            async with asyncio.timeout(block_ms / 1000 + late_s):
                news = await self._redis.xread(positions, count=count, block=block_ms)
            return {name.decode(): entries for name, entries in news}
        self._begin(streams, count, block_ms, late_s)
        if self._under_way:
            waits_s = RETRY_S if self._failed_s else block_ms / 1000
            reads = self._under_way.values()
            await asyncio.wait(reads, timeout=waits_s, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(RETRY_S)
        return self._taken()

    def _begin(self, streams: Mapping[str, bytes], count: int, block_ms: int, late_s: float) -> None:
        """Have a read of each of these streams under way, as far as READS_MAX allows: those that wait longest first."""
        for name in self._under_way.keys() - streams.keys():
            self._under_way.pop(name).cancel()
        self._ended = {name: self._ended.get(name, 0) for name in streams}
        since_s = asyncio.get_running_loop().time() - RETRY_S
        self._failed_s = {name: failed_s for name, failed_s in self._failed_s.items() if failed_s > since_s}
        free = streams.keys() - self._under_way.keys() - self._failed_s.keys()
        for name in nsmallest(READS_MAX - len(self._under_way), free, key=self._ended.__getitem__):
            reading = self._read(name, streams[name], count, block_ms, late_s)
            self._under_way[name] = asyncio.create_task(reading)

    async def _read(
        self, name: str, position: bytes, count: int, block_ms: int, late_s: float
    ) -> Entries | RedisError | OSError:
        try:
            async with asyncio.timeout(block_ms / 1000 + late_s):
                news = await self._redis.xread({name: position}, count=count, block=block_ms)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            return error
        return news[0][1] if news else []

    def _taken(self) -> dict[str, Entries | RedisError | OSError]:
        """What has come; those streams are read again at the next call."""
        done = {name: task.result() for name, task in self._under_way.items() if task.done()}
        for name, found in done.items():
            del self._under_way[name]
            self._turn += 1
            self._ended[name] = self._turn
            if isinstance(found, Exception):
                self._failed_s[name] = asyncio.get_running_loop().time()
        return done

    async def close(self) -> None:
        """End what is under way."""
        reads = list(self._under_way.values())
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        self._under_way.clear()
