"""Redis's failures become one exception of the room's."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ResponseError

from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from tests.ports import kept_port
from tests.room.room import TIMING


@pytest.mark.parametrize("failure", [RedisAway("closed"), ResponseError("OOM"), OSError("no socket"), TimeoutError()])
def test_every_failure_of_redis_is_told_as_one_and_keeps_its_cause(failure: Exception) -> None:
    with pytest.raises(RoomUnavailable) as told, as_room_unavailable():
        raise failure
    assert told.value.kind == type(failure).__name__
    assert told.value.__cause__ is failure


@pytest.mark.parametrize("other", [ValueError("ours"), asyncio.CancelledError()])
def test_a_bug_of_ours_and_a_cancellation_stay_what_they_are(other: BaseException) -> None:
    with pytest.raises(type(other)) as told, as_room_unavailable():
        raise other
    assert told.value is other


async def test_scripts_and_views_raise_it_while_nobody_listens() -> None:
    with kept_port() as port:
        nobody = Redis(host="127.0.0.1", port=port)
        scripts = RoomScripts(nobody, TIMING)
        calls = [
            scripts.join("gig", 1, [("h", "")]),
            scripts.tick("gig", 1, 0),
            scripts.end_served("gig", [(1, 1)]),
            scripts.wish("gig", 1, 1),
            Rooms(nobody, scripts).find("gig"),
            Rooms(nobody, scripts).refresh(),
            Rooms(nobody, scripts).discover(),
        ]
        told = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in told] == [RoomUnavailable] * len(calls)
