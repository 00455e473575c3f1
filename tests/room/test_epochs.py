"""The keys of a line that has ended get a TTL, in few calls however many people it had."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from app import redis_keys
from app.room.epochs import SCAN_COUNT, expire_epochs
from app.room.record import read_record
from tests.room.room import EVENT, Room

PEOPLE = 600


class CountedPipeline(Pipeline):
    counted: Counted

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        self.counted.calls += 1
        return await super().execute(raise_on_error)


class Counted(Redis):
    """`calls`: how often it asked the server for something and waited."""

    calls = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # so is redis-py

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> CountedPipeline:
        pipe = CountedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.counted = self
        return pipe


async def test_a_long_line_is_retired_in_few_calls(room: Room) -> None:
    await room.crowd(PEOPLE)
    await room.change(state="closed")
    record = await read_record(room.redis, EVENT)
    assert record is not None
    names = [name async for name in room.redis.scan_iter(match=redis_keys.of_epoch(EVENT, 1, "*"))]
    assert len(names) > PEOPLE // 2, "each bucket of holders is a key"
    async with Counted(unix_socket_path=room.redis.connection_pool.connection_kwargs["path"]) as client:
        await expire_epochs(client, EVENT, record, 1)
        assert client.calls <= 3 * (1 + len(names) // SCAN_COUNT) + 1
    assert [name for name in names if await room.redis.ttl(name) < 0] == []
