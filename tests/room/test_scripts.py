"""What each command of a room promises, one promise per test; the state machine tries them in every order."""

from __future__ import annotations

import pytest

from app import redis_keys
from app.domain.line import Door, DrawStage, Place, RoomState
from app.domain.ticket import account_holder, holder_text
from app.domain.wish import unpack_wish
from app.lane.commands import Command, Hold, ReleasePlace, unpack_command
from app.ledger import rooms
from app.room.answers import Joined, JoinStatus
from app.room.person import Person
from app.room.record import Schedule
from app.room.scripts import LOG_ENTRIES_MAX, SCAN_MAX, TURNS_ENDED_MAX, WISH_BUCKET
from app.room.timing import PRESENCE_SLOTS, Timing
from tests.room.room import BIRTH, EVENT, TIMING, Room, numbers

WISH = '{"quantity":2}'
WINDOW_MS = TIMING.presence_window_s * 1000
CLAIM_MS = TIMING.claim_window_s * 1000
PASS_MS = TIMING.pass_s * 1000


async def test_numbers_are_given_in_order_and_once_per_holder(room: Room) -> None:
    assert await room.join("a", "b", "a") == [
        Joined(JoinStatus.joined, 1),
        Joined(JoinStatus.joined, 2),
        Joined(JoinStatus.already, 1),
    ]
    assert await room.join("c", "b") == [Joined(JoinStatus.joined, 3), Joined(JoinStatus.already, 2)]


async def test_no_number_is_given_above_the_bound(room: Room) -> None:
    await room.redis.hset(redis_keys.room(EVENT), "bound", "2")  # type: ignore[misc]  # redis-py types it for both clients
    assert await room.join("a", "b", "c", "a") == [
        Joined(JoinStatus.joined, 1),
        Joined(JoinStatus.joined, 2),
        Joined(JoinStatus.full, 0),
        Joined(JoinStatus.already, 1),
    ]
    assert await room.field("number") == 2
    await room.scripts.reserve(EVENT, 3)
    assert await room.join("c") == [Joined(JoinStatus.joined, 3)]


@pytest.mark.parametrize(("state", "taken"), [("paused", True), ("draining", False), ("closed", False)])
async def test_only_an_open_or_paused_room_takes_people_but_nobody_loses_a_place(
    room: Room, state: str, taken: bool
) -> None:
    await room.join("a")
    await room.change(state=state)
    assert await room.join("a", "b") == [
        Joined(JoinStatus.already, 1),
        Joined(JoinStatus.joined, 2) if taken else Joined(JoinStatus.refused, 0),
    ]


async def test_where_only_accounts_may_join_a_browser_gets_no_number_and_loses_none(room: Room) -> None:
    account, other = (holder_text(account_holder(name)) for name in ("ann", "ben"))
    assert await room.join("browser") == [Joined(JoinStatus.joined, 1)]
    assert await room.change(door="accounts") == ("changed", "open")
    assert await room.join("stranger", account, "browser", "stranger", other) == [
        Joined(JoinStatus.stranger, 0),
        Joined(JoinStatus.joined, 2),
        Joined(JoinStatus.already, 1),
        Joined(JoinStatus.stranger, 0),
        Joined(JoinStatus.joined, 3),
    ]
    assert (await room.view()).door is Door.accounts
    await room.change(door="invited")
    assert await room.join(account, "stranger") == [Joined(JoinStatus.already, 2), Joined(JoinStatus.uninvited, 0)]
    await room.change(door="open")
    assert await room.join("stranger") == [Joined(JoinStatus.joined, 4)]


async def test_where_only_verified_accounts_may_join_nobody_else_gets_a_number(room: Room) -> None:
    account, other = (holder_text(account_holder(name)) for name in ("ann", "ben"))
    people = [Person("browser", verified=True), Person(account), Person(other, verified=True), Person(account)]
    await room.change(door="verified")
    answer = await room.scripts.join(EVENT, 1, people)
    assert [one.status for one in answer.joined] == ["stranger", "unverified", "joined", "unverified"]
    await room.change(door="challenge")
    (one,) = (await room.scripts.join(EVENT, 1, [Person(account, verified=True)])).joined
    assert one.status is JoinStatus.challenge, "a verification is no proof of work"


