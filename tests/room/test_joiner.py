"""Everyone who comes while one call is under way shares the next; order is kept, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from app.domain import numbers
from app.domain.numbers import AHEAD_MIN
from app.room import joiner
from app.room.answers import Joined, JoinedBatch, JoinStatus
from app.room.errors import RoomUnavailable
from app.room.joiner import Joiner, JoinUnavailable
from app.room.ordered import OrderedCalls
from app.room.person import Person
from app.room.scripts import Now, RoomScripts
from tests.room.room import EVENT, TIMING, Room
from tests.waiting import wait_until


class Counting(RoomScripts):
    """Real scripts that keep the size of each batch, and can be made to fail or to wait."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, TIMING)
        self.batches: list[int] = []
        self.failure: Exception | None = None
        self.answers_lost = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.held_from = 0  # this call and those after it wait at the gate
        self.turn = asyncio.Lock()

    async def join(
        self,
        event_id: str,
        epoch: int,
        people: Sequence[Person | tuple[str, str]],
        now_ms: Now = None,
        client: OrderedCalls | None = None,
        made_in: int = 0,
    ) -> JoinedBatch:
        self.batches.append(len(people))
        if len(self.batches) == self.held_from:
            self.gate.clear()
        async with self.turn:  # at the gate too nobody overtakes
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        answer = await super().join(event_id, epoch, people, now_ms, client, made_in)
        if self.answers_lost:
            self.answers_lost -= 1
            raise RoomUnavailable("ConnectionError", "it closed the connection")
        return answer


@pytest.fixture
def scripts(redis: Redis) -> Counting:
    return Counting(redis)


@pytest.fixture
async def door(scripts: Counting) -> AsyncIterator[Joiner]:
    door = Joiner(scripts)
    yield door
    scripts.gate.set()
    await door.close()


async def test_those_who_come_together_share_one_call_in_the_order_they_came(
    room: Room, scripts: Counting, door: Joiner
) -> None:
    answers = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(400)))
    assert scripts.batches == [400]
    assert [joined for _, joined in answers] == [Joined(JoinStatus.joined, n) for n in range(1, 401)]
    assert {state for state, _ in answers} == {"open"}


async def test_those_who_come_during_a_call_share_the_next(room: Room, scripts: Counting, door: Joiner) -> None:
    scripts.gate.clear()
    first = door.join(EVENT, 1, "first", "")
    await asyncio.sleep(0)
    rest = [door.join(EVENT, 1, f"h{n}", "") for n in range(50)]
    scripts.gate.set()
    answers = [await waiting for waiting in (first, *rest)]
    assert scripts.batches == [1, 50]
    assert [joined.number for _, joined in answers] == list(range(1, 52))


async def test_a_call_never_carries_more_than_a_batch(room: Room, scripts: Counting, door: Joiner) -> None:
    await bound_of(room, 100_000)
    answers = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(1_300)))
    assert scripts.batches == [joiner.BATCH_MAX, joiner.BATCH_MAX, 300]
    assert [joined.number for _, joined in answers] == list(range(1, 1_301))


async def test_the_same_holder_many_times_in_one_call_gets_one_place(
    room: Room, scripts: Counting, door: Joiner
) -> None:
    answers = await asyncio.gather(*(door.join(EVENT, 1, "same", "") for _ in range(20)))
    assert [joined for _, joined in answers] == [Joined(JoinStatus.joined, 1)] + [Joined(JoinStatus.already, 1)] * 19


@pytest.mark.parametrize("failure", [RoomUnavailable("ConnectionError", "it closed the connection"), TimeoutError()])
async def test_when_redis_is_away_everyone_is_told_so_and_the_next_ones_are_served(
    room: Room, scripts: Counting, door: Joiner, failure: Exception
) -> None:
    scripts.failure = failure
    answers = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [JoinUnavailable] * 3
    scripts.failure = None
    assert (await door.join(EVENT, 1, "h0", ""))[1] == Joined(JoinStatus.joined, 1)


