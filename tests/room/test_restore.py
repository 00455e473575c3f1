"""After a loss of Redis a ticket gives its place back, once, and nobody ends up with two."""

from __future__ import annotations

import pytest

from app.domain.line import Place, RoomState
from app.room.scripts import Schedule
from tests.room.room import EVENT, Room, numbers


async def test_after_a_loss_who_joined_again_keeps_the_earlier_number_only(room: Room) -> None:
    await room.redis.flushall()
    await room.make_again(number=9, cursor=2, state=RoomState.recovering, recover_ms=1_000)
    assert numbers(await room.join("anna", "bert")) == [10, 11]
    assert await room.restore((4, "anna"), (4, "anna"), (4, "thief"), (1, "carl")) == 2
    view = await room.view()
    assert [number for number in range(1, 12) if number not in view.ended] == [1, 4, 11]
    assert numbers(await room.join("anna")) == [4]
    await room.tick()
    await room.tick()
    assert await room.let_in() == [1, 4, 11]
    assert await room.violations() == []


async def test_after_a_loss_who_was_let_in_again_already_does_not_get_a_second_turn(room: Room) -> None:
    await room.redis.flushall()
    await room.make_again(number=9, cursor=2, state=RoomState.recovering, recover_ms=0)
    await room.join("anna")
    await room.tick()
    await room.tick()
    assert await room.let_in() == [10]
    assert await room.restore((4, "anna")) == 0
    assert (await room.view()).place(4) is Place.left


@pytest.mark.parametrize("opened_after", [0, 1, 7, 8, 9, 15, 16])
@pytest.mark.parametrize("given", [1, 6, 7, 8, 9, 17])
async def test_a_loss_is_of_the_numbers_of_this_epoch(room: Room, opened_after: int, given: int) -> None:
    await room.redis.flushall()
    last = opened_after + given
    await room.make_again(number=last, cursor=opened_after, opened_after=opened_after, state=RoomState.recovering)
    view = await room.view()
    lost = set(range(opened_after + 1, last + 1))
    assert {number for number in range(60) if number in view.unproven} == lost
    assert {number for number in range(60) if number in view.ended} == lost


async def test_a_view_that_followed_knows_that_a_ticket_was_refused(room: Room) -> None:
    """Else its holder is told to wait for ever."""
    await room.redis.flushall()
    await room.make_again(number=9, cursor=2, state=RoomState.recovering, recover_ms=1_000)
    view = await room.view()
    await room.restore((4, "anna"))
    await room.restore((6, "anna"))
    for log_id, entry in (await room.log())[1:]:
        assert view.apply(log_id, entry)
    assert [view.place(number) for number in (4, 6, 7)] == [Place.waiting, Place.left, Place.waiting]
    assert 6 not in view.unproven


async def test_a_sale_that_is_moved_while_its_room_recovers_opens_when_it_is_due(room: Room) -> None:
    await room.redis.flushall()
    await room.make_again(number=9, state=RoomState.recovering, recover_ms=1_000)
    opens_ms = room.clock.redis_ms + 3_000
    await room.scripts.schedule(EVENT, Schedule(opens_ms=opens_ms), room.clock.redis_ms)
    for state in (RoomState.recovering, RoomState.scheduled, RoomState.scheduled, RoomState.open):
        assert (await room.view()).state is state
        await room.tick()


async def test_a_turn_is_not_over_because_its_room_is_lost(room: Room) -> None:
    """Until the keeper has made it again nothing is known of it."""
    await room.redis.flushall()
    assert await room.claim(4) == ("missing", 0)
    assert await room.leave(4) == "missing"
