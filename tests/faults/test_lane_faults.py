"""Whatever dies, pauses or runs twice: every command has one outcome, and seats, reservations and money agree."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy
from redis.asyncio import Redis

from app import redis_keys
from app.lane.commands import Cancel, Command, Expire, Outcome, OutcomeStatus, unpack_published
from app.lane.decide import Decisions
from app.ledger import events, seats
from app.ledger.database import Database
from tests.lane.audit import broken, empty
from tests.lane.killing import Fuse, fused, killable_ledger, killable_redis, was_killed
from tests.lane.listening import hear
from tests.lane.world import EVENT, HOLD_FOR, World, confirm, hold, make_world, wishing
from workers import allocator
from workers.allocator import Allocator, StopReason
from workers.sweeper import Sweeper

EXPECTED = {
    "sell": OutcomeStatus.confirmed,
    "again": OutcomeStatus.confirmed,
    "expire": OutcomeStatus.expired,
    "late": OutcomeStatus.no_longer_held,
    "back": OutcomeStatus.cancelled,
    "pick": OutcomeStatus.held,
    "lose": OutcomeStatus.unavailable,
    "wish": OutcomeStatus.held,
    "twice": OutcomeStatus.already_holding,
    "nowhere": OutcomeStatus.unknown_seat,
}


@pytest.fixture
async def world(redis: Redis, ledger: Database) -> World:
    return await make_world(redis, ledger)


async def script(world: World) -> list[Command]:
    """Commands of every kind, on reservations made and seen by everyone before."""
    (old,) = await world.do(hold("old", [0], holder="old"))
    world.time.pass_s(HOLD_FOR.total_seconds())
    ann, bob = await world.do(hold("ann", [1, 2], number=1), hold("bob", [3], holder="bob", number=2))
    assert old.reservation
    assert ann.reservation
    assert bob.reservation
    return [
        confirm("sell", ann.reservation.id),
        confirm("again", ann.reservation.id),
        Expire(id="expire", reservation_id=old.reservation.id),
        confirm("late", old.reservation.id, holder="old", reference="pay-2"),
        Cancel(id="back", reservation_id=bob.reservation.id, holder="bob"),
        hold("pick", [3, 4], holder="cat", number=3),
        hold("lose", [4, 5], holder="dan", number=4),
        wishing("wish", 2, ["S"], holder="eve", number=5),
        wishing("twice", 2, ["S"], holder="eve", number=5),
        hold("nowhere", [99]),
    ]


async def check(world: World, expected: dict[str, OutcomeStatus]) -> None:
    """Every command has its one outcome, was taken off the lane, and a listener's map equals the store's."""
    answers = await world.answers()
    for command_id, status in expected.items():
        given = answers.get(command_id, [])
        assert {outcome.status for outcome in given} == {status}, command_id
        assert len(set(map(str, given))) == 1, f"{command_id} was answered in different ways: {given}"
    assert await world.redis.xlen(redis_keys.lane(EVENT)) == 0
    assert await broken(world.db) == []
    assert (EVENT, 1, 1) in world.finished
    snapshot = await events.seat_snapshot(world.db, EVENT)
    assert snapshot is not None
    view = await hear(world.redis, snapshot)
    assert bytes(view.status(idx) for idx in range(12)) == await world.statuses()


async def killed_at(call: int, fuse: Fuse, world: World, victim: Allocator) -> bool:
    """Kill `victim` at one of its I/O calls, let another carry on, check; False if it was done before that call."""
    await world.send(*await script(world))
    fuse.arm(call)
    try:
        await victim.run(EVENT)
    except BaseException as error:
        if not was_killed(error):
            raise
    await world.redis.delete(redis_keys.lane_lease(EVENT))  # its time is over
    await world.allocator().run(EVENT)
    await check(world, EXPECTED)
    return fuse.blown


@pytest.mark.parametrize("batch_max", [200, 3])
async def test_an_allocator_killed_between_any_two_calls_is_carried_on_exactly(
    batch_max: int, redis: Redis, ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocator, "BATCH_MAX", batch_max)
    fuse, call, alive = Fuse(), 0, True
    victim_db = killable_ledger(ledger, fuse)
    async with killable_redis(redis, fuse) as victim_redis:
        while alive:
            call += 1
            world = await make_world(redis, ledger)
            victim = world.allocator(victim_redis, victim_db)
            victim.finish = fused(fuse, world.finish)
            alive = await killed_at(call, fuse, world, victim)
            await redis.flushall()
            await empty(ledger)
    await victim_db.close()
    assert call > 15, "the allocator did less than one batch's work"


class Paused(Allocator):
    """Stands still for as long as `pause` takes, right before it would write."""

    world: World

    async def pause(self) -> None:
        raise NotImplementedError

    async def _write(self, *args: object) -> Decisions | None:
        await self.pause()
        return await super()._write(*args)  # type: ignore[arg-type]  # what it was given


def paused(world: World, pause: object) -> Allocator:
    plain = world.allocator()
    fields = {name: getattr(plain, name) for name in Allocator.__dataclass_fields__}
    sleeper = Paused(**fields)
    sleeper.pause = pause  # type: ignore[method-assign,assignment]
    return sleeper


async def test_an_allocator_paused_past_its_lease_cannot_write_what_another_has_done(world: World) -> None:
    commands = await script(world)

    async def another_takes_over() -> None:
        await world.redis.delete(redis_keys.lane_lease(EVENT))
        await world.allocator().run(EVENT)

    await world.send(*commands)
    assert await paused(world, another_takes_over).run(EVENT) is StopReason.lost
    await check(world, EXPECTED)


async def test_the_fence_alone_stops_a_paused_allocator(world: World) -> None:
    async def another_only_arrives() -> None:
        await world.redis.delete(redis_keys.lane_lease(EVENT))
        assert await seats.take_fence(world.db, EVENT)

    await world.send(hold("a", [0]))
    assert await paused(world, another_only_arrives).run(EVENT) is StopReason.lost
    assert set(await world.statuses()) == {0}
    await world.redis.delete(redis_keys.lane_lease(EVENT))
    assert await world.allocator().run(EVENT) is StopReason.drained
    assert (await world.statuses())[0] == 1


async def test_whoever_loses_only_the_fence_lets_another_begin_at_once(world: World) -> None:
    async def the_map_is_replaced() -> None:
        assert await seats.take_fence(world.db, EVENT)

    await world.send(hold("a", [0]))
    assert await paused(world, the_map_is_replaced).run(EVENT) is StopReason.lost
    assert [event_id for event_id, _ in world.woken] == [EVENT]
    assert await world.allocator().run(EVENT) is StopReason.drained
    assert (await world.statuses())[0] == 1


async def test_an_allocator_that_fails_leaves_its_commands_and_no_lease_behind(world: World) -> None:
    async def the_database_goes_away() -> None:
        raise OSError("the database is away")

    await world.send(hold("a", [0]))
    with pytest.raises(ExceptionGroup):
        await paused(world, the_database_goes_away).run(EVENT)
    assert world.woken == []  # else it would fail at once again and again: the round for stranded lanes wakes
    assert await world.allocator().run(EVENT) is StopReason.drained
    assert (await world.answers())["a"][-1].status is OutcomeStatus.held


async def test_an_allocator_paused_after_its_commit_does_not_publish_over_another(world: World) -> None:
    commands = await script(world)
    sleeper = world.allocator()

    async def another_takes_over(event_id: str, places: Sequence[tuple[int, int]]) -> None:
        await world.finish(event_id, places)
        await world.redis.delete(redis_keys.lane_lease(EVENT))
        await world.allocator().run(EVENT)
        await world.do(hold("later", [5], holder="zoe"))

    sleeper.finish = another_takes_over
    await world.send(*commands)
    assert await sleeper.run(EVENT) is StopReason.lost
    await check(world, EXPECTED | {"later": OutcomeStatus.held})
    published = [unpack_published(fields[b"o"]) for _, fields in await world.redis.xrange(redis_keys.lane_out(EVENT))]
    versions = [each.version for each in published]
    assert versions == sorted(versions)


async def test_two_allocators_at_once_give_each_command_one_outcome(world: World) -> None:
    """A hundred buyers per seat, sent while two allocators take the lane from each other."""
    contenders = [hold(f"h{seat}-{buyer}", [seat], holder=f"b{buyer}") for buyer in range(100) for seat in range(12)]
    first, second = world.allocator(), world.allocator()

    async def insist(each: Allocator) -> None:
        while await world.redis.xlen(redis_keys.lane(EVENT)):
            await each.run(EVENT)

    for start in range(0, len(contenders), 400):
        await world.send(*contenders[start : start + 400])
        await asyncio.gather(insist(first), insist(second))
    answers = await world.answers()
    given: list[Outcome] = [outcome for outcomes in answers.values() for outcome in outcomes]
    assert len(given) == len(contenders)
    assert sum(outcome.status is OutcomeStatus.held for outcome in given) == 12
    assert await broken(world.db) == []


async def test_a_lease_is_never_taken_from_who_has_it(world: World) -> None:
    await world.send(hold("a", [0]))
    answers: list[StopReason] = []

    async def another_tries() -> None:
        answers.append(await world.allocator().run(EVENT))

    assert await paused(world, another_tries).run(EVENT) is StopReason.drained
    assert answers == [StopReason.busy]


async def test_a_stranded_lane_is_woken_and_a_served_one_is_not(world: World) -> None:
    sweeper = Sweeper(redis=world.redis, db=world.db, wake=world.wake, now=world.time.now)
    assert await sweeper.wake_stranded() == 0
    await world.send(hold("a", [0]))
    assert await sweeper.wake_stranded() == 1
    world.time.pass_s(1)
    assert await sweeper.wake_stranded() == 1
    assert len(set(world.woken)) == 2, "each second's wake-up must be a job of its own"
    await world.redis.set(redis_keys.lane_lease(EVENT), "someone", px=60_000)
    assert await sweeper.wake_stranded() == 0


async def test_an_allocator_whose_write_failed_forgets_what_it_had_decided(world: World) -> None:
    """It sold a seat in its mind only; Redis lost the lane, and at the same version another let the hold expire."""
    (held,) = await world.do(hold("a", [0]))
    assert held.reservation
    cursed = world.allocator()
    await cursed.run(EVENT)
    await world.send(confirm("b", held.reservation.id))
    with commits_failing(world.db), pytest.raises(ExceptionGroup):
        await cursed.run(EVENT)
    await world.redis.delete(redis_keys.lane_lease(EVENT), redis_keys.lane(EVENT))
    world.time.pass_s(HOLD_FOR.total_seconds())
    (expired,) = await world.do(Expire(id="c", reservation_id=held.reservation.id))
    assert expired.status is OutcomeStatus.expired
    await world.send(hold("d", [0], holder="bob"))
    await cursed.run(EVENT)
    assert (await world.answers())["d"][-1].status is OutcomeStatus.held
    assert await broken(world.db) == []


@contextmanager
def commits_failing(db: Database) -> Iterator[None]:
    """The disk is full: the first commit (of the fence) works, those after it fail."""
    commits = itertools.count()

    def fail(_: object) -> None:
        if next(commits) > 0:
            raise OSError("no space left on device")

    for engine in db.engines:
        sqlalchemy.event.listen(engine, "commit", fail)
    try:
        yield
    finally:
        for engine in db.engines:
            sqlalchemy.event.remove(engine, "commit", fail)
