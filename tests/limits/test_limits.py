"""Limits count in one script what all processes try, all or nothing; what they refuse, they do not count."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from app.limits.limits import Limit, Limits, LimitsUnavailable
from app.redis_keys import LIMITS_PREFIX

FEW = Limit(name="few", times=3, window_s=30)
MANY = Limit(name="many", times=5, window_s=10)
NOW_MS = 1_800_000_000_000


async def test_so_many_at_once_and_then_one_per_interval(redis: Redis) -> None:
    limits = Limits(redis)
    assert [await limits.take([(FEW, "ann")], NOW_MS) for _ in range(4)] == [0, 0, 0, 10_000]
    assert await limits.take([(FEW, "bob")], NOW_MS) == 0, "whose it is matters"
    assert await limits.take([(FEW, "ann")], NOW_MS + 9_999) == 1
    assert await limits.take([(FEW, "ann")], NOW_MS + 10_000) == 0
    assert await limits.take([(FEW, "ann")], NOW_MS + 10_000) == 10_000


async def test_of_a_hundred_at_once_exactly_the_limit_passes(redis: Redis) -> None:
    limits = Limits(redis)
    waits = await asyncio.gather(*(limits.take([(FEW, "ann")]) for _ in range(100)))
    assert waits.count(0) == FEW.times


async def test_a_refusal_by_one_limit_counts_against_none(redis: Redis) -> None:
    limits = Limits(redis)
    for _ in range(3):
        assert await limits.take([(FEW, "ann"), (MANY, "here")], NOW_MS) == 0
    for _ in range(10):
        assert await limits.take([(FEW, "ann"), (MANY, "here")], NOW_MS) == 10_000
    assert [await limits.take([(FEW, "bob"), (MANY, "here")], NOW_MS) for _ in range(3)] == [0, 0, 2_000]
    assert [await limits.take([(FEW, "bob")], NOW_MS) for _ in range(2)] == [0, 10_000]


async def test_what_is_given_back_can_be_taken_again_and_no_more(redis: Redis) -> None:
    limits, both = Limits(redis), [(FEW, "ann"), (MANY, "here")]
    for _ in range(10):
        assert await limits.take(both, NOW_MS) == 0
        await limits.give_back(both, NOW_MS)
    await limits.give_back(both, NOW_MS)
    assert [await limits.take([(FEW, "ann")], NOW_MS) for _ in range(4)] == [0, 0, 0, 10_000]
    await limits.give_back([(FEW, "ann")], NOW_MS)
    assert [await limits.take([(FEW, "ann")], NOW_MS) for _ in range(2)] == [0, 10_000]


async def test_a_clock_that_steps_back_shuts_nobody_out_for_long(redis: Redis) -> None:
    limits = Limits(redis)
    for _ in range(3):
        await limits.take([(FEW, "ann")], NOW_MS)
    assert await limits.take([(FEW, "ann")], NOW_MS - 86_400_000) <= 10_000


async def test_a_key_ends_by_itself_and_tells_nobody_s_email(redis: Redis) -> None:
    await Limits(redis).take([(FEW, "ann@example.com")])
    (key,) = await redis.keys(f"{LIMITS_PREFIX}*")
    assert b"ann" not in key
    assert 0 < await redis.pttl(key) <= 10_000


async def test_without_redis_nothing_can_be_counted() -> None:
    async with Redis(unix_socket_path="/nowhere/redis.sock") as away:
        for call in (Limits(away).take, Limits(away).give_back):
            with pytest.raises(LimitsUnavailable):
                await call([(FEW, "ann")])


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(gaps_ms=st.lists(st.integers(0, 4_000), max_size=40))
async def test_in_no_window_pass_more_than_burst_and_rate(redis: Redis, gaps_ms: list[int]) -> None:
    await redis.flushall()
    limits, now_ms, passed = Limits(redis), NOW_MS, []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        if await limits.take([(MANY, "here")], now_ms) == 0:
            passed.append(now_ms)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert last - first + 1 <= MANY.times + (end - start) // MANY.interval_ms