async def test_a_scheduled_room_takes_nobody_and_opens_by_the_clock(room: Room) -> None:
    await room.redis.flushall()
    opens_ms = room.clock.redis_ms + 1_000
    await room.make_again(state=RoomState.scheduled, opens_ms=opens_ms)
    assert await room.join("a") == [Joined(JoinStatus.refused, 0)]
    await room.tick(999)
    assert (await room.view()).state is RoomState.scheduled
    await room.tick(1)
    assert (await room.view()).state is RoomState.open
    assert await room.join("a") == [Joined(JoinStatus.joined, 1)]


async def test_a_scheduled_room_takes_people_from_its_opening_on_before_any_tick_opens_it(room: Room) -> None:
    """Everyone who counted down comes at that moment; the tick, a tenth of a second later."""
    await room.redis.flushall()
    await room.make_again(state=RoomState.scheduled, opens_ms=room.clock.redis_ms + 1_000)
    room.clock.pass_ms(999)
    assert await room.join("a") == [Joined(JoinStatus.refused, 0)]
    room.clock.pass_ms(1)
    assert await room.join("a", "b", "a") == [
        Joined(JoinStatus.joined, 1),
        Joined(JoinStatus.joined, 2),
        Joined(JoinStatus.already, 1),
    ]
    assert (await room.view()).state is RoomState.scheduled
    await room.tick()
    assert await room.let_in() == [1, 2]


async def test_a_scheduled_room_without_a_time_to_open_takes_nobody(room: Room) -> None:
    await room.redis.flushall()
    await room.make_again(state=RoomState.scheduled, opens_ms=0)
    assert await room.join("a") == [Joined(JoinStatus.refused, 0)]


async def test_pausing_a_room_that_is_not_open_yet_does_not_open_its_door(room: Room) -> None:
    await room.redis.flushall()
    await room.make_again(state=RoomState.scheduled, opens_ms=room.clock.redis_ms + 1_000)
    await room.change(state="paused")
    assert await room.join("a") == [Joined(JoinStatus.refused, 0)]
    await room.tick(1_000)
    assert await room.join("a") == [Joined(JoinStatus.joined, 1)], "from its time on people may wait"
    await room.tick()
    assert ((await room.view()).state, await room.let_in()) == (RoomState.paused, [])


async def test_a_room_that_recovers_before_its_opening_does_not_open_its_door(room: Room) -> None:
    await room.redis.flushall()
    opens_ms = room.clock.redis_ms + 60_000
    await room.make_again(state=RoomState.recovering, opens_ms=opens_ms, recover_ms=1_000, number=5)
    assert await room.join("a") == [Joined(JoinStatus.refused, 0)]
    await room.tick(1_000)
    assert (await room.view()).state is RoomState.scheduled


@pytest.mark.parametrize("state", ["paused", "draining", "open"])
async def test_a_recovering_room_takes_the_state_that_is_asked_for_once_it_has_recovered(
    room: Room, state: str
) -> None:
    await room.redis.flushall()
    await room.make_again(state=RoomState.recovering, state_after=RoomState.paused, recover_ms=1_000, number=5)
    assert await room.change(state=state) == ("changed", "recovering")
    await room.change(message="Soon.")
    await room.tick(999)
    assert (await room.view()).state is RoomState.recovering
    await room.tick(1)
    assert (await room.view()).state == state


async def test_a_message_ends_with_the_state_it_was_sent_in(room: Room) -> None:
    for given in ({"state": "paused", "message": "Back at eight."}, {"state": "paused"}, {"burst": 7}):
        await room.change(**given)
        assert (await room.view()).message == "Back at eight."
    await room.change(state="open")
    assert (await room.view()).message == ""
    await room.change(message="Welcome.")
    await room.change(state="draining", message="The last ones, please.")
    assert (await room.view()).message == "The last ones, please."
    await room.scripts.schedule(EVENT, Schedule(opens_ms=0, version=2, cancelled=True))
    assert ((await room.view()).state, (await room.view()).message) == (RoomState.closed, "")


