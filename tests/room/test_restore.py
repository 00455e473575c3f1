"""After a loss of Redis a ticket gives its place back, once, and nobody ends up with two."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from app import redis_keys
from app.domain.line import Place, RoomState
from app.domain.ticket import HOLDER_BYTES, account_holder, holder_text
from app.room.presence import Presence
from app.room.record import Schedule
from tests.room.room import EVENT, Room, nobody_bought, numbers

GUEST = b"g" * HOLDER_BYTES
OTHER = b"o" * HOLDER_BYTES


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


async def test_who_saw_the_room_before_it_was_made_again_gets_neither_a_number_nor_an_answer_to_a_claim(
    room: Room,
) -> None:
    """They take a ticket that was lost for one of a place that has ended."""
    await room.redis.flushall()
    await room.make_again(number=0, generation=1)
    (joined,) = await room.join("anna")
    before = (await room.view()).made_in
    await room.redis.flushall()
    await room.make_again(number=9, state=RoomState.recovering, recover_ms=1_000, generation=2)
    early = await room.scripts.join(EVENT, 1, [("anna", "")], made_in=before)
    assert (early.room, early.joined) == ("missing", [])
    assert (await room.scripts.claim(EVENT, 1, joined.number, "anna", made_in=before)).status == "missing"
    since = (await room.view()).made_in
    await room.restore((joined.number, "anna"))
    again = await room.scripts.join(EVENT, 1, [("anna", "")], made_in=since)
    assert numbers(again.joined) == [joined.number]
    assert (await room.scripts.claim(EVENT, 1, joined.number, "anna", made_in=since)).status == "waiting"


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


async def test_after_a_loss_an_account_has_what_it_took_over_and_the_guest_nothing(room: Room) -> None:
    """The guest's ticket is all that is left of the place; SQL knows whose the guest's places became."""
    account = holder_text(account_holder("u_1"))
    asked: list[str] = []

    async def taken_over(holders: Iterable[str]) -> dict[str, str]:
        asked.extend(holders)
        return {holder_text(GUEST): account}

    await room.redis.flushall()
    await room.make_again(number=9, cursor=2, state=RoomState.recovering, recover_ms=1_000)
    followed = await room.view()
    presence = Presence(room.scripts, 5, nobody_bought, taken_over)
    await presence.restore(EVENT, room.epoch, {4: holder_text(GUEST), 5: holder_text(OTHER)})
    assert asked == [holder_text(GUEST), holder_text(OTHER)]
    assert (await room.holder_of(4), await room.holder_of(5)) == (account, holder_text(OTHER))
    for log_id, entry in await room.redis.xrange(redis_keys.room_log(EVENT)):
        followed.apply(log_id, entry)
    for view in (await room.view(), followed):
        assert view.is_taken(4, GUEST)
        assert not view.is_taken(4, account_holder("u_1"))
        assert not view.is_taken(5, OTHER)
