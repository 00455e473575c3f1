"""What every process of ours is made with: a Redis client, the room's lifetimes, and followers that must not end.

Web processes, workers and the command line put themselves together from these.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from app import VERSION
from app.jobs import JobQueue, WakeUpFailed, job_queue
from app.lane.errors import LaneUnavailable
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, open_database
from app.ledger.errors import StoreError, StoreUnusable, ValueRefused
from app.limits.revocations import RevocationUnavailable
from app.outages import DATABASE, REDIS, Outages
from app.processes.processes import Announcement, Processes
from app.processes.shared_clock import SharedClock
from app.redis_client import open_client
from app.redis_cluster import NotACluster
from app.room.door_limits import DoorLimits
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from app.room.timing import Timing
from config.settings import Settings

START_RETRY_S = 0.5  # between two attempts of a start at stores that are away
MIGRATION_S = 600.0  # for one statement, or for another process that is at it

# every exception that a failure of Redis becomes
REDIS_FAILURES = (RedisError, RoomUnavailable, LaneUnavailable, RevocationUnavailable, WakeUpFailed)

T = TypeVar("T")
log = structlog.get_logger()
failed: list[str] = []  # followers of this process that ended by themselves


class Follower(Protocol):
    """Something that runs until it is cancelled."""

    def run(self) -> Coroutine[Any, Any, None]: ...


def utc_now() -> datetime:
    """The wall clock, for commands. What buyers see goes by the clock that all processes share."""
    return datetime.now(UTC)


def timing(settings: Settings) -> Timing:
    return Timing(
        presence_window_s=settings.presence_window_s,
        claim_window_s=settings.claim_window_s,
        pass_s=settings.pass_s,
        draw_ms=round(settings.opening_draw_s * 1000),
    )


def door_limits(settings: Settings) -> DoorLimits:
    return DoorLimits(
        share=settings.places_per_address,
        window_s=settings.places_window_s,
        pressure_per_s=settings.door_pressure_per_s,
    )


def open_redis(settings: Settings) -> Redis:
    """A client whose pool is shared by all calls. Raises SettingsError if a file that REDIS_URL needs is not there."""
    return open_client(settings.redis)


def open_store(settings: Settings, *, patient: bool = False) -> Database:
    """The shop's database, which it connects to at the first transaction. `patient`: to change its tables."""
    limits = ConnectionLimits(
        connections_max=settings.database_connections_max,
        connect_s=settings.database_connect_s,
        statement_s=MIGRATION_S if patient else settings.database_statement_s,
        lock_s=MIGRATION_S if patient else settings.database_lock_s,
    )
    return open_database(settings.database, limits)


@asynccontextmanager
async def store_of_command(settings: Settings, *, patient: bool = False) -> AsyncIterator[Database]:
    """The shop's database with the tables that we need. Raises SchemaError, StoreError."""
    db = open_store(settings, patient=patient)
    try:
        await db.require_tables()
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[tuple[Redis, Database, JobQueue]]:
    """Redis, the database and arq's queue, closed in the opposite order when the block ends."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        db = open_store(settings)
        stack.push_async_callback(db.close)
        yield redis, db, job_queue(redis.connection_pool)


class RedisRefused(Exception):
    """Redis answers, but not to us: a person must change a setting. The message has no password."""


async def ask_redis(redis: Redis, settings: Settings) -> None:
    """Return if Redis answers us. Raises RedisRefused, and RedisError for a failure that may end by itself."""
    try:
        is_cluster = bool((await redis.info("cluster")).get("cluster_enabled"))
    except NotACluster:
        is_cluster = False
    except (AuthenticationError, NoPermissionError) as error:
        raise RedisRefused(
            f"Redis at {settings.redis} refuses us ({error}). Check the user and the password in REDIS_URL or "
            "TIKETI_REDIS_PASSWORD_FILE."
        ) from error
    if is_cluster is not settings.redis.is_cluster:
        what, scheme = ("a cluster", "redis+cluster://") if is_cluster else ("no cluster", "redis://")
        raise RedisRefused(f"Redis at {settings.redis} is {what}: its address begins with {scheme} then.")


def store_of(error: BaseException) -> str:
    """The store that failed with this error; empty if none did, as for a bug."""
    if isinstance(error, BaseExceptionGroup):
        stores = {store_of(each) for each in error.exceptions}
        return "" if "" in stores else min(stores)
    if isinstance(error, StoreError) and not isinstance(error, ValueRefused):
        return DATABASE
    return REDIS if isinstance(error, REDIS_FAILURES) else ""


async def until_stores_work(outages: Outages, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns once the stores that it needs are there; the log says what is waited for. Raises what no
    waiting ends: StoreUnusable, and everything that is no failure of a store."""
    while True:
        try:
            done = await ask()
        except Exception as error:
            store = "" if isinstance(error, StoreUnusable) else store_of(error)
            if not store:
                raise
            outages.failed(store, "start", error)
        else:
            outages.worked("start")
            return done
        await asyncio.sleep(START_RETRY_S)


@contextmanager
def outlived(outages: Outages, who: str) -> Iterator[None]:
    """Note how the block went with its stores. One that fails ends the block and nothing else; other errors pass."""
    try:
        yield
    except Exception as error:
        store = store_of(error)
        if not store:
            raise
        outages.failed(store, who, error)
    else:
        outages.worked(who)


def make_processes(clock: SharedClock, name: str, kind: Literal["web", "worker"], keys: Callable[[], str]) -> Processes:
    """What announces this process to the others. `keys` gives the fingerprint of those it knows."""

    def about() -> Announcement:
        failing, off_s = dict(clock.outages.kinds), round(clock.off_s, 3)
        return Announcement(name, kind, socket.gethostname(), VERSION, keys(), failing, off_s)

    return Processes(clock.redis, about, clock.outages, secrets.token_hex(8))


def make_rooms(
    redis: Redis, settings: Settings, wall_s: Callable[[], float], outages: Outages | None = None
) -> tuple[RoomScripts, Rooms]:
    """The commands of rooms, and what follows the rooms by the time that `wall_s` tells."""
    scripts = RoomScripts(redis, timing(settings), door_limits(settings))
    return scripts, Rooms(redis, scripts, wall_s, outages)


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


async def follow(stack: AsyncExitStack, *followers: Follower) -> None:
    """Run these until the stack is closed."""
    await stack.enter_async_context(running(**{type(each).__name__: each.run() for each in followers}))


@asynccontextmanager
async def shared_clock(
    redis: Redis, outages: Outages, wall_s: Callable[[], float] = time.time
) -> AsyncIterator[SharedClock]:
    """The clock that all processes go by, read once and followed while the block runs. Raises RedisError, OSError."""
    clock = SharedClock(redis, outages, wall_s)
    await clock.read()
    async with running(clock=clock.run()):
        yield clock


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


def closed_with(stack: AsyncExitStack, thing: C) -> C:
    """The same thing, which is closed when the stack is."""
    stack.push_async_callback(thing.close)
    return thing
