"""What waits to be fetched by another browser: sealed values by the hashes of their codes, each good once."""

from __future__ import annotations

from enum import StrEnum

from redis.asyncio import Redis

from app.redis_keys import moved_place, moved_place_used
from app.room.errors import as_room_unavailable

GOOD_FOR_S = 600


class MoveState(StrEnum):
    """How far it is with a code."""

    waiting = "waiting"
    used = "used"
    unknown = "unknown"  # there is none, or its time is over


async def put(redis: Redis, name: str, holder: str, value: bytes) -> None:
    """Let whoever has the code fetch this, once. Raises RoomUnavailable."""
    with as_room_unavailable():
        await redis.set(moved_place(name), holder.encode() + b" " + value, ex=GOOD_FOR_S)


async def take(redis: Redis, name: str) -> bytes | MoveState:
    """The value, for the first who asks; `used` or `unknown` for all others. Raises RoomUnavailable."""
    with as_room_unavailable():
        found = await redis.getdel(moved_place(name))
        if found is None:
            return MoveState.used if await redis.exists(moved_place_used(name)) else MoveState.unknown
        holder, _, value = found.partition(b" ")
        await redis.set(moved_place_used(name), holder, ex=GOOD_FOR_S)
    return bytes(value)


async def state_of(redis: Redis, name: str, holder: str) -> MoveState:
    """How far it is with the code of this holder. Raises RoomUnavailable."""
    with as_room_unavailable():
        waiting, used = await redis.mget(moved_place(name), moved_place_used(name))
    if used == holder.encode():
        return MoveState.used
    is_mine = waiting is not None and waiting.startswith(holder.encode() + b" ")
    return MoveState.waiting if is_mine else MoveState.unknown
