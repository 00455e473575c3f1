"""A web process asks the lane and hears the answer, and its seat map follows what the allocators do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.domain.reservation import Reservation, SeatSnapshot
from app.jobs import WakeUpFailed
from app.lane import scripts as lane_scripts
from app.lane import seats as lane_seats
from app.lane import stream
from app.lane.commands import Cancel, OutcomeStatus, Published, ReleasePlace, pack
from app.lane.errors import LaneFull, LaneUnavailable
from app.lane.outcomes import Outcomes
from app.lane.scripts import LaneScripts, PublishStatus, ReleaseStatus, SendStatus, Sent
from app.lane.seats import SeatViews, UnknownEvent
from app.lane.stream import Lane
from app.lane.streams import LaneStreams
from app.ledger import events, seats
from tests.lane.world import EVENT, World, confirm, hold, spec, wishing
from tests.waiting import WAIT_MAX_S, wait_until

Loaded = tuple[SeatSnapshot, list[Reservation]] | None


class Web:
    """What one web process has: views, a lane, and (here) an allocator that a wake-up starts at once."""

    def __init__(self, world: World, wait_s: float = 20.0) -> None:
        self.world = world
        self.outcomes = Outcomes()
        self.loads = 0
        self.views = SeatViews(world.redis, self.load, self.outcomes, 2**30)
        self.lane = Lane(world.redis, self.wake, self.outcomes, self.views.open, wait_s)
        self.sends = 0
        self.tasks = asyncio.TaskGroup()

    async def load(self, event_id: str) -> Loaded:
        self.loads += 1
        return await seats.load(self.world.db, event_id)

    async def wake(self, event_id: str, entry_id: str) -> None:
        await self.world.wake(event_id, entry_id)
        self.tasks.create_task(self.world.allocator().run(event_id))

    async def until(self, version: int, event_id: str = EVENT) -> None:
        """Wait until the view has reached a version."""
        view = await self.views.open(event_id)
        async with asyncio.timeout(20):
            while view.version != version:  # noqa: ASYNC110  # a view announces nothing; the timeout bounds this
                await asyncio.sleep(0)


@pytest.fixture
async def web(world: World) -> AsyncIterator[Web]:
    web = Web(world)
    async with web.tasks:
        following = web.tasks.create_task(web.views.run())
        yield web
        await web.lane.close()
        following.cancel()


async def test_a_hold_is_answered_and_shown_on_the_map(web: Web) -> None:
    outcome = await web.lane.submit(EVENT, hold("a", [3], number=9))
    assert outcome.status is OutcomeStatus.held
    view = await web.views.open(EVENT)
    shown = json.loads(view.body())
    assert shown["seats"][3] == {
        "id": "s3",
        "section": "A",
        "row": "0",
        "number": 4,
        "grade": "R",
        "price": 100,
        "x": 3.0,
        "y": 0.0,
        "status": "held",
    }
    assert (shown["layout"], shown["version"], view.etag) == ({"stage": "front"}, 1, '"1"')
    assert view.answer(1, 9) == outcome
    assert view.left() == {"R": 5, "S": 6}


async def test_a_command_that_a_script_put_on_the_lane_wakes_an_allocator_and_is_waited_for(web: Web) -> None:
    await web.lane.submit(EVENT, hold("a", [3], number=9))
    with web.lane.expected(EVENT, "d") as answer:
        entry = await web.world.redis.xadd(redis_keys.lane(EVENT), {"c": pack(ReleasePlace(id="d", epoch=1, number=9))})
        await web.lane.hurry(EVENT, entry.decode(), answer, wait_s=20.0)
        assert answer.result().status is OutcomeStatus.cancelled


async def test_a_command_on_the_lane_needs_no_wake_up_to_succeed_in_time(web: Web) -> None:
    """Whoever left has left, whether or not Redis can be told to hurry, or an allocator answers."""

    async def unheard(event_id: str, entry_id: str) -> None:
        raise WakeUpFailed("no Redis")

    lane = Lane(web.world.redis, unheard, web.outcomes, web.views.open, wait_s=20.0)
    for hurrying in (lane, web.lane):
        with hurrying.expected(EVENT, "d") as answer:
            await hurrying.hurry(EVENT, "1-1", answer, wait_s=0.0)
    assert len(web.outcomes) == 0


async def test_a_hundred_requests_at_once_reach_redis_in_few_calls_and_one_wins(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = LaneScripts.send

    async def counted(self: LaneScripts, event_id: str, commands: list[bytes]) -> Sent:
        sizes.append(len(commands))
        return await real(self, event_id, commands)

    monkeypatch.setattr(LaneScripts, "send", counted)
    await web.views.open(EVENT)
    asks = [web.lane.submit(EVENT, hold(f"h{i}", [4], holder=f"b{i}")) for i in range(100)]
    outcomes = await asyncio.gather(*asks)
    statuses = [outcome.status for outcome in outcomes]
    assert (statuses.count(OutcomeStatus.held), statuses.count(OutcomeStatus.unavailable)) == (1, 99)
    assert sizes == [100]


async def test_nobody_is_woken_while_an_allocator_is_awake(world: World) -> None:
    scripts = LaneScripts(world.redis)
    first, oldest = await scripts.send(EVENT, [pack(hold("a", [0]))])
    again, same = await scripts.send(EVENT, [pack(hold("b", [0]))])
    assert (first, again) == (SendStatus.wake, SendStatus.wake)
    assert oldest == same, "wake-ups for commands waiting together must share an id"
    assert await scripts.take(EVENT, "me")
    assert (await scripts.send(EVENT, [pack(hold("c", [0]))]))[0] is SendStatus.awake


async def test_a_lane_with_commands_is_not_released(world: World) -> None:
    """Else a command sent just before the release would wake nobody and be seen by nobody."""
    scripts = LaneScripts(world.redis)
    assert await scripts.take(EVENT, "me")
    assert (await scripts.send(EVENT, [pack(hold("a", [0]))]))[0] is SendStatus.awake
    assert (await scripts.release(EVENT, "me"))[0] is ReleaseStatus.more
    assert not await scripts.take(EVENT, "other")
    assert (await scripts.release(EVENT, "me", even_if_waiting=True))[0] is ReleaseStatus.released


async def test_only_the_owner_keeps_releases_or_publishes(world: World) -> None:
    scripts = LaneScripts(world.redis)
    assert await scripts.take(EVENT, "me")
    assert not await scripts.take(EVENT, "other")
    assert not await scripts.keep(EVENT, "other")
    assert (await scripts.release(EVENT, "other"))[0] is ReleaseStatus.lost
    assert await scripts.publish(EVENT, "other", b"{}") is PublishStatus.lost
    assert await world.redis.xlen(redis_keys.lane_out(EVENT)) == 0
    assert await scripts.keep(EVENT, "me")


async def test_a_lease_that_was_released_is_not_brought_back_by_a_late_keep(world: World) -> None:
    scripts = LaneScripts(world.redis)
    await scripts.take(EVENT, "me")
    await scripts.release(EVENT, "me")
    assert not await scripts.keep(EVENT, "me")
    assert await scripts.take(EVENT, "other")


async def test_a_lease_ends_by_itself(world: World) -> None:
    await LaneScripts(world.redis).take(EVENT, "me")
    assert 0 < await world.redis.pttl(redis_keys.lane_lease(EVENT)) <= lane_scripts.LEASE_MS


async def test_what_is_published_while_a_map_is_first_read_is_not_missed(world: World) -> None:
    """The answer comes between reading the map and following the changes, of all moments."""

    async def read_then_change(event_id: str) -> Loaded:
        snapshot = await seats.load(world.db, event_id)
        await world.do(hold("a", [0]))
        return snapshot

    views = SeatViews(world.redis, read_then_change, Outcomes(), 2**30)
    view = await views.open(EVENT)
    assert view.version == 0
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(views.run())
        async with asyncio.timeout(20):
            while view.version != 1:  # noqa: ASYNC110  # a view announces nothing; the timeout bounds this
                await asyncio.sleep(0)
        following.cancel()
    assert view.status(0).name == "held"


async def test_without_an_answer_in_time_the_caller_is_told_to_ask_again(world: World) -> None:
    web = Web(world, wait_s=0.01)
    lane = Lane(world.redis, world.wake, web.outcomes, web.views.open, wait_s=0.01)
    with pytest.raises(LaneUnavailable):
        await lane.submit(EVENT, hold("a", [0]))
    assert len(web.outcomes) == 0
    await lane.close()


async def test_a_full_lane_refuses_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lane.scripts.COMMANDS_MAX", 2)
    web = Web(world)
    lane = Lane(world.redis, world.wake, web.outcomes, web.views.open, wait_s=20)
    await world.send(hold("a", [0]), hold("b", [0]))
    with pytest.raises(LaneFull, match="full"):
        await lane.submit(EVENT, hold("c", [0]))
    assert await world.redis.xlen(redis_keys.lane(EVENT)) == 2
    await lane.close()


async def test_too_many_unsent_commands_are_refused_before_redis(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PENDING_MAX", 0)
    web = Web(world)
    with pytest.raises(LaneUnavailable):
        await web.lane.submit(EVENT, hold("a", [0]))


async def test_a_command_asked_again_gives_the_same_answer(web: Web) -> None:
    first = await web.lane.submit(EVENT, wishing("a", 2))
    assert await web.lane.submit(EVENT, wishing("a", 2)) == first


async def test_an_unknown_event_has_no_map(web: Web) -> None:
    with pytest.raises(UnknownEvent):
        await web.views.open("none")
    with pytest.raises(UnknownEvent):
        await web.lane.submit("none", hold("a", [0]))


async def test_several_events_are_followed_by_one_task(web: Web) -> None:
    await events.create(web.world.db, spec("other"), web.world.time.now())
    await web.lane.submit(EVENT, hold("a", [0]))
    await web.lane.submit("other", hold("a", [1]))
    views = [await web.views.open(name) for name in (EVENT, "other")]
    assert [view.version for view in views] == [1, 1]
    assert [view.status(1).name for view in views] == ["available", "held"]


async def test_many_openings_at_once_read_the_map_once(web: Web) -> None:
    await asyncio.gather(*[web.views.open(EVENT) for _ in range(50)])
    assert web.loads == 1


async def given_up(web: Web, event_id: str) -> None:
    async def is_given_up() -> bool:
        return web.views.get(event_id) is None

    await wait_until(is_given_up, description="the view is given up")


async def test_a_map_that_nobody_needs_is_given_up_and_read_again_once_for_who_asks(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_seats, "IDLE_S", 0.0)
    await events.create(web.world.db, spec("other"), web.world.time.now())
    await web.lane.submit(EVENT, hold("a", [0]))
    await web.lane.submit("other", hold("b", [1]))
    web.views.keep_only(["other"])
    await given_up(web, EVENT)
    assert web.views.get("other") is not None
    web.loads = 0
    views = await asyncio.gather(*[web.views.open(EVENT) for _ in range(50)])
    assert web.loads == 1
    await web.lane.submit(EVENT, hold("c", [2], holder="bob"))
    assert (views[0].status(0).name, views[0].status(2).name) == ("held", "held"), "it is followed as before"
    web.views.keep_only([])
    await given_up(web, EVENT)
    assert web.views.turned_s == float("inf"), "a follower with nothing to read is not late"
    assert (await web.lane.submit(EVENT, hold("d", [4], holder="cat"))).status is OutcomeStatus.held


async def test_a_map_somebody_asked_for_a_moment_ago_is_not_taken_from_them(web: Web) -> None:
    view = await web.views.open(EVENT)
    web.views.keep_only([])
    await web.lane.submit(EVENT, hold("a", [0]))
    await web.lane.submit(EVENT, hold("b", [1], holder="bob"))  # the follower has gone round
    assert web.views.get(EVENT) is view


async def test_a_reader_who_knows_a_version_is_told_only_the_change(web: Web) -> None:
    held = await web.lane.submit(EVENT, hold("a", [3]))
    assert held.reservation is not None
    await web.lane.submit(EVENT, hold("b", [4], holder="bob"))
    await web.lane.submit(EVENT, Cancel(id="c", reservation_id=held.reservation.id))
    view = await web.views.open(EVENT)
    assert json.loads(view.since(0)) == {
        "seats": [{"id": "s3", "status": "available"}, {"id": "s4", "status": "held"}],
        "version": 3,
    }
    assert json.loads(view.since(2)) == {"seats": [{"id": "s3", "status": "available"}], "version": 3}
    assert json.loads(view.since(3)) == {"seats": [], "version": 3}
    assert view.since(4) == view.since(-1) == view.body()


async def test_a_gap_in_the_versions_makes_the_view_read_the_map_anew(web: Web) -> None:
    world = web.world
    view = await web.views.open(EVENT)
    await world.do(hold("a", [0]))
    await web.until(1)
    await world.redis.xadd(redis_keys.lane_out(EVENT), {"o": pack(Published(version=9, seats=[(5, 2)]))})
    await world.do(hold("b", [1], holder="bob"))
    await web.until(2)
    assert web.loads >= 2
    assert [view.status(idx).name for idx in (0, 1, 5)] == ["held", "held", "available"]


async def test_a_view_that_cannot_be_read_anew_is_tried_again(web: Web) -> None:
    view = await web.views.open(EVENT)
    load: Callable[[str], Awaitable[Loaded]] = web.load
    failures = iter([True, True])

    async def failing(event_id: str) -> Loaded:
        if next(failures, False):
            raise OSError("the store is away")
        return await load(event_id)

    web.views._load = failing
    await world_change_unheard(web.world)
    await web.world.redis.xadd(redis_keys.lane_out(EVENT), {"o": pack(Published(version=1, reload=True))})
    await web.until(1)
    assert view.status(0).name == "held"


async def world_change_unheard(world: World) -> None:
    """Hold seat 0, and lose what was published about it."""
    await world.do(hold("a", [0]))
    last = await world.redis.xrevrange(redis_keys.lane_out(EVENT), count=1)
    await world.redis.xdel(redis_keys.lane_out(EVENT), last[0][0])


async def test_an_entry_nobody_can_read_makes_the_view_read_the_map_anew(web: Web) -> None:
    view = await web.views.open(EVENT)
    await world_change_unheard(web.world)
    await web.world.redis.xadd(redis_keys.lane_out(EVENT), {"o": b'{"version":'})
    await web.until(1)
    assert view.status(0).name == "held"
    assert (await web.lane.submit(EVENT, hold("b", [1], holder="bob"))).status is OutcomeStatus.held


async def test_after_a_loss_of_redis_views_catch_up(web: Web, redis: Redis) -> None:
    view = await web.views.open(EVENT)
    await web.lane.submit(EVENT, hold("a", [0]))
    await redis.flushall()
    outcome = await web.lane.submit(EVENT, hold("b", [1], holder="bob"))
    assert outcome.status is OutcomeStatus.held
    assert [view.status(idx).name for idx in (0, 1)] == ["held", "held"]


async def test_a_replay_of_an_old_answer_does_not_undo_what_is_known(web: Web) -> None:
    held = await web.lane.submit(EVENT, hold("a", [0], number=5))
    assert held.reservation is not None
    sold = await web.lane.submit(EVENT, confirm("b", held.reservation.id))
    assert await web.lane.submit(EVENT, hold("a", [0], number=5)) == held
    view = await web.views.open(EVENT)
    assert view.answer(1, 5) == sold
    shown = view.describe(sold.reservation) if sold.reservation else {}
    assert (shown["status"], shown["totalPrice"], shown["seats"][0]["id"]) == ("confirmed", 100, "s0")
    assert shown["expiresAt"] == "2026-05-01T11:05:00+00:00"


async def test_a_request_that_gave_up_leaves_nothing_behind(web: Web) -> None:
    await web.views.open(EVENT)
    asking = asyncio.create_task(web.lane.submit(EVENT, hold("a", [0])))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await web.lane.close()
    assert len(web.outcomes) == 0


async def test_how_long_a_command_has_waited_is_known_until_it_is_answered(world: World) -> None:
    streams = LaneStreams(world.redis)
    assert await streams.oldest_wait_s([]) == await streams.oldest_wait_s([EVENT, "none"]) == 0.0
    seconds, _ = await world.redis.time()
    await world.redis.xadd(redis_keys.lane(EVENT), {"c": pack(hold("a", [0]))}, id=f"{(seconds - 60) * 1000}-0")
    await world.send(hold("b", [1], holder="bob"))
    assert 60 <= await streams.oldest_wait_s(["none", EVENT]) < 60 + WAIT_MAX_S
    await world.allocator().run(EVENT)
    assert await streams.oldest_wait_s([EVENT]) == 0.0


async def test_a_redis_that_is_away_is_one_failure_to_whoever_uses_the_lane(world: World) -> None:
    async def watched(event_id: str) -> None:
        """The lane's own reads are tested here, not the views'."""

    async with Redis(unix_socket_path="/nowhere/redis.sock") as away:
        scripts, streams = LaneScripts(away), LaneStreams(away)
        lane = Lane(away, world.wake, Outcomes(), watched, wait_s=20)
        asks: list[Awaitable[object]] = [
            scripts.take(EVENT, "me"),
            streams.stranded([EVENT]),
            streams.published_after({EVENT: b"0-0"}, 1),
            lane.submit(EVENT, hold("a", [0])),
            lane.send(EVENT, [hold("a", [0])]),
            lane.announce(EVENT, 1),
        ]
        for asked in asks:
            with pytest.raises(LaneUnavailable):
                await asked
