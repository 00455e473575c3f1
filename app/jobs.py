"""The arq jobs, by name, and how anyone wakes them.

A job is only a wake-up: it drains our own ordered stream. A wake-up that is lost costs at most the second until the
periodic tick behind it. Payloads are JSON; results are not kept, so the same id can be rung again.
"""

from __future__ import annotations

import asyncio

import msgspec
from arq import ArqRedis, create_pool
from arq.connections import RedisSettings

ALLOCATE = "allocate"
POSTERS = "posters"
RING_TIMEOUT_S = 2.0  # nobody who rings may be kept: what is rung for is found without it
JOB_EXPIRES_MS = 60_000  # a wake-up nobody took for this long is worthless

serialize = msgspec.json.Encoder(enc_hook=repr).encode  # arq also writes down an exception that ended a job
deserialize = msgspec.json.decode


def redis_settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 5
    return settings


async def open_jobs(url: str) -> ArqRedis:
    """arq's own connection pool, speaking JSON. Raises once the server does not answer."""
    return await create_pool(redis_settings(url), job_serializer=serialize, job_deserializer=deserialize)


async def ring(jobs: ArqRedis, event_id: str, entry_id: str) -> None:
    """Wake an allocator for the event's lane; the same entry rings once. Raises RedisError and OSError."""
    await _ring(jobs, ALLOCATE, f"{event_id}:{entry_id}", event_id)


async def ring_posters(jobs: ArqRedis, upload_id: str) -> None:
    """Wake a worker for a picture that was sent; the same one rings once. Raises RedisError and OSError."""
    await _ring(jobs, POSTERS, upload_id)


async def _ring(jobs: ArqRedis, job: str, name: str, *args: str) -> None:
    async with asyncio.timeout(RING_TIMEOUT_S):
        await jobs.enqueue_job(job, *args, _job_id=f"{job}:{name}", _expires=JOB_EXPIRES_MS / 1000)
