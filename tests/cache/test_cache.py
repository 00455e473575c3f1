"""The cache: loaded once however many ask, never older than a change that was told, bounded, and honest about it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.cache import cache as caching
from app.cache.cache import Cache, LoadTooLate
from app.cache.notices import KEPT, TAGS_MAX, Notices, StreamPosition
from app.redis_keys import NOTICES
from tests.room.server import server_in
from tests.waiting import wait_until

CONTENDERS = 500


class Source:
    """Where values come from: counts how often it is asked and answers when it is let."""

    def __init__(self, value: object = "first") -> None:
        self.value = value
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def load(self) -> object:
        """Reads what is there now, and answers later: a slow query."""
        self.asked += 1
        value = self.value
        await self.may_answer.wait()
        if isinstance(value, Exception):
            raise value
        return value


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def following(redis: Redis, clock: Callable[[], float] | None = None) -> AsyncIterator[Cache]:
    """A cache as a web process has it."""
    cache = Cache(redis, clock or Clock(), secrets.token_hex(4))
    task = asyncio.create_task(cache.run())
    try:
        await until(lambda: cache.following, "the notices are followed")
        yield cache
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cache.close()


async def until(true: Callable[[], bool], description: str) -> None:
    async def it_is() -> bool:
        return true()

    await wait_until(it_is, description=description)


async def ask(cache: Cache, source: Source, key: str = "a") -> object:
    return await cache.get(key, (f"tag:{key}", "all"), 60, source.load)


async def test_a_value_is_kept_until_its_time_is_over(redis: Redis) -> None:
    clock = Clock()
    async with following(redis, clock) as cache:
        source = Source()
        for seconds, asked in ((0, 1), (59.9, 1), (60, 2), (119.9, 2)):
            clock.seconds = seconds
            assert await ask(cache, source) == "first"
            assert source.asked == asked
        assert (cache.hits, cache.misses, cache.shared) == (2, 2, 0)


async def test_however_many_ask_at_once_it_is_loaded_once(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source()
        source.may_answer.clear()
        asking = [asyncio.create_task(ask(cache, source)) for _ in range(CONTENDERS)]
        await until(lambda: cache.shared == CONTENDERS - 1, "all of them wait")
        source.may_answer.set()
        assert await asyncio.gather(*asking) == ["first"] * CONTENDERS
        assert source.asked == 1
        assert (cache.hits, cache.misses) == (0, 1)
        assert await ask(cache, source) == "first"
        assert (cache.hits, source.asked) == (1, 1)


async def test_a_load_that_fails_fails_for_everyone_and_is_not_kept(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source(ValueError("away"))
        source.may_answer.clear()
        asking = [asyncio.create_task(ask(cache, source)) for _ in range(20)]
        await until(lambda: cache.shared == 19, "all of them wait")
        source.may_answer.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["away"] * 20
        source.value = "back"
        assert await ask(cache, source) == "back"
        assert source.asked == 2


async def test_who_gives_up_does_not_take_the_load_along(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source()
        source.may_answer.clear()
        first, second = (asyncio.create_task(ask(cache, source)) for _ in range(2))
        await until(lambda: cache.shared == 1, "both wait")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        source.may_answer.set()
        assert await second == "first"
        assert source.asked == 1


async def test_a_load_that_everyone_gave_up_is_kept_all_the_same(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source()
        source.may_answer.clear()
        only = asyncio.create_task(ask(cache, source))
        await until(lambda: source.asked == 1, "the load has begun")
        only.cancel()
        await asyncio.gather(only, return_exceptions=True)
        source.may_answer.set()
        await until(lambda: len(cache) == 1, "the value is kept")
        assert await ask(cache, source) == "first"
        assert source.asked == 1


async def test_a_load_has_an_end(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LOAD_MAX_S", 0.01)
    async with following(redis) as cache:
        source = Source()
        source.may_answer.clear()
        with pytest.raises(LoadTooLate):
            await ask(cache, source)
        source.may_answer.set()
        assert await ask(cache, source) == "first"


async def test_what_is_not_there_is_not_kept(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source(None)
        assert [await ask(cache, source) for _ in range(2)] == [None, None]
        assert (source.asked, len(cache)) == (2, 0)


async def test_an_invalidation_drops_what_has_the_tag_and_nothing_else(redis: Redis) -> None:
    async with following(redis) as cache:
        a, b = Source(), Source()
        await ask(cache, a, "a"), await ask(cache, b, "b")
        await cache.invalidate("tag:a")
        await ask(cache, a, "a"), await ask(cache, b, "b")
        assert (a.asked, b.asked) == (2, 1)
        await cache.invalidate("all")
        await ask(cache, a, "a"), await ask(cache, b, "b")
        assert (a.asked, b.asked) == (3, 2)


async def test_a_load_that_began_before_a_change_is_not_kept_after_it(redis: Redis) -> None:
    """read the old value · commit · invalidate · the old value arrives: it must not stay for the next minute."""
    async with following(redis) as cache:
        slow = Source("old")
        slow.may_answer.clear()
        before = asyncio.create_task(ask(cache, slow))
        await until(lambda: slow.asked == 1, "the old value is read")
        slow.value = "new"
        await cache.invalidate("tag:a")
        after = asyncio.create_task(ask(cache, slow))
        await until(lambda: slow.asked == 2, "who asks after the change does not wait for the old value")
        slow.may_answer.set()
        assert (await before, await after) == ("old", "new")
        assert await ask(cache, slow) == "new"
        assert slow.asked == 2


async def test_the_old_value_that_arrives_last_does_not_replace_the_new_one(redis: Redis) -> None:
    async with following(redis) as cache:
        old, new = Source("old"), Source("new")
        old.may_answer.clear()
        before = asyncio.create_task(ask(cache, old))
        await until(lambda: old.asked == 1, "the old value is read")
        await cache.invalidate("tag:a")
        assert await ask(cache, new) == "new"
        old.may_answer.set()
        assert await before == "old"
        assert await ask(cache, old) == "new"


async def test_a_change_is_felt_in_every_process_and_ends_their_loads_too(redis: Redis) -> None:
    async with AsyncExitStack() as stack:
        caches = [await stack.enter_async_context(following(redis)) for _ in range(3)]
        sources = [Source("old") for _ in caches]
        for cache, source in zip(caches[:2], sources, strict=False):
            assert await ask(cache, source) == "old"
        slow = sources[2]
        slow.may_answer.clear()
        before = asyncio.create_task(ask(caches[2], slow))
        await until(lambda: slow.asked == 1, "the third process is reading the old value")
        for source in sources:
            source.value = "new"
        await Notices(redis).tell(["tag:a"])  # as a worker does
        await until(lambda: not any(map(len, caches)), "all have dropped it")

        async def reads_anew() -> bool:
            return slow.asked == 2

        async with asyncio.timeout(20):
            asking = asyncio.create_task(wait_until(reads_anew, description="the third asks again"))
            after = asyncio.create_task(_until_new(caches[2], slow))
            await asking
            slow.may_answer.set()
            assert await before == "old"
            assert await after == "new"
        assert [await ask(cache, source) for cache, source in zip(caches, sources, strict=True)] == ["new"] * 3


async def _until_new(cache: Cache, source: Source) -> object:
    """Asks until the answer is another one than the load under way would give."""
    await until(lambda: not cache._loads, "the load is given up")
    return await ask(cache, source)


async def test_a_missed_notice_drops_everything(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source()
        await ask(cache, source)
        await redis.xadd(NOTICES, {"n": 2, "t": b'["another"]', "by": ""})  # where is number 1?
        await until(lambda: len(cache) == 0, "nothing is kept")
        assert cache.following
        await ask(cache, source)
        await Notices(redis).tell(["another"])
        await until(lambda: cache.following, "followed")
        assert await ask(cache, source) == "first"
        assert source.asked == 2, "the next notice is no gap"


async def test_an_unreadable_notice_drops_everything(redis: Redis) -> None:
    async with following(redis) as cache:
        source = Source()
        await ask(cache, source)
        await redis.xadd(NOTICES, {"n": 1, "t": b"\xff"})
        await until(lambda: len(cache) == 0, "nothing is kept")


async def test_notices_that_began_anew_drop_everything(redis: Redis) -> None:
    """Redis lost its data and its clock is behind: whatever it tells now looks like the past."""
    notices = Notices(redis)
    await notices.tell(["x"])
    await notices.tell(["y"])
    async with following(redis) as cache:
        source = Source()
        await ask(cache, source)
        await redis.delete(NOTICES)
        await redis.xadd(NOTICES, {"n": 1, "t": b'["tag:a"]', "by": ""}, id="5-0")
        await until(lambda: len(cache) == 0, "nothing is kept")
        source.value = "new"
        assert await ask(cache, source) == "new"


async def test_while_redis_is_away_nothing_is_served_from_memory(tmp_path: Path) -> None:
    async with server_in(tmp_path / "redis") as server, server.client() as client, following(client) as cache:
        source = Source("old")
        await ask(cache, source)
        server.kill()
        await until(lambda: not cache.following, "the loss is noticed")
        source.value = "new"
        await cache.invalidate("tag:a")
        assert [await ask(cache, source) for _ in range(2)] == ["new", "new"]
        assert source.asked == 3
        await server.start()
        await until(lambda: cache.following, "it is followed again")

        async def is_told() -> bool:
            return (await Notices(client).last()).number == 1

        await wait_until(is_told, description="the others are told what could not be told before")
        assert [await ask(cache, source) for _ in range(2)] == ["new", "new"]
        assert source.asked == 4


async def test_the_cache_is_bounded(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "ENTRIES_MAX", 3)
    async with following(redis) as cache:
        source = Source()
        for key in ("a", "b", "c", "a", "d"):
            await ask(cache, source, key)
        assert len(cache) == 3
        await ask(cache, source, "a")
        assert cache.hits == 2, "the one not asked for longest made room"


async def test_the_notices_are_bounded_and_numbered_without_a_gap(redis: Redis) -> None:
    notices = Notices(redis)
    assert await notices.last() == StreamPosition()
    for _ in range(KEPT + 300):
        await notices.tell(["x"])
    assert await redis.xlen(NOTICES) < KEPT + 200  # whole nodes of the stream are trimmed
    assert (await notices.last()).number == KEPT + 300
    await notices.tell([f"t{number}" for number in range(TAGS_MAX + 1)])
    assert (await notices.last()).number == KEPT + 302, "too many tags for one notice are told in two"
