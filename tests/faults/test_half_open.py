"""Redis's host is gone and closes no connection: nobody waits for ever, and who follows something follows it again.

A dead connection is given up with the call that found it out, so the next call has another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from redis.asyncio import Redis

from app import connections as process
from app import jobs, redis_client, redis_keys
from app.http.accounts.revoked_sessions import RevokedSessions
from app.lane import seats as seat_views
from app.lane import streams as lane_streams
from app.lane.commands import OutcomeStatus
from app.lane.outcomes import Outcomes
from app.lane.seats import SeatViews
from app.ledger import seats
from app.ledger.database import Database
from app.limits import revocations
from app.room import follow, joiner
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.joiner import Joiner, JoinUnavailable
from app.room.scripts import RoomScripts
from config.settings import Settings
from tests.faults.relay import Relay
from tests.lane.world import EVENT as LANE_EVENT
from tests.lane.world import hold, make_world
from tests.room.room import EVENT, TIMING, Room
from tests.waiting import WAIT_MAX_S, wait_until


@pytest.fixture
async def relay(redis_socket: Path, tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(tmp_path / "relay", redis_socket).serving() as relay:
        yield relay


@pytest.fixture
async def behind(relay: Relay) -> AsyncIterator[Redis]:
    """A client on that wire that waits for ever, unless whoever uses it does not."""
    async with Redis(unix_socket_path=str(relay.path)) as client:
        yield client


@contextmanager
def soon(monkeypatch: pytest.MonkeyPatch, module: ModuleType, limit: str) -> Iterator[None]:
    """The limit is short while a dead connection is found out, and no shorter than in life for the one after it."""
    with monkeypatch.context() as patch:
        patch.setattr(module, limit, 0.1)
        yield


@asynccontextmanager
async def running(follower: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(follower)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_lines_are_followed_again(
    room: Room, behind: Redis, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "READ_TIMEOUT_S", 0.1)
    rooms = Rooms(behind, RoomScripts(behind, TIMING))

    async def is_fresh() -> bool:
        return rooms.fresh

    async def is_known_to_be_behind() -> bool:
        return not rooms.fresh

    async def let_in() -> bool:
        return rooms.views[EVENT].cursor == 3

    async with running(rooms.run()):
        await wait_until(is_fresh, description="the line is followed")
        relay.cut()
        await room.crowd(3)
        await room.tick()
        await wait_until(is_known_to_be_behind, description="the loss is noticed")
        await wait_until(let_in, description="the line is followed again")


async def test_a_line_that_another_redis_took_over_is_read_anew(
    room: Room, behind: Redis, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had not heard the latest, and its clock was behind: what it said first looks like the past, what comes next
    like the next word."""
    monkeypatch.setattr(follow, "READ_TIMEOUT_S", 0.1)
    monkeypatch.setattr(follow, "RECHECK_S", 3600.0)
    rooms, log = Rooms(behind, RoomScripts(behind, TIMING)), redis_keys.room_log(EVENT)
    await room.crowd(3)

    async def leave(number: int, entry_id: str) -> None:
        rev = await room.redis.hincrby(redis_keys.room(EVENT), "rev", 1)  # type: ignore[misc]
        await room.redis.setbit(redis_keys.of_epoch(EVENT, 1, "gone"), number, 1)
        await room.redis.xadd(log, {"r": rev, "k": "left", "t": 1, "n": number}, id=entry_id)

    async def everyone_is_known_to_have_left() -> bool:
        return all(number in rooms.views[EVENT].ended for number in (2, 3))

    async def the_first_is_known() -> bool:
        return EVENT in rooms.views and 1 in rooms.views[EVENT].ended

    async with running(rooms.run()):
        await leave(1, "90000000000000-0")
        await wait_until(the_first_is_known, description="the line is followed")
        relay.cut()
        await room.redis.delete(log)
        await room.redis.hincrby(redis_keys.room(EVENT), "rev", -1)  # type: ignore[misc]
        await leave(2, "80000000000000-0")
        await leave(3, "90000000000000-1")
        await wait_until(everyone_is_known_to_have_left, description="the line is read anew")