async def test_the_texts_by_language_end_with_their_message(room: Room) -> None:
    texts = '{"ko":"여덟 시에 옵니다."}'
    for given in ({"state": "paused", "message": "Back at eight.", "messages": texts}, {"burst": 7}):
        await room.change(**given)
        assert (await room.view()).messages == {"ko": "여덟 시에 옵니다."}
    await room.change(state="open")
    assert (await room.view()).messages == {}
    await room.change(message="Hurry.", messages=texts)
    await room.scripts.schedule(EVENT, Schedule(opens_ms=0, version=2, closes_ms=room.clock.redis_ms + 500))
    await room.tick(501)
    assert (await room.view()).messages == {}


async def test_a_cancellation_takes_the_texts_by_language_away(room: Room) -> None:
    await room.change(message="Hurry.", messages='{"ko":"서두르세요."}')
    await room.scripts.schedule(EVENT, Schedule(opens_ms=0, version=2, cancelled=True))
    assert (await room.view()).messages == {}


async def test_a_message_ends_with_the_sale(room: Room) -> None:
    await room.change(message="Hurry.")
    await room.scripts.schedule(EVENT, Schedule(opens_ms=0, version=2, closes_ms=room.clock.redis_ms + 500))
    assert (await room.view()).message == "Hurry."
    await room.tick(501)
    assert ((await room.view()).state, (await room.view()).message) == (RoomState.closed, "")


async def test_who_left_gets_a_new_number_at_the_back(room: Room) -> None:
    await room.crowd(3)
    assert await room.leave(1) == "left"
    assert await room.leave(1) == "already"
    assert await room.leave(9) == "unknown"
    assert await room.join("h1") == [Joined(JoinStatus.joined, 4)]
    await room.tick()
    assert await room.let_in() == [2, 3, 4]


async def test_who_left_a_line_that_is_not_drawn_gets_a_new_number_before_its_first_tick_too(room: Room) -> None:
    """It was announced, so its draw is still ahead; but there is no time in which to come before it."""
    await room.redis.hset("tiketi:{gig}:room", "draw", DrawStage.ahead)  # type: ignore[misc]  # redis-py types it for both
    await room.crowd(2)
    assert await room.leave(1) == "left"
    assert await room.join("h1") == [Joined(JoinStatus.joined, 3)]


async def test_who_lapsed_gets_a_new_number_at_the_back(room: Room) -> None:
    await room.crowd(2)
    await room.tick()
    await room.tick(CLAIM_MS)
    assert await room.join("h1") == [Joined(JoinStatus.joined, 3)]


async def test_capacity_counts_who_was_let_in_and_who_claimed_and_comes_back_at_every_end(room: Room) -> None:
    await room.change(max_active=3, rate=1000, burst=100)
    await room.seen(*await room.crowd(20))
    await room.tick()
    assert await room.let_in() == [1, 2, 3]
    await room.claim(1)
    await room.tick()
    assert await room.let_in() == [1, 2, 3], "a claimed turn is still a place taken"
    await room.leave(1)
    await room.tick()
    assert await room.let_in() == [1, 2, 3, 4]
    await room.change(max_active=1)
    await room.leave(2)
    await room.tick()
    assert await room.let_in() == [1, 2, 3, 4], "a lowered capacity lets nobody in until there is room"
    await room.tick(CLAIM_MS)
    assert len(await room.let_in()) == 5, "a turn that lapses gives its place back"


async def test_rate_and_burst_bound_every_tick(room: Room) -> None:
    await room.crowd(100)
    counts = [(await room.tick(ms)).admitted for ms in (10_000, 100, 100, 400, 50, 50)]
    assert counts == [5, 1, 1, 4, 0, 1]


