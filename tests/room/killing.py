"""A worker of the line that dies between two of its Redis calls, also between the two of one pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from tests.lane.killing import Fuse, Killed, was_killed


class FusedPipeline(Pipeline):
    """Every command of it counts. Those before the one that kills have reached Redis, the others never do."""

    fuse: Fuse

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        for reached in range(len(stack)):
            try:
                self.fuse.step()
            except Killed:
                self.command_stack = stack[:reached]
                await super().execute(raise_on_error)
                raise
        return await super().execute(raise_on_error)


class FusedRedis(Redis):
    """A client whose every command passes the fuse first."""

    fuse: Fuse

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.fuse.step()
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # so is redis-py

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> FusedPipeline:
        pipe = FusedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.fuse = self.fuse
        return pipe


def fused_redis(redis: Redis, fuse: Fuse) -> FusedRedis:
    client = FusedRedis(unix_socket_path=redis.connection_pool.connection_kwargs["path"])
    client.fuse = fuse
    return client


@contextmanager
def kills_survived() -> Iterator[None]:
    """What the rest of the world does after a process died: it goes on."""
    try:
        yield
    except BaseException as error:
        if not was_killed(error):
            raise
