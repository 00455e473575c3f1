"""Each command that a Lua script of the room puts on the lane is read by the lane's own types, field by field."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.domain.wish import Wish, pack_wish
from app.lane.commands import Command, Hold, ReleasePlace, pack, unpack_command
from app.ledger.database import Database
from app.room.scripts import LUA
from tests.room.room import EVENT, TIMING, Room

CLAIM_MS = TIMING.claim_window_s * 1000
WRITERS = {"admit", "due", "leave"}  # the scripts that the tests below run
WISH = Wish(quantity=2, grades=("R", "S"), adjacent=False)


@pytest.fixture
async def room(redis: Redis, ledger: Database) -> Room:
    return await Room(redis, ledger).make()


async def commands(room: Room) -> list[Command]:
    """What waits on the lane. Decoding ignores a field that no type has, so each is also compared as it was written."""
    packed = [fields[b"c"] for _, fields in await room.redis.xrange(redis_keys.lane(EVENT))]
    found = [unpack_command(each) for each in packed]
    assert [msgspec.json.decode(pack(command)) for command in found] == [msgspec.json.decode(each) for each in packed]
    return found


def test_every_script_that_is_given_the_lane_is_run_here() -> None:
    headers = {path.stem: path.read_text().partition("-- ARGV")[0] for path in LUA.glob("*.lua")}
    given = {name for name, header in headers.items() if " lane" in header.partition("-- KEYS")[2]}
    assert given == WRITERS


async def test_admit_sends_the_hold_of_a_wish(room: Room) -> None:
    await room.join("anna", wish=pack_wish(WISH))
    await room.tick()
    assert await commands(room) == [Hold(id="wish:1:1", holder="anna", number=1, epoch=1, wish=WISH)]


async def test_due_sends_the_release_of_a_turn_that_lapsed(room: Room) -> None:
    await room.crowd(1)
    await room.tick()
    await room.tick(CLAIM_MS)
    assert await commands(room) == [ReleasePlace(id=f"lapse:1:1:{room.clock.redis_ms}", epoch=1, number=1)]


async def test_leave_sends_the_release_of_a_turn_that_was_left(room: Room) -> None:
    await room.crowd(1)
    await room.tick()
    await room.leave(1)
    assert await commands(room) == [ReleasePlace(id="drop:1", epoch=1, number=1)]