async def test_rates_below_one_a_second_add_up(room: Room) -> None:
    await room.change(rate=0.1, burst=1)
    await room.crowd(5)
    assert [(await room.tick(1_000)).admitted for _ in range(20)] == [0] * 9 + [1] + [0] * 9 + [1]


async def test_a_new_rate_holds_from_its_own_moment_on(room: Room) -> None:
    await room.change(rate=0.1)
    await room.seen(*await room.crowd(100))
    room.clock.pass_ms(60_000)
    await room.change(rate=100)
    assert (await room.tick(10)).admitted == 1


async def test_lowering_the_burst_takes_back_what_had_gathered(room: Room) -> None:
    await room.change(rate=100, burst=100)
    await room.tick(10_000)
    await room.change(burst=2)
    await room.change(burst=100)
    await room.crowd(100)
    assert (await room.tick(10)).admitted == 3


@pytest.mark.parametrize("state", ["paused", "closed"])
async def test_a_room_that_is_paused_or_closed_lets_nobody_in(room: Room, state: str) -> None:
    await room.crowd(5)
    await room.change(state=state)
    await room.tick()
    assert await room.let_in() == []


async def test_a_draining_room_lets_in_those_who_are_there(room: Room) -> None:
    await room.crowd(3)
    await room.change(state="draining")
    await room.tick()
    assert await room.let_in() == [1, 2, 3]


async def test_joining_counts_as_being_seen_and_an_absent_one_is_passed_over(room: Room) -> None:
    await room.crowd(3)
    await room.listened(WINDOW_MS + TIMING.slot_ms)
    await room.seen(2)
    await room.tick()
    assert await room.let_in() == [2]
    assert (await room.view()).skipped.count_below(9) == 2


async def test_nobody_seen_within_the_window_is_passed_over(room: Room) -> None:
    await room.crowd(3)
    await room.listened(TIMING.slot_ms)
    await room.seen(1, 2, 3)
    await room.listened(WINDOW_MS - 1_000)
    await room.tick(1_000)
    assert await room.let_in() == [1, 2, 3]


async def test_who_joins_and_never_polls_is_passed_over_after_two_slots_and_who_polls_is_not(room: Room) -> None:
    """A join counts for its slot and the next one, also one made at the very end of its slot."""
    await room.change(burst=1_000, rate=1_000, max_active=1_000, state="paused")
    await room.scripts.reserve(EVENT, 2_000)
    await room.listened(WINDOW_MS + TIMING.slot_ms - 1)
    idle, polling = await room.crowd(1_000), await room.crowd(100, first=2_000)
    await room.listened(TIMING.slot_ms - 1_000)
    await room.change(state="open", max_active=1)
    assert (await room.tick()).admitted == 1, "in the slot after the one of the join everybody is there"
    await room.change(max_active=1_000)
    await room.seen(*polling)
    await room.tick(1)
    await room.tick(1)
    assert await room.let_in() == [idle[0], *polling]
    assert await room.seen(*idle[1:]) == 999, "who comes back after all is next"


async def test_a_first_poll_and_its_report_come_before_a_join_stops_counting() -> None:
    for window_s in (1, 2, 8, 120, 3_600):
        timing = Timing(presence_window_s=window_s, claim_window_s=60, pass_s=300)
        longest_flush_ms = window_s * 1000 / 8  # what the settings allow
        assert timing.first_poll_ms + longest_flush_ms < timing.slot_ms
        assert timing.poll_max_ms + longest_flush_ms < timing.slot_ms * PRESENCE_SLOTS or window_s < 4


@pytest.mark.parametrize("gap", ["redis was away", "its clock was set forward", "its clock was set back"])
async def test_after_a_gap_the_line_goes_on_with_those_who_are_seen(room: Room, gap: str) -> None:
    """The web could not tell whom it saw, so a newcomer would be the only one who is there."""
    await room.crowd(3)
    await room.listened(WINDOW_MS)
    if gap == "redis was away":
        room.clock.pass_ms(WINDOW_MS * 2)
    else:
        room.clock.wrong_by_ms += WINDOW_MS * (2 if gap.endswith("forward") else -2)
    await room.crowd(1, first=100)
    await room.tick()
    assert await room.let_in() == [], "nobody is reported yet, and who joined just now passes over nobody"
    await room.seen(2, 4)
    await room.tick()
    assert await room.let_in() == [2, 4], "the line does not stand behind somebody of whom nothing is known"
    await room.seen(1)
    await room.seen(3)
    await room.crowd(1, first=101)
    await room.tick()
    assert await room.let_in() == [2, 4, 1, 3, 5], "who was passed over though present goes first"
    assert await room.violations() == []


