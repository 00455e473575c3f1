"""The worker that draws: a room whose beacon says nothing keeps no other room waiting, and a missed one is counted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from app.control.opening_draw import BEACON_WAIT_MS
from app.domain.line import DrawStage, RoomState
from app.ledger import events
from app.ledger.database import Database
from app.metrics.work import Work, work_readings
from app.room.record import Schedule, read_record
from tests.control.beacons import CHAIN, KnownRounds
from tests.control.lobby import DRAW_MS, LOBBY_MS, Lobby, made
from tests.counting import redis_commands
from tests.lane.world import START, spec
from tests.room.room import BIRTH, Room
from workers.drawer import Drawer

OTHER = "other"


class SilentBeacon(KnownRounds):
    """Is asked, and says nothing until it is over."""

    is_over = False

    def ask(self, round_number: int) -> bytes | None:
        self.asked.append(round_number)
        return b"" if self.is_over else None


@pytest.fixture
async def awaiting(redis: Redis, ledger: Database) -> Lobby:
    """A lobby whose entries are closed, ten seconds after its round."""
    lobby = await made(redis, ledger, random.Random(1).randbytes, SilentBeacon())
    await lobby.enter(*range(5))
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    await lobby.tick()
    await lobby.draw()
    round_ms = CHAIN.time_ms((await lobby.row()).round or 0)
    lobby.room.clock.pass_ms(round_ms + BEACON_WAIT_MS - lobby.room.clock.redis_ms)
    return lobby


async def test_a_slow_beacon_delays_no_other_room_and_is_counted_when_it_is_missed(awaiting: Lobby) -> None:
    room, beacon, work = awaiting.room, awaiting.beacon, Work()
    assert isinstance(beacon, SilentBeacon)
    drawer = Drawer(
        redis=room.redis,
        scripts=room.scripts,
        db=room.db,
        now=lambda: awaiting.now,
        random=awaiting.dice,
        work=work,
        beacon=beacon,
    )
    await drawer.look()
    assert (beacon.asked, (await awaiting.record()).draw) == ([(await awaiting.row()).round], DrawStage.closed)
    await events.create(room.db, spec(OTHER), START)
    await room.scripts.create(OTHER, replace(BIRTH, state=RoomState.scheduled, draw=DrawStage.ahead))
    await drawer.look()
    other = await read_record(room.redis, OTHER)
    assert other is not None
    assert other.commitment
    assert work.draws_without_beacon == 0
    beacon.is_over = True
    await drawer.look()
    assert (await awaiting.record()).draw is DrawStage.done
    assert [reading.value for reading in work_readings(work) if reading.name == "tiketi_draws_without_beacon"] == [1]


async def test_a_draw_far_ahead_is_committed_to_once_and_looked_at_again_when_it_is_near(room: Room) -> None:
    drawer = Drawer(
        redis=room.redis,
        scripts=room.scripts,
        db=room.db,
        now=lambda: START,
        random=random.Random(1).randbytes,
        work=Work(),
    )
    seconds, _ = await room.redis.time()
    await events.create(room.db, spec(OTHER), START)
    far = replace(BIRTH, state=RoomState.scheduled, draw=DrawStage.ahead, opens_ms=(seconds + 86_400) * 1000)
    await room.scripts.create(OTHER, far)
    await drawer.look()
    record = await read_record(room.redis, OTHER)
    assert record is not None
    assert record.commitment
    async with redis_commands(room.redis) as once_more:
        await drawer.look()
    await room.scripts.schedule(OTHER, Schedule(opens_ms=(seconds + 30) * 1000, version=1))
    async with redis_commands(room.redis) as when_near:
        await drawer.look()
    assert when_near["hmget"] == once_more["hmget"] + 1, "what it is like was not asked for while it was far"
