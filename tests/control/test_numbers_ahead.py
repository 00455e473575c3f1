"""A crowd that takes numbers faster than the keeper looks finds numbers: they are reserved in SQL as it comes."""

from __future__ import annotations

import asyncio
from functools import partial

from redis.asyncio import Redis

from app.control.sale_schedule import NUMBERS_AHEAD, reserve_numbers
from app.ledger import rooms
from app.ledger.database import Database
from app.room.answers import Joined, JoinStatus
from app.room.joiner import PENDING_MAX, Joiner
from tests.room.room import EVENT, Room

CROWD = 120_000


async def test_more_people_than_numbers_were_reserved_for_join_at_once_and_everybody_gets_one(
    redis: Redis, ledger: Database
) -> None:
    room = await Room(redis, ledger).make(bound=NUMBERS_AHEAD)
    door = Joiner(room.scripts, partial(reserve_numbers, room.scripts, room.db))
    answers: list[Joined] = []
    for first in range(0, CROWD, PENDING_MAX):
        people = (door.join(EVENT, 1, f"h{n}", "") for n in range(first, first + PENDING_MAX))
        answers += [joined for _, joined in await asyncio.gather(*people)]
    await door.close()
    assert answers == [Joined(JoinStatus.joined, number) for number in range(1, CROWD + 1)]
    row = await rooms.get(room.db, EVENT)
    assert row is not None
    assert row.number_bound == await room.field("bound") >= CROWD + NUMBERS_AHEAD // 2
