"""What adopt promises: one person, one number, and nobody loses a turn, a wish or their seats by logging in."""

from __future__ import annotations

import asyncio

import pytest

from app import redis_keys
from app.domain.line import Place
from app.domain.ticket import account_holder
from app.room import guest_places
from app.room.answers import Joined, JoinStatus, Merged
from app.room.guest_places import GuestPlace
from app.room.scripts import holder_bucket
from tests.room.room import EVENT, TIMING, Room

WISH = '{"quantity":2}'
CLAIM_MS = TIMING.claim_window_s * 1000


async def merge(room: Room, browser: str, account: str) -> Merged:
    place = GuestPlace(EVENT, room.epoch, browser)
    (merged,) = await guest_places.merge(room.scripts, [place], account, room.clock.redis_ms)
    return merged


async def test_an_account_without_a_place_takes_over_the_browser_s(room: Room) -> None:
    await room.join("x", "browser", "y")
    assert await merge(room, "browser", "account") == ("merged", 2)
    assert await merge(room, "browser", "account") == ("kept", 2), "a repeat changes nothing"
    assert await room.join("account") == [Joined(JoinStatus.already, 2)]
    assert await room.join("browser") == [Joined(JoinStatus.joined, 4)], "the browser is somebody new"


async def test_of_two_places_the_earlier_is_kept_and_the_other_left(room: Room) -> None:
    await room.join("browser", "account", "other")
    assert await merge(room, "browser", "account") == ("merged", 1)
    assert (await room.view()).place(2) is Place.left
    await room.join("tablet")
    assert await merge(room, "tablet", "account") == ("kept", 1)
    assert (await room.view()).place(4) is Place.left
    assert await room.join("account") == [Joined(JoinStatus.already, 1)]
    assert (await room.view()).position(3).ahead == 1


@pytest.mark.parametrize("who", ["browser", "account"])
async def test_a_turn_is_never_given_up_for_an_earlier_place_that_waits(room: Room, who: str) -> None:
    """The earlier of the two was passed over while away, so the later has its turn first."""
    other = "account" if who == "browser" else "browser"
    await room.join(other)
    await room.listened(TIMING.presence_window_s * 2000)
    await room.join(who)
    await room.tick(1000)
    assert (await room.view()).place(2) is Place.admitted
    assert await merge(room, "browser", "account") == ("merged" if who == "browser" else "kept", 2)
    view = await room.view()
    assert (view.place(1), view.place(2)) == (Place.left, Place.admitted)
    assert await room.join("account") == [Joined(JoinStatus.already, 2)]


async def test_a_pass_is_never_given_up_for_a_turn(room: Room) -> None:
    await room.join("account", "browser")
    await room.tick(1000)
    await room.claim(2)
    assert await merge(room, "browser", "account") == ("merged", 2)
    view = await room.view()
    assert (view.place(1), view.place(2)) == (Place.left, Place.claimed)


async def test_a_place_given_up_gives_its_capacity_back(room: Room) -> None:
    await room.join("account", "browser")
    await room.tick(1000)
    assert await merge(room, "browser", "account") == ("kept", 1)
    view = await room.view()
    assert list(view.admitted) == [1]


async def test_a_turn_whose_time_is_over_is_not_kept(room: Room) -> None:
    await room.join("browser")
    await room.tick(1000)
    room.clock.pass_ms(CLAIM_MS)
    await room.join("account")
    assert await merge(room, "browser", "account") == ("kept", 2)


async def test_a_pass_whose_time_is_over_is_not_kept(room: Room) -> None:
    await room.join("browser")
    await room.tick(1000)
    await room.claim(1)
    room.clock.pass_ms(TIMING.pass_s * 1000)
    await room.join("account")
    assert await merge(room, "browser", "account") == ("kept", 2)


async def test_a_wish_goes_with_its_number_and_says_whose_it_is_now(room: Room) -> None:
    await room.scripts.join(EVENT, 1, [("x", ""), ("browser", WISH)], room.clock.redis_ms)
    await merge(room, "browser", "account")
    wishes = await room.redis.hgetall(redis_keys.of_epoch(EVENT, 1, "wishes:0"))  # type: ignore[misc]
    assert wishes == {b"2": f"account {WISH}".encode()}
    await room.join("early")
    await room.scripts.join(EVENT, 1, [("late", WISH)], room.clock.redis_ms)
    await merge(room, "early", "second")
    assert await merge(room, "late", "second") == ("kept", 3)
    assert await room.redis.hkeys(redis_keys.of_epoch(EVENT, 1, "wishes:0")) == [b"2"]  # type: ignore[misc]


