"""Everyone who comes while one call is under way shares the next; order is kept, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from app.room import joiner
from app.room.answers import Joined, JoinedBatch, JoinStatus
from app.room.errors import RoomUnavailable
from app.room.joiner import Joiner, JoinUnavailable
from app.room.ordered import OrderedCalls
from app.room.scripts import Now, RoomScripts
from tests.room.room import EVENT, TIMING, Room
from tests.waiting import wait_until


class Counting(RoomScripts):
    """Real scripts that keep the size of each batch, and can be made to fail or to wait."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, TIMING)
        self.batches: list[int] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.turn = asyncio.Lock()

    async def join(
        self,
        event_id: str,
        epoch: int,
        people: Sequence[tuple[str, str]],
        now_ms: Now = None,
        client: OrderedCalls | None = None,
    ) -> JoinedBatch:
        self.batches.append(len(people))
        async with self.turn:  # at the gate too nobody overtakes
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await super().join(event_id, epoch, people, now_ms, client)


@pytest.fixture
def scripts(redis: Redis) -> Counting:
    return Counting(redis)


@pytest.fixture
async def door(scripts: Counting) -> AsyncIterator[Joiner]:
    door = Joiner(scripts, list.reverse)
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


async def test_those_who_come_while_a_line_opens_are_drawn_before_all_who_come_later(
    room: Room, scripts: Counting, door: Joiner
) -> None:
    """The draw of these tests turns the order round."""
    opening = [door.join(EVENT, 1, f"h{n}", "", draw_in_s=0.05) for n in range(3)]
    late = door.join(EVENT, 1, "late", "")
    assert scripts.batches == []
    answers = [(await future)[1].number for future in (*opening, late)]
    assert answers == [4, 3, 2, 1]
    assert scripts.batches == [4]
    assert (await door.join(EVENT, 1, "after", ""))[1].number == 5


async def test_a_process_that_stops_while_a_line_opens_still_gives_the_numbers(
    room: Room, scripts: Counting, door: Joiner
) -> None:
    joining = door.join(EVENT, 1, "anna", "", draw_in_s=3_600)
    await door.close()
    assert joining.result()[1] == Joined(JoinStatus.joined, 1)


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
    await room.redis.hset("tiketi:{gig}:room", "bound", "100000")  # type: ignore[misc]  # redis-py types it for both
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


async def test_a_call_that_hangs_is_given_up(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joiner, "CALL_TIMEOUT_S", 0.0)
    scripts.gate.clear()
    with pytest.raises(JoinUnavailable):
        await door.join(EVENT, 1, "h", "")


async def test_everyone_who_waits_behind_a_call_that_hangs_fails_with_it(
    room: Room, scripts: Counting, door: Joiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands wait for one call after another, and each of these would hang as long as the first."""
    monkeypatch.setattr(joiner, "CALL_TIMEOUT_S", 0.0)
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
