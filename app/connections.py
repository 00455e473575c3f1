"""What every process of ours is made with: a Redis client, the room's lifetimes, and followers that must not end.

Web processes, workers and the command line put themselves together from these.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from redis.asyncio import Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import TimeoutError as RedisLate

from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, open_database
from app.room.scripts import Timing
from config.settings import Settings

REDIS_TIMEOUT_S = 5.0  # to connect, and for each answer; a read that waits for news asks for less
MIGRATION_S = 600.0  # for one statement, or for another process that is at it

log = structlog.get_logger()
failed: list[str] = []  # followers of this process that ended by themselves


class Follower(Protocol):
    """Something that runs until it is cancelled."""

    def run(self) -> Coroutine[Any, Any, None]: ...


def utc_now() -> datetime:
    """The wall clock. Only whoever puts a process together asks it; everyone else is handed a clock or a time."""
    return datetime.now(UTC)


def timing(settings: Settings) -> Timing:
    return Timing(
        presence_window_s=settings.presence_window_s,
        claim_window_s=settings.claim_window_s,
        pass_s=settings.pass_s,
    )


class _Bounded:
    """A connection whose answers come in time, or it is given up. redis-py's own `socket_timeout` bounds writes too, by
    asyncio.wait_for: before Python 3.12 that loses a cancellation which comes as the write ends, so the task goes on,
    and whoever waits for it waits for ever.
    """

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                return await super().read_response(*args, **options)  # type: ignore[misc]
        except TimeoutError as error:
            raise RedisLate(f"no answer within {REDIS_TIMEOUT_S:g} s") from error


_BOUNDED: dict[type[Any], type[Any]] = {
    kind: type(f"Bounded{kind.__name__}", (_Bounded, kind), {})
    for kind in (Connection, SSLConnection, UnixDomainSocketConnection)
}


def open_redis(settings: Settings) -> Redis:
    """A client whose pool is shared by all calls. Each of them ends in time, with an error if need be: a host that is
    gone closes no connection, and nobody would ever hear of it. What was asked may have been done all the same.
    """
    redis: Redis = Redis.from_url(settings.redis, socket_connect_timeout=REDIS_TIMEOUT_S)
    pool = redis.connection_pool
    pool.connection_class = _BOUNDED[pool.connection_class]
    return redis


def open_store(settings: Settings, *, patient: bool = False) -> Database:
    """The shop's database, which it connects to at the first transaction. `patient`: to change its tables."""
    limits = ConnectionLimits(
        connections_max=settings.database_connections_max,
        connect_s=settings.database_connect_s,
        statement_s=MIGRATION_S if patient else settings.database_statement_s,
        lock_s=MIGRATION_S if patient else settings.database_lock_s,
    )
    return open_database(settings.database, limits)


def exit_if_failed() -> None:
    """At a process's end: exit code 1 if it ended because a follower did, so that its supervisor can say so."""
    if failed:
        raise SystemExit(1)


@asynccontextmanager
async def running(**followers: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the followers while the block runs; one that ends by itself stops the process, loudly."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("follower_ended", follower=task.get_name(), exc_info=task.exception())
            failed.append(task.get_name())
            os.kill(os.getpid(), signal.SIGTERM)

    tasks = [asyncio.create_task(follower, name=name) for name, follower in followers.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
