"""Sets a TTL on the keys of ended epochs, so that Redis does not keep them for ever."""

from __future__ import annotations

from redis.asyncio import Redis

from app import redis_keys
from app.room.errors import as_room_unavailable
from app.room.record import RoomRecord

EPOCH_KEPT_S = 7 * 86_400  # how long an ended epoch can still be read
SCAN_COUNT = 1_000


async def expire_epochs(redis: Redis, event_id: str, record: RoomRecord, last_epoch: int) -> None:
    """Set a TTL on every key of `last_epoch` and of earlier epochs that have none yet, a thousand in a call: a line of
    a million people has some nine thousand. Raises RoomUnavailable.

    These are several epochs if a room was closed and opened several times between two calls.
    """
    if record.epochs_expired >= last_epoch:
        return
    with as_room_unavailable():
        cursor = -1
        while cursor:
            cursor, names = await redis.scan(max(cursor, 0), redis_keys.of_epoch(event_id, "*", "*"), SCAN_COUNT)
            async with redis.pipeline(transaction=False) as pipe:
                for name in names:
                    if record.epochs_expired < redis_keys.epoch_of(name.decode()) <= last_epoch:
                        pipe.expire(name, EPOCH_KEPT_S)
                await pipe.execute()
        await redis.hset(redis_keys.room(event_id), "retired", str(last_epoch))  # type: ignore[misc]
