"""Kills a simulated process between two of its I/O calls: the n-th call, and all after it, never happen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import event

from app.ledger.database import Database, open_database
from workers.allocator import Finish


class Killed(BaseException):
    """The process is dead. Not an Exception, so that no handler of the product can save it."""


class Fuse:
    """Counts I/O calls and kills at the `at`-th (0: never)."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.calls = 0
        self._lock = threading.Lock()

    def arm(self, at: int) -> None:
        """Start counting again, to kill at the `at`-th call from now."""
        self.at, self.calls = at, 0

    def step(self, *_: Any) -> None:
        with self._lock:
            self.calls += 1
            if self.at and self.calls >= self.at:
                raise Killed(f"at call {self.calls}")

    @property
    def blown(self) -> bool:
        return bool(self.at) and self.calls >= self.at


class KillableRedis(Redis):
    """A client whose every command passes the fuse first."""

    fuse: Fuse

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.fuse.step()
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # so is redis-py


def killable_redis(redis: Redis, fuse: Fuse) -> KillableRedis:
    """A client of the same server whose every command passes the fuse first."""
    client = KillableRedis(unix_socket_path=redis.connection_pool.connection_kwargs["path"])
    client.fuse = fuse
    return client


def killable_ledger(db: Database, fuse: Fuse) -> Database:
    """The same store, every statement and commit of which passes the fuse first."""
    killable = open_database(db.url)
    for engine in killable.engines:
        event.listen(engine, "before_cursor_execute", fuse.step)
        event.listen(engine, "commit", fuse.step)
    return killable


def fused(fuse: Fuse, finish: Finish) -> Finish:
    """Ending a buyer's turn is an I/O call as well."""

    async def finish_if_alive(event_id: str, places: Sequence[tuple[int, int]]) -> None:
        fuse.step()
        await finish(event_id, places)

    return finish_if_alive


def was_killed(error: BaseException) -> bool:
    """Whether an error is nothing but a kill, alone or in groups."""
    if isinstance(error, BaseExceptionGroup):
        return all(was_killed(each) for each in error.exceptions)
    return isinstance(error, Killed)