@pytest.mark.parametrize("lost", [1, 2, 4])
async def test_a_call_that_breaks_costs_nobody_their_place(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """Redis carried it out, and only the answer is lost; or it did not, and the same people ask in the same order."""
    monkeypatch.setattr(joiner, "BATCH_MAX", 5)
    scripts.answers_lost = lost
    scripts.gate.clear()
    waiting = []
    for n in range(40):
        waiting.append(door.join(EVENT, 1, f"h{n}", ""))
        await asyncio.sleep(0)
    assert len(scripts.batches) == joiner.CALLS_MAX
    scripts.gate.set()
    assert [(await each)[1].number for each in waiting] == list(range(1, 41))


class Reserving:
    """Reserves so many numbers behind those that were given, if it can, whatever is wanted."""

    def __init__(self, more: int, bound: int) -> None:
        self.more, self.bound, self.at_once = more, bound, 0
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, event_id: str, up_to: int) -> int:
        self.asked.append(up_to)
        self.at_once += 1
        assert self.at_once == 1, "one call at a time"
        await self.gate.wait()
        self.at_once -= 1
        self.bound += self.more
        return self.bound


async def bound_of(room: Room, bound: int) -> None:
    await room.redis.hset("tiketi:{gig}:room", "bound", str(bound))  # type: ignore[misc]  # redis-py types it for both


async def test_numbers_that_have_run_out_are_asked_for_and_everybody_gets_theirs_in_the_order_they_came(
    room: Room, scripts: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "BATCH_MAX", 40)
    monkeypatch.setattr(numbers, "AHEAD_MIN", 0)
    monkeypatch.setattr(numbers, "AHEAD_S", 0)
    await bound_of(room, 70)
    reserve = Reserving(more=100, bound=70)
    async with aclosing_joiner(Joiner(scripts, reserve)) as door:
        waiting = []
        for n in range(300):
            waiting.append(door.join(EVENT, 1, f"h{n}", ""))
            if n % 7 == 0:
                await asyncio.sleep(0)
        assert [(await each)[1] for each in waiting] == [Joined(JoinStatus.joined, n) for n in range(1, 301)]
        assert reserve.asked == [70, 170, 270]
        assert door.answers == {(EVENT, "joined"): 300}