async def test_the_seats_are_followed_again(
    redis: Redis, behind: Redis, relay: Relay, ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_streams, "READ_TIMEOUT_S", 0.1)
    monkeypatch.setattr(seat_views, "BLOCK_MS", 50)
    world = await make_world(redis, ledger)
    views = SeatViews(behind, lambda event_id: seats.load(ledger, event_id), Outcomes(), 2**30)
    view = await views.open(LANE_EVENT)
    since_s = views.turned_s

    async def is_read() -> bool:
        return views.turned_s > since_s

    async def is_held() -> bool:
        return view.version == 1

    async with running(views.run()):
        await wait_until(is_read, description="the seats are followed")
        relay.cut()
        (outcome,) = await world.do(hold("a", [3]))
        assert outcome.status is OutcomeStatus.held
        await wait_until(is_held, description="the seats are followed again")


async def test_what_ended_elsewhere_is_followed_again(
    redis: Redis, behind: Redis, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "READ_TIMEOUT_S", 0.1)
    here, elsewhere = (RevokedSessions(revocations.RevocationLog(each, 3600)) for each in (behind, redis))
    await here.load()

    async def is_known_to_be_behind() -> bool:
        return not here.fresh

    async def is_over() -> bool:
        return here.is_over("stolen", "ann", 1.0)

    async with running(here.run()):
        await elsewhere.end_session("one before", "ann")
        relay.cut()
        await elsewhere.end_session("stolen", "ann")
        await wait_until(is_known_to_be_behind, description="the loss is noticed")
        await wait_until(is_over, description="it is followed again")


async def test_a_claim_and_a_leave_are_refused_in_time_and_may_be_repeated(
    room: Room, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.crowd(2)
    await room.tick()
    async with process.open_redis(Settings(data_dir=tmp_path, redis_url=f"unix://{relay.path}")) as client:
        scripts = RoomScripts(client, TIMING)
        await scripts.redis.ping()
        relay.cut()
        with soon(monkeypatch, redis_client, "REDIS_TIMEOUT_S"), pytest.raises(RoomUnavailable):
            await scripts.claim(EVENT, 1, 1, "h1")
        assert (await scripts.claim(EVENT, 1, 1, "h1", room.clock.redis_ms))[0] == "claimed"
        relay.cut()
        with soon(monkeypatch, redis_client, "REDIS_TIMEOUT_S"), pytest.raises(RoomUnavailable):
            await scripts.leave(EVENT, 1, 1, "h1", release_id="d")
        assert (await scripts.leave(EVENT, 1, 1, "h1", release_id="d")).status == "left"


async def test_whoever_wakes_an_allocator_is_not_kept(
    redis: Redis, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up that hangs would keep every later command of its event from being sent."""
    async with process.open_redis(Settings(redis_url=f"unix://{relay.path}")) as client:
        queue = jobs.job_queue(client.connection_pool)
        await queue.ping()
        relay.cut()
        with soon(monkeypatch, jobs, "WAKE_TIMEOUT_S"), pytest.raises(jobs.WakeUpFailed):
            await jobs.wake_allocator(queue, EVENT, "1-0")
        await jobs.wake_allocator(queue, EVENT, "1-0")
    assert await redis.zcard(redis_keys.ARQ_JOBS) == 1


async def test_whoever_joins_is_told_in_time_and_the_next_one_is_served(
    room: Room, behind: Redis, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Joiner(RoomScripts(behind, TIMING))
    assert (await door.join(EVENT, 1, "first", ""))[1].number == 1
    relay.cut()
    with soon(monkeypatch, joiner, "CALL_TIMEOUT_S"), pytest.raises(JoinUnavailable):
        await door.join(EVENT, 1, "second", "")
    assert (await door.join(EVENT, 1, "second", ""))[1].number == 2
    await door.close()


async def test_a_cancellation_is_never_lost_wherever_it_comes(redis_socket: Path) -> None:
    """It was, where it met the end of a write: whoever waited for the task that went on waited for ever."""
    client = process.open_redis(Settings(redis_url=f"unix://{redis_socket}"))

    async def ask_on_and_on() -> None:
        while True:
            await client.ping()

    for turns in range(200):
        asking = asyncio.create_task(ask_on_and_on())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        done, _ = await asyncio.wait({asking}, timeout=WAIT_MAX_S)
        assert done, f"the task goes on though it was cancelled after {turns} turns of the loop"
        assert asking.cancelled()
    await client.aclose()
