"""What a new place in line takes: shares per address, a proof beyond them, pressure, and that a proof is good once."""

from __future__ import annotations

import asyncio

import pytest

from app import redis_keys
from app.domain.invited import Invited
from app.domain.line import Door, DrawStage
from app.domain.ticket import account_holder, holder_text
from app.room.answers import Joined, JoinStatus
from app.room.door_counts import read_door
from app.room.door_limits import ADDRESSES_SHOWN_MAX, PRESSED_S, DoorLimits
from app.room.person import Person
from app.room.scripts import RoomScripts
from tests.room.room import EVENT, START_MS, Room

LIMITS = DoorLimits(share=3, window_s=600, pressure_per_s=10, proof_s=300, wait_s=30)
ACCOUNTS = [holder_text(account_holder(f"u_{n}")) for n in range(LIMITS.share + 2)]
INVITED = [
    holder_text(Invited({1: b"k" * 32}, 1, b"h" * 32).holder(EVENT, f"sub-{n}")) for n in range(LIMITS.share + 2)
]
HOME, OFFICE = "203.0.113.7", "2001:db8::/64"


@pytest.fixture
def scripts(room: Room) -> RoomScripts:
    return RoomScripts(room.redis, room.timing, LIMITS)


async def ask(scripts: RoomScripts, *people: Person, at_s: float = 0.0) -> list[Joined]:
    return (await scripts.join(EVENT, 1, people, START_MS + int(at_s * 1000))).joined


def crowd(count: int, network: str = HOME, proof: str = "", name: str = "p") -> list[Person]:
    return [Person(f"{name}{n}", network=network, proof=proof and f"{proof}{n}") for n in range(count)]


async def test_an_address_takes_its_share_and_is_then_asked_for_a_proof(scripts: RoomScripts) -> None:
    joined = await ask(scripts, *crowd(5), Person("other", network=OFFICE))
    assert joined == [
        Joined(JoinStatus.joined, 1),
        Joined(JoinStatus.joined, 2),
        Joined(JoinStatus.joined, 3),
        Joined(JoinStatus.challenge, 3),
        Joined(JoinStatus.challenge, 3),
        Joined(JoinStatus.joined, 4),
    ]


async def test_whoever_has_a_place_is_not_counted_again(scripts: RoomScripts) -> None:
    await ask(scripts, *crowd(3))
    assert await ask(scripts, *crowd(3)) == [Joined(JoinStatus.already, n) for n in (1, 2, 3)]


async def test_leaving_and_joining_again_takes_a_share_like_a_new_place(scripts: RoomScripts, room: Room) -> None:
    [one] = crowd(1)
    for number in range(1, LIMITS.share + 1):
        assert await ask(scripts, one) == [Joined(JoinStatus.joined, number)]
        await room.leave(number, one.holder)
    entries = len(await room.log())
    assert await ask(scripts, *[one] * 5) == [Joined(JoinStatus.challenge, LIMITS.share)] * 5
    assert len(await room.log()) == entries
    assert await ask(scripts, one._replace(proof="s1")) == [Joined(JoinStatus.joined, LIMITS.share + 1)]


async def test_an_entry_that_is_given_up_and_taken_again_before_the_draw_takes_a_share(
    scripts: RoomScripts, room: Room
) -> None:
    [one] = crowd(1)
    will_be_drawn = {"draw": DrawStage.ahead, "lobby_ms": 60_000, "commitment": "c"}
    await room.redis.hset(redis_keys.room(EVENT), mapping=will_be_drawn)  # type: ignore[misc]  # redis-py types it so
    assert await ask(scripts, one) == [Joined(JoinStatus.joined, 1)]
    for _ in range(LIMITS.share - 1):
        await room.leave(1, one.holder)
        assert await ask(scripts, one) == [Joined(JoinStatus.already, 1)]
    await room.leave(1, one.holder)
    entries = len(await room.log())
    assert await ask(scripts, one) == [Joined(JoinStatus.challenge, LIMITS.share)]
    assert len(await room.log()) == entries
    assert await ask(scripts, one._replace(proof="s1")) == [Joined(JoinStatus.already, 1)]


async def test_an_address_that_is_not_counted_is_never_asked_and_presses_on_no_door(scripts: RoomScripts) -> None:
    assert {one.status for one in await ask(scripts, *crowd(50, network=""))} == {JoinStatus.joined}
    assert [one.status for one in await ask(scripts, Person("there", network=HOME))] == [JoinStatus.joined]
    assert await read_door(scripts, EVENT, 1, START_MS) == (False, [])


async def test_twenty_calls_at_once_give_no_more_than_the_share(scripts: RoomScripts) -> None:
    calls = [ask(scripts, *crowd(10, name=f"call{n}-")) for n in range(20)]
    got = [one for joined in await asyncio.gather(*calls) for one in joined]
    assert sum(one.status is JoinStatus.joined for one in got) == LIMITS.share
    assert sum(one.status is JoinStatus.challenge for one in got) == 200 - LIMITS.share