async def test_a_gap_in_presence_makes_nobody_stand_behind_a_closed_tab(room: Room) -> None:
    await room.change(rate=20, burst=2, max_active=1_000)
    closed, *others = await room.crowd(200)
    await room.listened(TIMING.slot_ms * 2)
    await room.seen(*others)
    room.clock.pass_ms(40_000)
    worker = room.ticker()
    for _ in range(11):
        await worker.tick()
        room.clock.pass_ms(100)
    assert len(await room.let_in()) >= 20
    await room.seen(closed)
    await worker.tick()
    later = (await room.let_in())[20:]
    assert later[0] == closed or later[:2][-1] == closed, "whoever was passed over is next"


async def test_somebody_who_came_back_and_went_again_holds_up_no_newcomer(room: Room) -> None:
    await room.crowd(1)
    await room.listened(WINDOW_MS * 2)
    await room.crowd(1, first=100)
    await room.tick()
    assert await room.let_in() == [2]
    await room.seen(1)
    room.clock.pass_ms(WINDOW_MS * 2)
    await room.crowd(1, first=101)
    await room.seen(3)
    await room.tick()
    assert await room.let_in() == [2, 3]
    await room.seen(1)
    await room.tick()
    assert await room.let_in() == [2, 3, 1]


async def test_a_line_that_nobody_reports_is_not_passed_over(room: Room) -> None:
    """Whom nobody saw is passed over only for somebody who was seen: else a whole line would have to come back."""
    await room.crowd(50)
    room.clock.pass_ms(WINDOW_MS * 2)
    await room.seen(30)
    await room.tick()
    assert (await room.view()).cursor == 30
    await room.tick()
    assert (await room.view()).cursor == 30
    assert await room.let_in() == [30]


async def test_who_is_back_stays_in_front_through_a_gap(room: Room) -> None:
    await room.crowd(2)
    await room.listened(WINDOW_MS * 2)
    await room.seen(2)
    await room.tick()
    await room.seen(1)
    await room.change(state="paused")
    room.clock.pass_ms(WINDOW_MS * 2)
    await room.change(state="open")
    await room.crowd(1, first=100)
    await room.tick()
    assert await room.let_in() == [2, 3], "who is not seen any more holds up nobody"
    await room.crowd(1, first=101)
    await room.seen(1)
    await room.tick()
    assert await room.let_in() == [2, 3, 1, 4]


async def test_nobody_absent_uses_up_rate(room: Room) -> None:
    await room.crowd(30)
    await room.listened(WINDOW_MS * 2)
    await room.seen(26, 27, 28, 29, 30)
    await room.tick()
    assert await room.let_in() == [26, 27, 28, 29, 30]


async def test_who_comes_back_goes_before_everyone_the_cursor_has_not_reached(room: Room) -> None:
    await room.crowd(2)
    await room.listened(WINDOW_MS * 2)
    await room.crowd(20, first=100)
    await room.tick(500)
    assert await room.let_in() == [3, 4, 5, 6, 7]
    assert await room.seen(2, 1) == 2
    assert await room.seen(2, 1) == 0, "they are back already"
    await room.tick(400)
    assert await room.let_in() == [3, 4, 5, 6, 7, 1, 2, 8, 9]


async def test_who_comes_back_and_goes_again_is_passed_over_again(room: Room) -> None:
    await room.crowd(1)
    await room.listened(WINDOW_MS * 2)
    await room.tick()
    await room.seen(1)
    await room.listened(WINDOW_MS * 2)
    await room.tick()
    assert await room.let_in() == []


