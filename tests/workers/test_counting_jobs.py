"""A worker counts the jobs that it has started, no more and no less, whichever answer of Redis does not come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from arq.worker import func
from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection
from redis.exceptions import RedisError

from app.jobs import deserialize, job_queue, serialize
from app.outages import Outages
from app.redis_client import RedisLate
from workers.main import OutlivingWorker

JOBS_MAX = 3
ANSWERS = range(1, 10)  # more than starting a job takes
JOB = "count:1"


class Deaf(UnixDomainSocketConnection):
    """Of all such connections together, the answer that is the `lost`-th does not come."""

    answers = 0
    lost = 0

    async def read_response(self, *args: Any, **options: Any) -> Any:
        Deaf.answers += 1
        if Deaf.answers == Deaf.lost:
            raise RedisLate("no answer")
        return await super().read_response(*args, **options)


async def job(ctx: dict[str, Any]) -> None:
    """Nothing to do."""


@pytest.mark.parametrize("lost", ANSWERS)
@pytest.mark.parametrize("is_elsewhere", [False, True])
async def test_a_job_counts_until_it_ends(redis: Redis, lost: int, is_elsewhere: bool) -> None:
    pool = ConnectionPool(Deaf, path=redis.connection_pool.connection_kwargs["path"])
    jobs = job_queue(pool)
    await jobs.enqueue_job("job", _job_id=JOB)
    if is_elsewhere:
        await redis.psetex(f"arq:in-progress:{JOB}", 60_000, b"1")
    worker = OutlivingWorker(
        functions=[func(job, name="job", keep_result=0)],
        redis_pool=jobs,
        job_serializer=serialize,
        job_deserializer=deserialize,
        ctx={"outages": Outages()},
        max_jobs=JOBS_MAX,
        handle_signals=False,
    )
    Deaf.answers, Deaf.lost = 0, lost
    for _ in range(2):
        with suppress(RedisError):
            await worker.start_jobs([JOB.encode()])
    Deaf.lost = 0
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    assert (worker.job_counter, worker.sem._value) == (0, JOBS_MAX + 1)  # arq lets itself have one more in hand
    await pool.disconnect()
    await redis.flushall()
