"""The draw of an opening in Redis: its commitment, who holds the entries, its tables, and the opening itself.

Whatever is written here follows from the draw's row in SQL, so it may be written again by anybody, in any state.
"""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

from redis.asyncio import Redis

from app import redis_keys
from app.domain.draw import packed, unpacked
from app.domain.line import Bits
from app.room.errors import as_room_unavailable
from app.room.scripts import HOLDER_BUCKETS, LOG_ENTRIES_MAX, Now, RoomScripts

BUCKETS_AT_ONCE = 16  # of holders, about a thousand in each of a full room
CHUNK_BYTES = 1 << 18  # of a table per write: well under 1 ms of Redis


class NamedRound(NamedTuple):
    """A round of a beacon, at `at_ms`, for entries that close at `for_ms`. Round 0: there is no beacon."""

    round: int
    at_ms: int
    for_ms: int


NO_ROUND = NamedRound(0, 0, 0)


async def commit(
    scripts: RoomScripts, event_id: str, epoch: int, commitment: bytes, named: NamedRound = NO_ROUND
) -> None:
    """Let the room give entries: SQL has the seed of its draw, and the beacon's round. Raises RoomUnavailable."""
    await scripts.call("commit", [redis_keys.room(event_id)], [epoch, commitment.hex(), *named])


async def read_holders(redis: Redis, event_id: str, epoch: int, opened_after: int, entries: int) -> list[bytes]:
    """Who holds each of the entries, as text, or b"" where nobody does any more. Raises RoomUnavailable."""
    holders = [b""] * entries
    for first in range(0, HOLDER_BUCKETS, BUCKETS_AT_ONCE):
        pipe = redis.pipeline(transaction=False)
        for bucket in range(first, first + BUCKETS_AT_ONCE):
            pipe.hgetall(redis_keys.holders(event_id, epoch, bucket))
        with as_room_unavailable():
            async with pipe:
                found = await pipe.execute()
        for bucket_of in found:
            for holder, number in bucket_of.items():
                entry = int(number) - opened_after
                if 0 < entry <= entries:
                    holders[entry - 1] = holder
    return holders


async def count_people(redis: Redis, event_id: str, epoch: int, opened_after: int, entries: int) -> int:
    """How many of the entries have not been given up. Raises RoomUnavailable."""
    with as_room_unavailable():
        ended = await redis.get(redis_keys.of_epoch(event_id, epoch, "gone"))
    return entries - Bits(ended or b"").count_between(opened_after, opened_after + entries + 1)


async def store_tables(redis: Redis, event_id: str, epoch: int, order: array[int], ranks: array[int]) -> None:
    """Write the order and its inverse, in bounded steps. Raises RoomUnavailable."""
    for name, table in (("order", packed(order)), ("ranks", packed(ranks))):
        key = redis_keys.of_epoch(event_id, epoch, name)
        with as_room_unavailable():
            for at in range(0, len(table), CHUNK_BYTES):
                await redis.setrange(key, at, table[at : at + CHUNK_BYTES])


async def read_ranks(redis: Redis, event_id: str, epoch: int, drawn: int) -> array[int]:
    """The rank of each entry. Raises RoomUnavailable."""
    if not drawn:
        return array("I")
    with as_room_unavailable():
        return unpacked(await redis.get(redis_keys.of_epoch(event_id, epoch, "ranks")) or b"")


async def number_at(redis: Redis, event_id: str, epoch: int, opened_after: int, rank: int) -> int:
    """The number that has this rank in a drawn line. Raises RoomUnavailable."""
    at = (rank - opened_after - 1) * 4
    with as_room_unavailable():
        item = await redis.getrange(redis_keys.of_epoch(event_id, epoch, "order"), at, at + 3)
    return opened_after + int(struct.unpack(">I", item)[0]) if len(item) == 4 else rank


async def open_drawn(
    scripts: RoomScripts, event_id: str, epoch: int, entries: int, people: int, now_ms: Now = None
) -> bool:
    """Open the room in the order of its draw, whose tables are stored. Whether this call did it.

    Raises RoomUnavailable.
    """
    names = [redis_keys.room(event_id), redis_keys.room_log(event_id)]
    args = ["" if now_ms is None else now_ms, epoch, LOG_ENTRIES_MAX, entries, people]
    return bool(await scripts.call("draw", names, args))