async def test_a_share_comes_back_as_its_window_passes(scripts: RoomScripts) -> None:
    begin_s = -(START_MS // 1000) % 600  # a window begins here
    await ask(scripts, *crowd(3), at_s=begin_s)
    [refused] = await ask(scripts, Person("late", network=HOME), at_s=begin_s + 600)
    assert refused == Joined(JoinStatus.challenge, 3), "the moment at which a window ends gives nothing back"
    statuses = [one.status for one in await ask(scripts, *crowd(3, name="later"), at_s=begin_s + 1_000)]
    assert statuses == [JoinStatus.joined, JoinStatus.joined, JoinStatus.challenge]
    assert len(await ask(scripts, *crowd(3, name="much later"), at_s=begin_s + 3_000)) == 3


async def test_a_proof_is_good_once(scripts: RoomScripts) -> None:
    await ask(scripts, *crowd(3))
    proof = "sAAAA"
    first = [Person("a", network=HOME, proof=proof), Person("b", network=HOME, proof=proof)]
    assert await ask(scripts, *first) == [Joined(JoinStatus.joined, 4), Joined(JoinStatus.spent, 4)]
    assert await ask(scripts, Person("c", network=OFFICE, proof=proof)) == [Joined(JoinStatus.joined, 5)], "not needed"
    assert await ask(scripts, Person("d", network=HOME, proof="sBBBB")) == [Joined(JoinStatus.joined, 6)]


async def test_of_proofs_of_a_wait_an_address_spends_one_at_a_time(scripts: RoomScripts) -> None:
    await ask(scripts, *crowd(3))
    statuses = [one.status for one in await ask(scripts, *crowd(3, proof="w", name="waited"))]
    assert statuses == [JoinStatus.joined, JoinStatus.challenge, JoinStatus.challenge]


async def test_a_room_may_ask_everybody(scripts: RoomScripts, room: Room) -> None:
    await room.change(door=Door.challenge)
    asked = await ask(scripts, Person("here"), Person("there", network=HOME))
    assert asked == [Joined(JoinStatus.challenge, 0), Joined(JoinStatus.challenge, 0)]
    solved = await ask(scripts, Person("here", proof="s1"), Person("there", network=HOME, proof="s2"))
    assert solved == [Joined(JoinStatus.joined, 1), Joined(JoinStatus.joined, 2)]


@pytest.mark.parametrize(
    ("door", "of_guest", "of_account", "of_verified", "of_invited"),
    [
        (Door.accounts, "stranger", "joined", "joined", "stranger"),
        (Door.verified, "stranger", "unverified", "joined", "stranger"),
        (Door.invited, "uninvited", "uninvited", "uninvited", "joined"),
    ],
)
async def test_a_door_for_some_lets_in_them_alone(
    scripts: RoomScripts, room: Room, door: Door, of_guest: str, of_account: str, of_verified: str, of_invited: str
) -> None:
    await room.change(door=door)
    guest, invited = Person("guest", network=HOME), Person(INVITED[0], network=HOME)
    people = [guest, Person(ACCOUNTS[0], network=HOME), Person(ACCOUNTS[1], network=HOME, verified=True), invited]
    statuses = [one.status for one in await ask(scripts, *people)]
    assert statuses == [of_guest, of_account, of_verified, of_invited]


@pytest.mark.parametrize(("door", "holders"), [(Door.accounts, ACCOUNTS), (Door.invited, INVITED)])
async def test_of_people_who_are_known_no_address_is_counted(
    scripts: RoomScripts, room: Room, door: Door, holders: list[str]
) -> None:
    await room.change(door=door)
    joined = await ask(scripts, *(Person(holder, network=HOME) for holder in holders))
    assert {one.status for one in joined} == {JoinStatus.joined}
    assert (await read_door(scripts, EVENT, 1, START_MS)).addresses == []


async def test_those_who_are_shown_are_so_many_and_those_with_the_most(scripts: RoomScripts, room: Room) -> None:
    await room.change(door=Door.challenge)
    await ask(scripts, *crowd(40), *(Person(f"p{n}", network=f"10.0.{n}.1") for n in range(ADDRESSES_SHOWN_MAX + 5)))
    shown = (await read_door(scripts, EVENT, 1, START_MS)).addresses
    assert (len(shown), shown[0].network, shown[0].asked) == (ADDRESSES_SHOWN_MAX, HOME, 40)


async def test_a_door_is_pressed_for_a_while_after_the_last_of_them_and_nothing_of_it_stays(
    scripts: RoomScripts,
) -> None:
    people = [Person(f"p{n}", network=f"10.0.0.{n}") for n in range(20)]
    await ask(scripts, *people)
    assert 0 < await scripts.redis.ttl(redis_keys.door_pressed(EVENT, 1)) <= PRESSED_S
    assert await scripts.redis.ttl(await room_key(scripts, "door:given:")) in range(3)
    assert 0 < await scripts.redis.ttl(await room_key(scripts, "door:share:")) <= 2 * LIMITS.window_s


async def room_key(scripts: RoomScripts, begins: str) -> str:
    """The one key of the room that begins so."""
    (key,) = [name async for name in scripts.redis.scan_iter(redis_keys.of_epoch(EVENT, 1, f"{begins}*"))]
    return str(key.decode())


async def test_an_open_door_asks_everybody_while_more_join_than_was_planned(scripts: RoomScripts) -> None:
    people = [Person(f"p{n}", network=f"10.0.0.{n}") for n in range(20)]
    statuses = [one.status for one in await ask(scripts, *people)]
    assert statuses == [JoinStatus.joined] * 10 + [JoinStatus.challenge] * 10
    assert (await read_door(scripts, EVENT, 1, START_MS)).pressed
    assert [one.status for one in await ask(scripts, Person("here"))] == [JoinStatus.joined], "not counted, not asked"
    solved = [Person("solved", network="10.0.1.1", proof="s1")]
    assert [one.status for one in await ask(scripts, *solved, at_s=5)] == [JoinStatus.joined]
    assert [one.status for one in await ask(scripts, Person("plain", network="10.0.1.2"), at_s=5)] == [
        JoinStatus.challenge
    ]


async def test_who_asks_for_the_most_is_shown(scripts: RoomScripts) -> None:
    await ask(scripts, *crowd(9), Person("quiet", network=OFFICE))
    pressed, addresses = await read_door(scripts, EVENT, 1, START_MS)
    assert not pressed
    assert [(each.network, each.took, each.asked) for each in addresses] == [(HOME, 3, 6)]