async def test_numbers_that_are_reserved_while_a_call_is_under_way_are_for_those_who_came_first(
    room: Room, scripts: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call found too few numbers, and the second one comes to Redis only after more are reserved in SQL."""
    monkeypatch.setattr(joiner, "BATCH_MAX", 40)
    await bound_of(room, 20)
    reserve = Reserving(more=1_000, bound=20)
    async with aclosing_joiner(Joiner(scripts, reserve)) as door:
        first = [door.join(EVENT, 1, f"h{n}", "") for n in range(40)]
        scripts.held_from = 2
        second = [door.join(EVENT, 1, f"h{n}", "") for n in range(40, 80)]

        async def is_reserved() -> bool:
            return reserve.bound > 20

        await wait_until(is_reserved, description="more numbers are reserved in SQL")
        await room.redis.ping()  # whatever was to be told to Redis by now is there
        scripts.gate.set()
        answers = [await each for each in first + second]
    assert [joined.number for _, joined in answers] == list(range(1, 81))


async def test_numbers_are_reserved_before_they_run_out_while_people_go_on_joining(
    room: Room, scripts: Counting
) -> None:
    await bound_of(room, 1_000)
    reserve = Reserving(more=100_000, bound=1_000)
    reserve.gate.clear()
    async with aclosing_joiner(Joiner(scripts, reserve)) as door:
        for n in range(3):
            assert (await door.join(EVENT, 1, f"h{n}", ""))[1] == Joined(JoinStatus.joined, n + 1)
        reserve.gate.set()
        answers = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(1_500)))
    assert [joined.number for _, joined in answers] == list(range(1, 1_501))
    assert reserve.asked == [1 + numbers.AHEAD_MIN]
    assert await room.field("bound") == 101_000


async def test_numbers_that_nobody_can_reserve_ahead_are_not_asked_for_with_every_call(
    room: Room, scripts: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "RESERVE_GAP_S", float("inf"))
    await bound_of(room, 1_000)
    reserve = Reserving(more=0, bound=0)
    async with aclosing_joiner(Joiner(scripts, reserve)) as door:
        for n in range(20):
            assert (await door.join(EVENT, 1, f"h{n}", ""))[1] == Joined(JoinStatus.joined, n + 1)
        assert (await door.join("elsewhere", 1, "h", ""))[0] == "missing"
    assert reserve.asked == [1 + numbers.AHEAD_MIN]


async def test_where_no_numbers_can_be_reserved_nobody_waits_for_ever(room: Room, scripts: Counting) -> None:
    await bound_of(room, 2)
    async with aclosing_joiner(Joiner(scripts, Reserving(more=0, bound=0))) as door:
        answers = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(4)))
    assert [joined for _, joined in answers] == [
        Joined(JoinStatus.joined, 1),
        Joined(JoinStatus.joined, 2),
        *[Joined(JoinStatus.full, 0)] * 2,
    ]
    assert len(scripts.batches) == joiner.TRIES_MAX


@asynccontextmanager
async def aclosing_joiner(door: Joiner) -> AsyncIterator[Joiner]:
    try:
        yield door
    finally:
        await door.close()


async def test_a_call_that_hangs_is_given_up(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "CALL_TIMEOUT_S", 0.0)
    monkeypatch.setattr(joiner, "STALL_S", float("inf"))
    scripts.gate.clear()
    with pytest.raises(JoinUnavailable):
        await door.join(EVENT, 1, "h", "")


async def test_a_process_that_stands_still_for_long_costs_nobody_their_place(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it goes on, the call's time is over before its answer is read; people ask again, in the same order."""
    loop = asyncio.get_running_loop()
    steady_s, stood_still_s = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: steady_s() + stood_still_s)
    await door.join(EVENT, 1, "first", "")
    scripts.gate.clear()
    people = [door.join(EVENT, 1, f"h{n}", "") for n in range(3)]

    async def is_called() -> bool:
        return sum(scripts.batches) == 4

    await wait_until(is_called, description="the call is under way")
    stood_still_s = 60.0
    scripts.gate.set()
    assert [(await each)[1].number for each in people] == [2, 3, 4]