async def test_a_number_that_was_never_given_cannot_be_seen(room: Room) -> None:
    """One forged or stray number would make a bitmap of half a gigabyte."""
    await room.crowd(2)
    await room.seen(2, 3, 4_000_000_000)
    slots = [name async for name in room.redis.scan_iter(match="*:seen:*") if not name.endswith(b":after")]
    assert len(slots) == 2, "of the presence window, and of who was seen lately"
    for slot in slots:
        assert await room.redis.strlen(slot) == 1
        assert await room.redis.bitcount(slot) == 1


async def test_who_left_while_away_does_not_come_back(room: Room) -> None:
    await room.crowd(2)
    await room.listened(WINDOW_MS * 2)
    await room.tick()
    await room.leave(1)
    assert await room.seen(1, 2) == 1


async def test_a_tick_looks_at_a_bounded_number_of_people(room: Room) -> None:
    await room.scripts.reserve(EVENT, 10_000)
    await room.crowd(SCAN_MAX + 10)
    await room.listened(WINDOW_MS * 2)
    assert (await room.tick()).cursor == SCAN_MAX
    assert (await room.tick()).cursor == SCAN_MAX + 10


async def test_a_turn_is_claimed_once_and_a_repeat_gets_the_first_answer(room: Room) -> None:
    await room.crowd(2)
    assert await room.claim(1) == ("waiting", 0)
    await room.tick()
    first = await room.claim(1)
    assert first == ("claimed", room.clock.redis_ms + PASS_MS)
    room.clock.pass_ms(5_000)
    assert await room.claim(1) == first


async def test_a_turn_ends_with_its_window_whether_or_not_anybody_ticked(room: Room) -> None:
    await room.crowd(2)
    await room.tick()
    room.clock.pass_ms(CLAIM_MS - 1)
    assert (await room.claim(1))[0] == "claimed"
    room.clock.pass_ms(1)
    assert await room.claim(2) == ("lapsed", 0)
    await room.tick(0)
    assert await room.claim(2) == ("lapsed", 0)
    assert (await room.view()).place(2) is Place.lapsed


async def test_a_pass_ends_with_its_time(room: Room) -> None:
    await room.crowd(1)
    await room.tick()
    await room.claim(1)
    room.clock.pass_ms(PASS_MS)
    assert (await room.claim(1))[0] == "lapsed"
    await room.tick(0)
    assert (await room.view()).active == {}


async def test_turns_end_in_bounded_portions(room: Room) -> None:
    await room.scripts.reserve(EVENT, 10_000)
    await room.change(rate=10_000, burst=10_000, max_active=10_000)
    await room.crowd(TURNS_ENDED_MAX + 7)
    await room.tick()
    room.clock.pass_ms(CLAIM_MS)
    ended = [(await room.scripts.tick(EVENT, 1, 0, room.clock.redis_ms)).turns_ended for _ in range(3)]
    assert ended == [TURNS_ENDED_MAX, 7, 0]


async def test_who_left_cannot_claim_and_a_closed_room_gives_no_turn(room: Room) -> None:
    await room.crowd(3)
    await room.tick()
    await room.leave(1)
    await room.claim(2)
    await room.change(state="closed")
    assert await room.claim(1) == ("left", 0)
    assert (await room.claim(2))[0] == "claimed"
    assert await room.claim(3) == ("closed", 0)


async def test_a_wish_is_sent_to_the_lane_in_number_order_with_its_owner_and_only_once(room: Room) -> None:
    await room.join(*(f"h{n}" for n in range(WISH_BUCKET - 2)))
    await room.join("anna", "bert", "carl", wish=WISH)
    await room.change(rate=1_000, burst=1_000, max_active=1_000)
    first = WISH_BUCKET - 1
    await room.seen(*range(first + 2, first - 1, -1))
    tick = await room.tick()
    assert tick.wishes_sent == 3
    assert await on_the_lane(room, Hold) == [
        Hold(id=f"wish:1:{first + at}", holder=name, number=first + at, epoch=1, wish=unpack_wish(WISH))
        for at, name in enumerate(("anna", "bert", "carl"))
    ]
    assert (await room.tick()).wishes_sent == 0


