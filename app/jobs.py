"""The arq jobs, by name, and how anyone wakes a worker to run one.

A job is only a wake-up: what is to be done stands in a stream or in SQL. A wake-up that is lost costs at most the
second until the periodic round that looks for the same work. Payloads are JSON; results are not kept, so that a job of
the same id can be enqueued again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from arq import ArqRedis
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from app.redis_keys import ARQ_JOBS, SHARED

ALLOCATE = "allocate"
POSTERS = "posters"
WAKE_TIMEOUT_S = 2.0  # nobody waits longer to wake a worker: the work is found without it
DUE_EARLIER_S = 86_400.0  # arq starts what is due by the worker's wall clock: so far behind ours it may be
JOB_EXPIRES_MS = 60_000  # a wake-up nobody took for this long is worthless

JobQueue = ArqRedis
Wake = Callable[[str, str], Awaitable[object]]  # (event_id, entry_id): wake an allocator. Raises WakeUpFailed

serialize = msgspec.json.Encoder(enc_hook=repr).encode  # arq also writes down an exception that ended a job
deserialize = msgspec.json.decode


class WakeUpFailed(Exception):
    """No worker was woken: Redis cannot be reached or did not answer in time. A periodic round finds the work."""


def job_queue(pool: ConnectionPool) -> JobQueue:
    """arq's queue, speaking JSON, over the connections of a client of ours, which closes them. Connects when needed."""
    return ArqRedis(pool, default_queue_name=ARQ_JOBS, job_serializer=serialize, job_deserializer=deserialize)


async def wake_allocator(jobs: JobQueue, event_id: str, entry_id: str) -> None:
    """Have a worker drain the event's lane; the same entry wakes only one. Raises WakeUpFailed."""
    await _enqueue(jobs, ALLOCATE, f"{event_id}:{entry_id}", event_id)


async def wake_poster_maker(jobs: JobQueue, upload_id: str) -> None:
    """Have a worker make a poster of an uploaded picture; the same upload wakes only one. Raises WakeUpFailed."""
    await _enqueue(jobs, POSTERS, upload_id)


async def _enqueue(jobs: JobQueue, job: str, name: str, *args: str) -> None:
    try:
        async with asyncio.timeout(WAKE_TIMEOUT_S):
            await jobs.enqueue_job(
                job,
                *args,
                _job_id=f"{job}:{name}{SHARED}",
                _defer_by=-DUE_EARLIER_S,
                _expires=JOB_EXPIRES_MS / 1000,
            )
    except (RedisError, OSError) as error:
        raise WakeUpFailed(repr(error)) from error
