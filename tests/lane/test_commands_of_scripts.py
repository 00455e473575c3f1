"""Each command that a Lua script of the room puts on the lane is read by the lane's own types, field by field."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.domain.wish import Wish, pack_wish
from app.lane.commands import Command, Hold, ReleasePlace, pack, unpack_command
from app.ledger.database import Database
from app.room.scripts import LUA, RECENT_MS
from tests.room.room import EVENT, TIMING, Room

CLAIM_MS = TIMING.claim_window_s * 1000
WRITERS = {"admit", "claim", "due", "leave", "seen"}  # the scripts that the tests below run
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


HOLD = Hold(id="wish:1:1", holder="anna", number=1, epoch=1, wish=WISH)


async def test_admit_sends_the_hold_of_a_wish_whose_buyer_was_seen_lately(room: Room) -> None:
    await room.join("anna", wish=pack_wish(WISH))
    await room.seen(1)
    room.clock.pass_ms(RECENT_MS)
    await room.tick()
    assert await commands(room) == [HOLD]


async def test_the_hold_of_a_wish_waits_until_its_buyer_is_seen(room: Room) -> None:
    await room.join("anna", wish=pack_wish(WISH))
    await room.tick()
    assert await commands(room) == [], "whoever joined may never come back"
    await room.seen(1)
    await room.seen(1)
    assert await commands(room) == [HOLD]


async def test_who_was_seen_a_while_ago_gets_seats_when_they_come_back(room: Room) -> None:
    await room.join("anna", wish=pack_wish(WISH))
    await room.seen(1)
    room.clock.pass_ms(3 * RECENT_MS)
    await room.tick()
    assert await commands(room) == []
    await room.seen(1)
    assert await commands(room) == [HOLD]


async def test_claim_sends_the_hold_of_a_wish_that_waits(room: Room) -> None:
    await room.join("anna", wish=pack_wish(WISH))
    await room.tick()
    for _ in range(2):
        await room.claim(1)
        assert await commands(room) == [HOLD]


async def test_joins_that_never_come_back_hold_no_seat(room: Room) -> None:
    await room.change(max_active=200)
    for each in range(200):
        await room.join(f"ghost-{each}", wish=pack_wish(WISH))
    for _ in range(60):
        await room.tick(1000)
    assert await room.let_in(), "they were let in"
    assert not [command for command in await commands(room) if isinstance(command, Hold)]


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