async def test_everyone_who_waits_behind_a_call_that_hangs_fails_with_it(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands wait for one call after another, and each of these would hang as long as the first."""
    monkeypatch.setattr(joiner, "CALL_TIMEOUT_S", 0.0)
    monkeypatch.setattr(joiner, "STALL_S", float("inf"))
    monkeypatch.setattr(joiner, "BATCH_MAX", 5)
    scripts.gate.clear()
    told = await asyncio.gather(*(door.join(EVENT, 1, f"h{n}", "") for n in range(100)), return_exceptions=True)
    assert {type(each) for each in told} == {JoinUnavailable}
    assert len(scripts.batches) <= joiner.CALLS_MAX
    assert door.answers == {(EVENT, "failed"): 100}


async def test_a_full_buffer_refuses_at_once(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "PENDING_MAX", 10)
    waiting = [door.join(EVENT, 1, f"h{n}", "") for n in range(10)]
    with pytest.raises(JoinUnavailable):
        door.join(EVENT, 1, "one too many", "")
    assert [(await each)[1].number for each in waiting] == list(range(1, 11))


async def test_someone_who_hangs_up_keeps_their_place_and_harms_nobody(
    room: Room, scripts: Counting, door: Joiner
) -> None:
    one, two = door.join(EVENT, 1, "one", ""), door.join(EVENT, 1, "two", "")
    one.cancel()
    assert (await two)[1] == Joined(JoinStatus.joined, 2)
    assert (await door.join(EVENT, 1, "one", ""))[1] == Joined(JoinStatus.already, 1)


async def test_an_old_epoch_and_a_missing_room_are_refusals(room: Room, scripts: Counting, door: Joiner) -> None:
    assert await door.join(EVENT, 7, "h", "") == ("old_epoch", Joined(JoinStatus.refused, 0))
    assert await door.join("nowhere", 1, "h", "") == ("missing", Joined(JoinStatus.refused, 0))


async def test_two_events_do_not_wait_for_each_other(room: Room, scripts: Counting, door: Joiner) -> None:
    here, there = door.join(EVENT, 1, "h", ""), door.join("elsewhere", 1, "h", "")
    assert (await here)[1].number == 1
    assert (await there)[0] == "missing"


async def test_the_numbers_that_a_loss_of_redis_skipped_are_no_pace(room: Room, scripts: Counting) -> None:
    """Else each loss would skip several times as many as the one before."""
    asked: list[int] = []

    async def reserve(event_id: str, up_to: int) -> int:
        asked.append(up_to)
        return up_to

    door = Joiner(scripts, reserve)
    await room.redis.flushall()
    await room.make_again(bound=200_000, generation=1)
    await door.join(EVENT, 1, "h1", "", made_in=1)
    await room.redis.flushall()
    await room.make_again(number=100_000, bound=140_000, generation=2)
    await door.join(EVENT, 1, "h2", "", made_in=2)
    await door.close()
    assert asked == [100_001 + AHEAD_MIN]


async def test_closing_waits_for_what_is_under_way(room: Room, scripts: Counting, door: Joiner) -> None:
    joining = door.join(EVENT, 1, "h", "")
    await door.close()
    assert joining.done()


async def test_calls_under_way_together_do_not_overtake_each_other(room: Room, scripts: Counting, door: Joiner) -> None:
    people = []
    for n in range(200):
        people.append(door.join(EVENT, 1, f"h{n}", ""))
        await asyncio.sleep(0)  # the next one comes while calls are under way
    assert [(await each)[1].number for each in people] == list(range(1, 201))
    assert len(scripts.batches) > 2


async def test_after_a_call_that_was_given_up_answers_still_go_to_those_they_are_for(room: Room, redis: Redis) -> None:
    async with aclosing(OrderedCalls(redis)) as calls:
        sha = await calls.script_load(b"return ARGV[1]")
        await redis.client_pause(60_000, all=False)  # nothing is answered meanwhile
        given_up, other = (asyncio.create_task(calls.evalsha(sha, 0, name)) for name in ("first", "second"))

        async def are_sent() -> bool:
            return calls.under_way == 2

        await wait_until(are_sent, description="both calls are sent")
        given_up.cancel()
        told = await asyncio.gather(given_up, other, return_exceptions=True)
        await redis.client_unpause()
        assert [type(each) for each in told] == [asyncio.CancelledError, RedisAway]
        assert await calls.evalsha(sha, 0, "third") == b"third"


async def test_scripts_that_redis_has_forgotten_are_sent_again_in_order(
    room: Room, redis: Redis, door: Joiner, scripts: Counting
) -> None:
    await door.join(EVENT, 1, "first", "")
    await redis.script_flush()
    people = []
    for n in range(50):
        people.append(door.join(EVENT, 1, f"h{n}", ""))
        await asyncio.sleep(0)
    assert [(await each)[1].number for each in people] == list(range(2, 52))


async def test_a_connection_that_redis_closed_meanwhile_is_made_anew(room: Room, redis: Redis, door: Joiner) -> None:
    await door.join(EVENT, 1, "first", "")
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert (await door.join(EVENT, 1, "second", ""))[1] == Joined(JoinStatus.joined, 2)
