"""Every room has one worker; when one dies or leaves, the others have its rooms, and keep their own."""

from __future__ import annotations

import time
from collections import Counter

from redis.asyncio import Redis

from app import redis_keys
from app.room.division import KEPT_S, LIVE_MS, Division

ROOMS = [f"event-{at}" for at in range(400)]
NOW_MS = 1_800_000_000_000.0


def three(redis: Redis) -> list[Division]:
    return [Division(redis, name, time.monotonic) for name in ("one", "two", "three")]


async def meet(workers: list[Division], now_ms: float) -> None:
    for worker in [*workers, *workers]:  # the first ones hear of the last ones the second time
        await worker.beat(now_ms)


def owners(workers: list[Division]) -> dict[str, int]:
    """Whose each room is. Fails if one has no worker, or two."""
    owned = [(event_id, at) for at, worker in enumerate(workers) for event_id in ROOMS if worker.owns(event_id)]
    assert Counter(event_id for event_id, _ in owned) == Counter(ROOMS)
    return dict(owned)


async def test_a_worker_alone_has_every_room(redis: Redis) -> None:
    alone = Division(redis, "one", time.monotonic)
    assert all(map(alone.owns, ROOMS)), "also before it could ask"
    await alone.beat()
    assert all(map(alone.owns, ROOMS))
    assert 0 < await redis.ttl(redis_keys.WORKERS) <= KEPT_S


async def test_every_room_is_one_workers_and_each_has_about_as_many(redis: Redis) -> None:
    workers = three(redis)
    await meet(workers, NOW_MS)
    share = Counter(owners(workers).values())
    assert all(90 <= rooms <= 180 for rooms in share.values())


async def test_the_rooms_of_a_worker_that_died_are_the_others_within_a_second_and_no_other_room_moves(
    redis: Redis,
) -> None:
    workers = three(redis)
    await meet(workers, NOW_MS)
    before = owners(workers)
    living = workers[:2]
    await meet(living, NOW_MS + LIVE_MS - 1)
    assert not any(worker.owns(event_id) for event_id, at in before.items() if at == 2 for worker in living)
    await meet(living, NOW_MS + LIVE_MS)
    after = owners(living)
    assert {event_id: at for event_id, at in after.items() if before[event_id] != 2} == {
        event_id: at for event_id, at in before.items() if at != 2
    }
    assert LIVE_MS < 1_000
    await meet(workers, NOW_MS + 2 * LIVE_MS)
    assert owners(workers) == before, "it was only slow"


async def test_a_worker_that_ends_gives_its_rooms_to_the_others_at_once(redis: Redis) -> None:
    workers = three(redis)
    await meet(workers, NOW_MS)
    await workers[0].leave()
    await meet(workers[1:], NOW_MS + 1)
    owners(workers[1:])
