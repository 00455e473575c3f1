"""Lists the rooms that are not closed, for workers that do something in each of them all the time."""

from __future__ import annotations

from typing import Any, NamedTuple

from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import RoomState
from app.room.errors import as_room_unavailable


class LiveRooms(NamedTuple):
    """`epochs`: event id → epoch, for every room that is not closed. `opened_id`: the newest entry of the stream
    `opened` when they were read."""

    epochs: dict[str, int]
    opened_id: bytes


async def read_live_rooms(redis: Redis) -> LiveRooms:
    """Read them in two calls, however many rooms there are. Raises RoomUnavailable."""
    with as_room_unavailable():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.xrevrange(redis_keys.OPENED, count=1)  # read first, so that no later entry is missed
            pipe.smembers(redis_keys.ROOMS)
            last, members = await pipe.execute()
            event_ids = [member.decode() for member in members]
            for event_id in event_ids:
                pipe.hmget(redis_keys.room(event_id), ["epoch", "state"])
            found = await pipe.execute()
    closed = RoomState.closed.encode()
    epochs = {
        event_id: int(epoch)
        for event_id, (epoch, state) in zip(event_ids, found, strict=True)
        if epoch is not None and state != closed
    }
    return LiveRooms(epochs, last[0][0] if last else b"0-0")


async def any_opened_since(redis: Redis, opened_id: bytes) -> bool:
    """Whether a room was made, or a closed room changed, after the entry `opened_id`. Raises RoomUnavailable."""
    opened: dict[Any, Any] = {redis_keys.OPENED: opened_id}
    with as_room_unavailable():
        return bool(await redis.xread(opened, count=1))