async def test_a_wish_of_somebody_passed_over_is_kept_for_their_turn(room: Room) -> None:
    await room.join("anna")
    await room.listened(WINDOW_MS * 2)
    await room.join("bert")
    await room.tick()
    assert await room.let_in() == [2]
    await room.join("anna", wish=WISH)
    await room.join("bert", wish=WISH)
    await room.seen(1)
    assert (await room.tick()).wishes_sent == 1, "one had the turn already"
    lane = await room.redis.xrange(redis_keys.lane(EVENT))
    assert [b'"id":"wish:1:1"' in fields[b"c"] for _, fields in lane] == [True]


async def test_a_wish_may_be_changed_until_the_turn_and_goes_with_who_leaves(room: Room) -> None:
    await room.join("anna", "bert", wish=WISH)
    await room.join("anna", wish='{"quantity":5}')
    await room.leave(2)
    await room.seen(1)
    assert list(await room.redis.hgetall(redis_keys.of_epoch(EVENT, 1, "wishes:0"))) == [b"1"]  # type: ignore[misc]
    await room.tick()
    await room.join("anna", wish='{"quantity":7}')
    await room.tick()
    commands = [fields[b"c"] for _, fields in await room.redis.xrange(redis_keys.lane(EVENT))]
    assert len(commands) == 1
    assert b'"quantity":5' in commands[0]


async def test_the_wish_of_a_turn_that_nobody_takes_up_is_forgotten_with_it(room: Room) -> None:
    """Whoever joined once and never came back has nothing held for them, so their wish was never sent."""
    wishes = redis_keys.of_epoch(EVENT, 1, "wishes:0")
    await room.change(burst=2)
    await room.join("anna", "bert", wish=WISH)
    await room.tick()
    await room.claim(2)
    assert await room.redis.hkeys(wishes) == [b"1"]  # type: ignore[misc]
    await room.tick(CLAIM_MS)
    assert (await room.view()).place(1) is Place.lapsed
    assert await room.redis.hkeys(wishes) == []  # type: ignore[misc]


async def test_whoever_leaves_during_their_turn_frees_their_seats_in_the_same_step_behind_the_hold(room: Room) -> None:
    await room.change(burst=2)
    await room.join("anna", "bert", "carl", wish=WISH)
    await room.seen(1, 2, 3)
    await room.tick()
    await room.claim(2)
    for number in (1, 2, 3, 1):
        await room.leave(number)
    holds, drops = await on_the_lane(room, Hold), await on_the_lane(room, ReleasePlace)
    assert [hold.id for hold in holds] == ["wish:1:1", "wish:1:2"]
    assert drops == [ReleasePlace(id="drop:1", epoch=1, number=1), ReleasePlace(id="drop:2", epoch=1, number=2)]
    assert await room.redis.xlen(redis_keys.lane(EVENT)) == 4, "the third had no turn, and nobody leaves twice"


async def test_whoever_was_served_gives_back_nothing(room: Room) -> None:
    await room.crowd(2)
    await room.tick()
    await room.claim(1)
    await room.scripts.end_served(EVENT, [(1, 1), (1, 2)])
    assert await room.redis.xlen(redis_keys.lane(EVENT)) == 0
    assert (await room.view()).active == {}


async def test_a_turn_nobody_takes_up_frees_its_seats_and_a_pass_that_ends_does_not(room: Room) -> None:
    await room.crowd(2)
    await room.tick()
    await room.claim(1)
    await room.tick(CLAIM_MS)
    (drop,) = await on_the_lane(room, ReleasePlace)
    assert drop == ReleasePlace(id=f"lapse:1:2:{room.clock.redis_ms}", epoch=1, number=2)
    await room.tick(PASS_MS)
    assert (await room.view()).place(1) is Place.lapsed
    assert await room.redis.xlen(redis_keys.lane(EVENT)) == 1


