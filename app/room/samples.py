"""The samples of a line in Redis: written by the keeper (workers/keeper.py), read for charts, rates and waits."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from app import redis_keys
from app.domain.samples import LineSample, read_samples
from app.room.errors import as_room_unavailable
from app.room.record import RoomRecord, record_of, request_record

SAMPLES_MAX = 3_600  # at most one a second, so at least the last hour
SAMPLE_MIN_MS = 900


def request_samples(pipe: Any, event_id: str, epoch: int, *, whole: bool = True) -> None:
    """Add the reading of all samples, or of the oldest alone, to a pipeline; pass its result to `read_samples`."""
    pipe.lrange(redis_keys.of_epoch(event_id, epoch, "marks"), 0, -1 if whole else 0)


async def line_samples(redis: Redis, event_id: str, epoch: int) -> list[LineSample]:
    """The stored samples, oldest first. Raises RoomUnavailable."""
    return (await samples_and_record(redis, event_id, epoch))[0]


async def samples_and_record(redis: Redis, event_id: str, epoch: int) -> tuple[list[LineSample], RoomRecord | None]:
    """The stored samples and the room's record, in one call. Raises RoomUnavailable."""
    pipe = redis.pipeline(transaction=False)
    request_samples(pipe, event_id, epoch)
    request_record(pipe, event_id)
    with as_room_unavailable():
        async with pipe:  # returns its connection to the pool even if the call is cancelled
            raw, values = await pipe.execute()
    return read_samples(raw), record_of(values)


async def add_sample(redis: Redis, event_id: str, record: RoomRecord, now_ms: int) -> None:
    """Store a sample of the line, unless nothing has changed or the last one is newer than SAMPLE_MIN_MS.

    Raises RoomUnavailable.
    """
    with as_room_unavailable():
        sample = await _sample(redis, event_id, record, now_ms)
        name = redis_keys.of_epoch(event_id, record.epoch, "marks")
        last = await redis.lindex(name, -1)  # type: ignore[misc]  # redis-py types it for both clients
        if last is not None:
            (before,) = read_samples([last])
            if sample == before._replace(at_ms=now_ms) or now_ms - before.at_ms < SAMPLE_MIN_MS:
                return
        async with redis.pipeline(transaction=False) as pipe:
            pipe.rpush(name, sample.packed())
            pipe.ltrim(name, -SAMPLES_MAX, -1)
            await pipe.execute()


async def _sample(redis: Redis, event_id: str, record: RoomRecord, now_ms: int) -> LineSample:
    """Measure the line: whoever was given a number and has not ended, without who has a turn or was passed over."""
    ended, skipped, both = (redis_keys.of_epoch(event_id, record.epoch, name) for name in ("gone", "skipped", "both"))
    async with redis.pipeline(transaction=True) as pipe:
        pipe.bitop("AND", both, ended, skipped)
        for bitmap in (both, skipped, ended):
            pipe.bitcount(bitmap)
        pipe.delete(both)
        _, both_total, skipped_total, ended_total, _ = await pipe.execute()
    in_line = record.number - record.opened_after - ended_total - (skipped_total - both_total)
    admitted = await redis.zcard(redis_keys.of_epoch(event_id, record.epoch, "admitted"))
    active = await redis.zcard(redis_keys.of_epoch(event_id, record.epoch, "active"))
    waiting = max(0, in_line - admitted - active)
    return LineSample(now_ms, record.number, record.admitted_total, waiting, admitted, active)
