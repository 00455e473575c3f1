"""What is over is over in every process, soon, for as long as it matters, and in bounded memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from app.http.accounts import revoked_sessions as module
from app.http.accounts.revoked_sessions import RevokedSessions
from app.limits.revocations import ENTRIES_MAX, RevocationLog, RevocationUnavailable
from app.redis_keys import REVOKED_SESSIONS
from tests.waiting import wait_until

SESSION_S = 3600


def sessions(redis: Redis, session_s: int = SESSION_S, entries_max: int = ENTRIES_MAX) -> RevokedSessions:
    return RevokedSessions(RevocationLog(redis, session_s, entries_max))


@asynccontextmanager
async def following(redis: Redis) -> AsyncIterator[RevokedSessions]:
    ended = sessions(redis)
    await ended.load()
    task = asyncio.create_task(ended.run())
    try:
        yield ended
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_ends_ends_in_every_process(redis: Redis) -> None:
    now_s = time.time()
    async with following(redis) as here, following(redis) as there:
        await here.end_session("s1", "ann")
        assert here.is_over("s1", "ann", now_s)

        async def known() -> bool:
            return there.is_over("s1", "ann", now_s)

        await wait_until(known, description="the other process knows")
        assert not there.is_over("s2", "ann", now_s)
    late = sessions(redis)
    await late.load()
    assert late.is_over("s1", "ann", now_s), "a process that starts later knows as well"


async def test_an_account_s_sessions_end_but_not_those_that_begin_later(redis: Redis) -> None:
    ended = sessions(redis)
    began_s = time.time()
    await ended.end_account("ann")
    assert ended.is_over("any", "ann", began_s)
    assert not ended.is_over("any", "bob", began_s)
    assert not ended.is_over("new", "ann", time.time() + 1)


async def test_the_names_of_sessions_and_accounts_do_not_mix(redis: Redis) -> None:
    ended = sessions(redis)
    await ended.end_session("ann", "s1")
    await ended.end_account("s1")
    assert not ended.is_over("s2", "ann", 0.0)
    assert not ended.is_over("s1", "bob", 0.0)


async def test_an_ending_that_is_told_late_brings_no_later_one_back_to_life(redis: Redis) -> None:
    """Each process tells again what it knows when Redis lost everything: one may have missed the last word."""
    informed, behind, other = (sessions(redis) for _ in range(3))
    now_s = time.time()
    informed._note("u:ann", now_s)
    behind._note("u:ann", now_s - 60)
    await informed._tell_again()
    await behind._tell_again()
    await other.load()
    assert other.is_over("s1", "ann", now_s - 30)


async def test_what_is_kept_outlives_every_session_and_no_more(redis: Redis) -> None:
    await sessions(redis).end_session("s1", "ann")
    assert SESSION_S <= await redis.ttl(REVOKED_SESSIONS) <= SESSION_S + 60


async def test_memory_is_bounded_and_nothing_forgotten_comes_back_to_life(redis: Redis) -> None:
    began_s = time.time()
    ended = sessions(redis, entries_max=20)
    for number in range(50):
        await ended.end_session(f"s{number}", f"u{number}")
    assert len(ended._over) <= 20
    assert all(ended.is_over(f"s{number}", f"u{number}", began_s) for number in range(50))
    assert not ended.is_over("other", "ann", time.time() + 1)


async def test_a_process_that_starts_after_entries_were_cut_off_trusts_no_older_session(redis: Redis) -> None:
    began_s = time.time()
    first = sessions(redis, entries_max=20)
    for number in range(50):
        await first.end_session(f"s{number}", f"u{number}")
    await redis.xtrim(REVOKED_SESSIONS, maxlen=20, approximate=False)
    late = sessions(redis, entries_max=20)
    await late.load()
    assert all(late.is_over(f"s{number}", f"u{number}", began_s) for number in range(50))


async def test_what_no_session_can_be_older_than_is_forgotten_first(redis: Redis) -> None:
    ended = sessions(redis, 10, entries_max=3)
    old_s = time.time() - 60
    for number in range(3):
        ended._note(f"s:ann:old{number}", old_s)
    ended._note("s:ann:new", time.time())
    assert list(ended._over) == ["s:ann:new"]
    assert not ended.is_over("other", "ann", time.time() - 5), "nobody else was logged out for it"


async def test_a_redis_made_again_with_an_older_clock_is_read_from_its_beginning(redis: Redis) -> None:
    async with following(redis) as ended:
        await ended.end_session("s1", "ann")

        async def followed() -> bool:
            return ended._last != "0-0"

        await wait_until(followed, description="the entry was read")
        await redis.delete(REVOKED_SESSIONS)
        await redis.xadd(REVOKED_SESSIONS, {"n": "s:ann:s2", "t": repr(time.time())}, id="5-1")
        await redis.expire(REVOKED_SESSIONS, SESSION_S)

        async def known() -> bool:
            return ended.is_over("s2", "ann", time.time())

        await wait_until(known, description="the new Redis was read")
        assert ended.is_over("s1", "ann", time.time()), "what was known stays known"


async def test_a_redis_that_lost_everything_is_told_again(redis: Redis) -> None:
    began_s = time.time()
    async with following(redis) as ended:
        await ended.end_session("s1", "bob")
        await ended.end_account("ann")
        await redis.flushall()

        async def told() -> bool:
            return bool(await redis.xlen(REVOKED_SESSIONS) == 2)

        await wait_until(told, description="Redis knows again")
        late = sessions(redis)
        await late.load()
        assert late.is_over("s1", "bob", began_s)
        assert late.is_over("s2", "ann", began_s)
        assert await redis.ttl(REVOKED_SESSIONS) > 0


async def test_without_redis_nothing_is_ended_and_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with Redis(unix_socket_path="/nowhere/redis.sock") as away:
        ended = sessions(away)
        with pytest.raises(RevocationUnavailable):
            await ended.end_session("s1", "ann")
        assert not ended.is_over("s1", "ann", time.time())


async def test_what_the_shop_s_books_tell_is_told_everywhere_and_undoes_nothing_later(redis: Redis) -> None:
    now_s = time.time()
    async with following(redis) as lives:
        starts = sessions(redis)
        await starts.end_account("bob")
        await starts.load()
        await starts.learn({"ann": now_s, "bob": now_s - 60})
        assert starts.is_over("s1", "ann", now_s)
        assert starts.is_over("s2", "bob", now_s)

        async def known() -> bool:
            return lives.is_over("s1", "ann", now_s)

        await wait_until(known, description="a process that went on meanwhile knows")
        assert lives.is_over("s2", "bob", now_s)
        assert not lives.is_over("s3", "ann", now_s + 1)
    assert await redis.xlen(REVOKED_SESSIONS) == 2, "what is known is not told again"


async def test_an_account_that_logs_out_in_a_loop_ends_no_one_else_s_session(redis: Redis) -> None:
    """Not by filling the memory of a process, nor by pushing entries out of the list."""
    began_s = time.time()
    ended = sessions(redis, entries_max=150)
    await ended.end_session("stolen", "bob")
    for number in range(400):
        await ended.end_session(f"s{number}", "loop", began_s)
    late = sessions(redis, entries_max=150)
    await late.load()
    for each in (ended, late):
        assert not each.is_over("any", "cleo", began_s)
        assert each.is_over("stolen", "bob", began_s)
        assert all(each.is_over(f"s{number}", "loop", began_s) for number in range(400))
        assert not each.is_over("new", "loop", time.time() + 1)
    assert await redis.xlen(REVOKED_SESSIONS) <= module.OF_ONE_MAX + 2


async def test_a_session_by_a_clock_that_is_ahead_ends_with_the_account_s_others(redis: Redis) -> None:
    began_s = time.time() + 30
    ended = sessions(redis)
    for number in range(module.OF_ONE_MAX + 1):
        await ended.end_session(f"s{number}", "ann", began_s)
    assert all(ended.is_over(f"s{number}", "ann", began_s) for number in range(module.OF_ONE_MAX + 1))