async def on_the_lane(room: Room, kind: type[Command]) -> list[Command]:
    """The commands of this kind that Lua wrote, as the lane reads them, in their order."""
    commands = [unpack_command(fields[b"c"]) for _, fields in await room.redis.xrange(redis_keys.lane(EVENT))]
    return [command for command in commands if isinstance(command, kind)]


async def test_a_reopened_room_is_a_new_line_behind_every_number_given(room: Room) -> None:
    await room.crowd(5)
    await room.change(state="closed")
    assert await room.change(state="draining") == ("refused", "closed")
    assert await room.change(state="open") == ("changed", "closed")
    assert await room.scripts.join(EVENT, 1, [("h1", "")], room.clock.redis_ms) == ("old_epoch", 0, [], 0)
    assert await room.scripts.claim(EVENT, 1, 1, "h1", room.clock.redis_ms) == ("old_epoch", 0)
    assert await room.scripts.leave(EVENT, 1, 1, "h1", room.clock.redis_ms, release_id="d") == ("old_epoch", "")
    assert await room.scripts.seen(EVENT, 1, [1], room.clock.redis_ms) == 0
    assert await room.scripts.restore(EVENT, 1, [(1, "h1")], room.clock.redis_ms) == 0
    assert (await room.scripts.tick(EVENT, 1, 1_000, room.clock.redis_ms)).room == "old_epoch"
    room.epoch = 2
    assert numbers(await room.join("h1", "x")) == [6, 7]


async def test_a_room_is_made_once_and_missing_before(room: Room) -> None:
    await room.crowd(3)
    assert not await room.scripts.create(EVENT, BIRTH, room.clock.redis_ms)
    assert await room.field("number") == 3
    assert await room.scripts.change("nowhere", {"rate": 5}) == ("missing", None)
    assert (await room.scripts.tick("nowhere", 1, 0)).room == "missing"


async def test_the_log_is_bounded(room: Room) -> None:
    pipe = room.redis.pipeline()
    for _ in range(LOG_ENTRIES_MAX):
        pipe.xadd(redis_keys.room_log(EVENT), {"r": 1, "k": "none", "t": 0})
    await pipe.execute()
    for _ in range(300):
        await room.change(message="x")
    assert await room.redis.xlen(redis_keys.room_log(EVENT)) < LOG_ENTRIES_MAX + 200


async def test_a_million_numbers_that_were_lost_are_stepped_over_at_once(room: Room) -> None:
    """Nobody has shown their tickets: who is behind them does not wait for them to be counted."""
    lost = 1_000_003
    await rooms.reserve_numbers(room.db, EVENT, lost + 100, generation=0)
    await room.redis.flushall()
    await room.make_again(number=lost, bound=lost + 100, state=RoomState.recovering, recover_ms=0)
    assert await room.restore((500_001, "anna"), (500_002, "bert"), (7, "carl")) == 3
    assert numbers(await room.join("dora")) == [lost + 1]
    await room.tick()
    calls = await room.redis.info("commandstats")
    await room.tick()
    looked_at = await room.redis.info("commandstats")
    assert await room.let_in() == [7, 500_001, 500_002, lost + 1]
    before, after = (int(each["cmdstat_getbit"]["calls"]) for each in (calls, looked_at))
    assert after - before < 100
    assert await room.violations() == []


@pytest.mark.parametrize("last", [6, 7, 8, 9, 15, 16, 17, 31])
@pytest.mark.parametrize("back", [1, 7, 8, 9, 15, 16])
async def test_nobody_between_numbers_that_were_lost_is_stepped_over(room: Room, last: int, back: int) -> None:
    await room.redis.flushall()
    await room.make_again(number=last, state=RoomState.recovering, recover_ms=0)
    here = [back] if back <= last else []
    await room.restore(*((number, f"h{number}") for number in here))
    await room.tick()
    assert (await room.tick()).cursor == last
    assert await room.let_in() == here
    await room.join("dora")
    await room.tick()
    assert await room.let_in() == [*here, last + 1]
