"""Reads the lane's two streams: the waiting commands, and the batches that the allocators published.

Every call raises LaneUnavailable when Redis cannot be reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.asyncio import Redis

from app import redis_keys
from app.lane.commands import Published, pack, unpack_published
from app.lane.errors import as_lane_unavailable
from app.lane.scripts import OUT_KEPT
from app.redis_nodes import StreamReads, execute_each, parted

PUBLISHED_PER_READ = 500
READ_TIMEOUT_S = 2.0  # a read that exceeds its blocking time by this much has failed

log = structlog.get_logger()


class CommandEntry(NamedTuple):
    """A packed command that waits in a lane."""

    entry_id: bytes
    packed: bytes


class PublishedEntry(NamedTuple):
    """A packed `Published` of an event."""

    event_id: str
    entry_id: bytes
    packed: bytes

    def unpack(self) -> Published:
        """The decoded entry. If it cannot be decoded, one with `reload` set, so that the map is read from SQL again."""
        try:
            return unpack_published(self.packed)
        except msgspec.MsgspecError as error:
            log.error("lane_out_entry_unreadable", event_id=self.event_id, error=str(error))
            return Published(version=-1, reload=True)


class LaneStreams:
    """The streams of all events, over one Redis client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reads = StreamReads(redis)

    async def waiting(self, event_id: str, count: int, block_ms: int) -> list[CommandEntry]:
        """The oldest waiting commands. If there are none, waits up to `block_ms` for the next (0: does not wait)."""
        streams: dict[Any, Any] = {redis_keys.lane(event_id): "0-0"}
        with as_lane_unavailable():
            found = await self._redis.xread(streams, count=count, block=block_ms or None)
        entries = found[0][1] if found else []
        return [CommandEntry(entry_id, fields.get(b"c", b"")) for entry_id, fields in entries]

    async def backlog(self, event_id: str) -> int:
        """The number of waiting commands."""
        with as_lane_unavailable():
            return int(await self._redis.xlen(redis_keys.lane(event_id)))

    async def clear(self, event_id: str) -> None:
        """Let go of every waiting command."""
        with as_lane_unavailable():
            await self._redis.delete(redis_keys.lane(event_id))

    async def stranded(self, event_ids: Sequence[str]) -> list[tuple[str, str]]:
        """The lanes that have commands but no allocator, as (event id, entry id of its oldest command)."""
        pipe = self._redis.pipeline(transaction=False)
        for event_id in event_ids:
            pipe.xrange(redis_keys.lane(event_id), count=1)
            pipe.exists(redis_keys.lane_lease(event_id))
        with as_lane_unavailable():
            answers = await execute_each(pipe)
        return [
            (event_id, first[0][0].decode())
            for event_id, first, leased in zip(event_ids, answers[::2], answers[1::2], strict=True)
            if isinstance(first, list) and first and not leased
        ]

    async def oldest_wait_s(self, event_ids: Sequence[str]) -> float:
        """Seconds that the oldest command of these lanes has waited, by Redis's clock; 0.0 if none waits.

        If it exceeds the time that a request waits for its outcome, nothing is sold: no worker runs, or none can write.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for event_id in event_ids:
            pipe.xrange(redis_keys.lane(event_id), count=1)
        with as_lane_unavailable():
            time, *lanes = await execute_each(pipe)
            if isinstance(time, Exception):
                raise time
        seconds, microseconds = time
        first = [entries[0][0] for entries in lanes if isinstance(entries, list) and entries]
        sent_ms = [int(entry_id.partition(b"-")[0]) for entry_id in first]
        return max(0.0, seconds + microseconds / 1_000_000 - min(sent_ms) / 1000) if sent_ms else 0.0

    async def announce(self, event_id: str, version: int) -> None:
        """Have every web process read the map from SQL again. Call it after the new map is committed.

        If this entry is lost, the next allocator publishes it: it finds that the newest entry's version is not the
        map's.
        """
        fields: dict[Any, Any] = {"o": pack(Published(version=version, reload=True))}
        with as_lane_unavailable():
            await self._redis.xadd(redis_keys.lane_out(event_id), fields, maxlen=OUT_KEPT, approximate=True)

    async def newest_published(self, event_id: str) -> PublishedEntry | None:
        """The newest published entry; None if there is none."""
        with as_lane_unavailable():
            found = await self._redis.xrevrange(redis_keys.lane_out(event_id), count=1)
        return _published(event_id, *found[0]) if found else None

    async def published_after(self, positions: Mapping[str, bytes], block_ms: int) -> list[PublishedEntry]:
        """The entries published after `positions` (event id → entry id); waits up to `block_ms` for the first."""
        events = {redis_keys.lane_out(event_id): event_id for event_id in positions}
        streams = {name: positions[event_id] for name, event_id in events.items()}
        with as_lane_unavailable():
            found = await self._reads.next(streams, PUBLISHED_PER_READ, block_ms, READ_TIMEOUT_S)
            news, failed = parted(found)
            if failed and not any(news.values()):
                raise next(iter(failed.values()))
        return [_published(events[name], *entry) for name, entries in news.items() for entry in entries]


def _published(event_id: str, entry_id: bytes, fields: dict[bytes, bytes]) -> PublishedEntry:
    return PublishedEntry(event_id, entry_id, fields.get(b"o", b""))