async def test_a_place_that_is_over_is_not_taken_over(room: Room) -> None:
    await room.join("browser", "account")
    await room.leave(1)
    assert await merge(room, "browser", "account") == ("kept", 2)
    await room.leave(2)
    assert await merge(room, "browser", "account") == ("none", 0)
    assert await merge(room, "nobody", "account") == ("none", 0)


async def test_without_a_browser_it_only_says_where_the_account_is(room: Room) -> None:
    await room.join("account")
    assert await merge(room, "", "account") == ("kept", 1)
    assert await merge(room, "", "nobody") == ("none", 0)


async def test_another_epoch_is_left_alone(room: Room) -> None:
    await room.join("browser")
    assert await guest_places.merge(room.scripts, [GuestPlace(EVENT, 2, "browser")], "account") == [("old_epoch", 0)]


async def test_in_a_closed_room_an_account_takes_a_place_over_and_no_key_stays_for_ever(room: Room) -> None:
    """Its passes are still good, and its keys may have been given their end already."""
    await room.join("browser", "second browser", "account")
    await room.tick(1000)
    await room.claim(1)
    await room.change(state="closed")
    assert await merge(room, "second browser", "other account") == ("merged", 2)
    assert await merge(room, "browser", "account") == ("merged", 1)
    assert await room.claim(1, holder="browser") == ("taken", 0)
    assert (await room.claim(1, holder="account"))[0] == "claimed"
    keys = [redis_keys.of_epoch(EVENT, 1, name) for name in ("taken", "gone", f"holders:{holder_bucket('account')}")]
    assert all([await room.redis.ttl(key) > 0 for key in keys])
    taken = (await room.view()).taken
    assert all(number in taken for number in (1, 2))


async def test_many_browsers_at_once_leave_an_account_the_earliest_number(room: Room) -> None:
    browsers = [f"b{n}" for n in range(10)]
    await room.join(*browsers)
    await asyncio.gather(*(merge(room, browser, "account") for browser in reversed(browsers)))
    assert await room.join("account") == [Joined(JoinStatus.already, 1)]
    assert (await room.view()).waiting == 1


async def test_many_rooms_are_asked_in_one_round_trip(room: Room) -> None:
    await room.join("browser")
    places = [GuestPlace(EVENT, 1, "browser"), GuestPlace(EVENT, 1, ""), GuestPlace("no-room", 1, "browser")]
    assert await guest_places.merge(room.scripts, places, "account") == [("merged", 1), ("kept", 1), ("old_epoch", 0)]


async def test_the_guest_s_old_ticket_neither_claims_nor_leaves_what_the_account_has(room: Room) -> None:
    await room.join("browser")
    await room.tick()
    assert await merge(room, "browser", "account") == ("merged", 1)
    assert await room.claim(1, "browser") == ("taken", 0)
    assert await room.leave(1, "browser") == "taken"
    view = await room.view()
    assert view.place(1) is Place.admitted
    assert view.is_taken(1, b"browser")
    assert not view.is_taken(1, account_holder("u_1"))
    assert (await room.claim(1, "account"))[0] == "claimed"
    assert await room.claim(1, "browser") == ("taken", 0)
    assert await room.leave(1, "account") == "left"


async def test_only_its_holder_claims_or_leaves_a_place(room: Room) -> None:
    await room.join("anna", "bert")
    await room.tick()
    assert await room.claim(1, "bert") == ("taken", 0)
    assert await room.leave(1, "bert") == "taken"
    assert (await room.claim(1, "anna"))[0] == "claimed"


async def test_a_view_that_followed_knows_what_an_account_took_over(room: Room) -> None:
    await room.join("browser", "other")
    followed = await room.view()
    await merge(room, "browser", "account")
    entries = await room.redis.xrange(redis_keys.room_log(EVENT))
    for log_id, entry in entries:
        followed.apply(log_id, entry)
    assert followed.is_taken(1, b"browser")
    assert not followed.is_taken(2, b"other")
