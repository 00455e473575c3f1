"""Divides the rooms among the workers that are alive, so that each of them ticks its part instead of everything.

Only how much is done depends on it: whoever ticks a room, its script keeps rate and order, so a room that two workers
take for theirs, or none, for a moment harms nobody. A worker says at every tick that it is alive; who has not said so
for a quarter of a second is taken for dead, and the others have its rooms from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from redis.asyncio import Redis

from app import redis_keys
from app.room.errors import as_room_unavailable

LIVE_MS = 250
KEPT_S = 60  # the key, once no worker is there any more


class Division:
    """Which of the rooms are this worker's. `steady_s`: a clock that only goes forward."""

    def __init__(self, redis: Redis, worker: str, steady_s: Callable[[], float]) -> None:
        self._redis = redis
        self._worker = worker
        self._steady_s = steady_s
        self._redis_ahead_ms: float | None = None  # Redis's clock less ours, as of the last beat
        self._workers = [worker]
        self._owns: dict[str, bool] = {}

    async def beat(self, now_ms: float | None = None) -> None:
        """Say that this worker is alive and learn who else is. Only tests pass a time. Raises RoomUnavailable."""
        steady_ms = self._steady_s() * 1000
        if self._redis_ahead_ms is None:
            with as_room_unavailable():
                self._redis_ahead_ms = _ms(await self._redis.time()) - steady_ms
        now_ms = steady_ms + self._redis_ahead_ms if now_ms is None else now_ms
        with as_room_unavailable():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zadd(redis_keys.WORKERS, {self._worker: now_ms})
                pipe.zremrangebyscore(redis_keys.WORKERS, "-inf", now_ms - LIVE_MS)
                pipe.expire(redis_keys.WORKERS, KEPT_S)
                pipe.zrange(redis_keys.WORKERS, 0, -1)
                pipe.time()
                *_, names, time = await pipe.execute()
        self._redis_ahead_ms = _ms(time) - steady_ms
        workers = sorted(name.decode() for name in names)
        if workers != self._workers:
            self._workers, self._owns = workers, {}

    async def leave(self) -> None:
        """Give this worker's rooms to the others at once. Raises RoomUnavailable."""
        with as_room_unavailable():
            await self._redis.zrem(redis_keys.WORKERS, self._worker)

    def owns(self, event_id: str) -> bool:
        """Whether the room is this worker's. Each room prefers the workers in an order of its own (rendezvous hashing),
        so one that comes or goes moves no room between the others."""
        owns = self._owns.get(event_id)
        if owns is None:
            owns = max(self._workers, key=lambda worker: _weight(worker, event_id)) == self._worker
            self._owns[event_id] = owns
        return owns


def _weight(worker: str, event_id: str) -> bytes:
    return hashlib.blake2b(f"{worker} {event_id}".encode(), digest_size=8).digest()


def _ms(time: tuple[int, int]) -> float:
    seconds, microseconds = time
    return seconds * 1000 + microseconds / 1000
