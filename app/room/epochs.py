"""Sets a TTL on the keys of ended epochs, so that Redis does not keep them for ever."""

from __future__ import annotations

from redis.asyncio import Redis

from app import redis_keys
from app.room.errors import as_room_unavailable
from app.room.record import RoomRecord

EPOCH_KEPT_S = 7 * 86_400  # how long an ended epoch can still be read
SCAN_COUNT = 1_000


async def expire_epochs(redis: Redis, event_id: str, record: RoomRecord, last_epoch: int) -> None:
    """Set a TTL on every key of `last_epoch` and of earlier epochs that have none yet. Raises RoomUnavailable.

    These are several epochs if a room was closed and opened several times between two calls.
    """
    if record.epochs_expired >= last_epoch:
        return
    with as_room_unavailable():
        async for name in redis.scan_iter(match=redis_keys.of_epoch(event_id, "*", "*"), count=SCAN_COUNT):
            if record.epochs_expired < redis_keys.epoch_of(name.decode()) <= last_epoch:
                await redis.expire(name, EPOCH_KEPT_S)
        await redis.hset(redis_keys.room(event_id), "retired", str(last_epoch))  # type: ignore[misc]
