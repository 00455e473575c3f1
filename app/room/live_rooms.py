"""Which rooms there are to look after, and in which of them something may happen soon, for workers that do something in
each of them all the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import RoomState
from app.redis_nodes import execute_each
from app.room.epochs import EPOCH_KEPT_S
from app.room.errors import RoomUnavailable, as_room_unavailable

FOLLOWED_BY_NOBODY = (RoomState.closed, RoomState.scheduled)  # in these states nobody may read a room's log
OPENED_MAX = 10_000  # entries of the stream `opened`
FAR_PER_READ = 5  # of the rooms far from their opening, in turn
SOON_MS = 60_000  # before people may come: longer than any two looks at the rooms are apart

log = structlog.get_logger()


class LiveRooms(NamedTuple):
    """Event id → epoch: `epochs` of every room that is neither closed nor far from its opening, `far` of those that
    are. `opened_id`: the newest entry of the stream `opened` when they were read."""

    epochs: dict[str, int]
    opened_id: bytes
    far: dict[str, int]


class LiveRoomsReader:
    """Reads them again and again. What is far from its opening is remembered: it is asked for again when it comes near,
    when `opened` announces that it was changed, and a few at a time in turn, should that have been told to nobody."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._far: dict[str, tuple[int, int]] = {}  # event id → epoch, and when people may come
        self._opened_id = b""
        self._turn = ""

    async def read(self) -> LiveRooms:
        """Read them in two calls, however many rooms there are; without those whose node is away. Raises
        RoomUnavailable."""
        with as_room_unavailable():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.xrevrange(redis_keys.OPENED, count=1)  # read first, so that no later entry is missed
                pipe.xrange(redis_keys.OPENED, min=b"(" + self._opened_id if self._opened_id else b"+")
                pipe.smembers(redis_keys.ROOMS)
                pipe.time()
                last, changed, members, (now_s, _) = await pipe.execute()
                soon_ms = now_s * 1000 + SOON_MS
                self._forget({member.decode() for member in members}, changed, soon_ms)
                event_ids = [name for member in members if (name := member.decode()) not in self._far]
                for event_id in event_ids:
                    pipe.hmget(redis_keys.room(event_id), ["epoch", "state", "opens_ms", "lobby_ms"])
                answers = await execute_each(pipe)
        self._opened_id = last[0][0] if last else b"0-0"
        found = zip(event_ids, answers, strict=True)
        live = self._sorted([each for each in found if not isinstance(each[1], Exception)], soon_ms)
        return LiveRooms(live, self._opened_id, {event_id: epoch for event_id, (epoch, _) in self._far.items()})

    def _forget(self, members: Set[str], changed: Iterable[Any], soon_ms: int) -> None:
        again = {entry[b"e"].decode() for _, entry in changed} | self._far.keys() - members
        again |= {event_id for event_id, (_, begins_ms) in self._far.items() if begins_ms <= soon_ms}
        chosen = in_turn(self._far, self._turn, FAR_PER_READ)
        self._turn = chosen[-1] if chosen else ""
        for event_id in again.union(chosen) & self._far.keys():
            del self._far[event_id]

    def _sorted(self, found: Iterable[tuple[str, Any]], soon_ms: int) -> dict[str, int]:
        """The epochs of those that are live; what is far is remembered."""
        live: dict[str, int] = {}
        for event_id, (epoch, state, opens_ms, lobby_ms) in found:
            if epoch is None or state == RoomState.closed.encode():
                continue
            begins_ms = int(opens_ms or 0) - int(lobby_ms or 0)
            if state == RoomState.scheduled.encode() and begins_ms > soon_ms:
                self._far[event_id] = int(epoch), begins_ms
            else:
                live[event_id] = int(epoch)
        return live


def in_turn(names: Iterable[str], after: str, most: int) -> list[str]:
    """At most so many of these names, in order, beginning behind `after` and going on from the first one."""
    ordered = sorted(names)
    first = bisect_right(ordered, after) if len(ordered) > most else 0
    return (ordered[first:] + ordered[:first])[:most]


async def any_opened_since(redis: Redis, opened_id: bytes) -> bool:
    """Whether a room was made, or one that was closed or scheduled was changed, after the entry `opened_id`.

    Raises RoomUnavailable.
    """
    opened: dict[Any, Any] = {redis_keys.OPENED: opened_id}
    with as_room_unavailable():
        return bool(await redis.xread(opened, count=1))


async def enter_working_set(redis: Redis, event_id: str) -> None:
    """Have a room looked after whose sale goes on: also one that had left. Idempotent. Raises RoomUnavailable."""
    with as_room_unavailable():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.sadd(redis_keys.ROOMS, event_id)
            for key in _lasting(event_id):
                pipe.persist(key)
            await pipe.execute()


async def leave_working_set(redis: Redis, event_id: str) -> None:
    """Have a closed room looked after by nobody, and let go of what is left of it. Idempotent.

    Raises RoomUnavailable.
    """
    with as_room_unavailable():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.srem(redis_keys.ROOMS, event_id)
            for key in _lasting(event_id):
                pipe.expire(key, EPOCH_KEPT_S)
            await pipe.execute()


def _lasting(event_id: str) -> list[str]:
    """The keys of a room and its lane that are of no epoch."""
    return [make(event_id) for make in (redis_keys.room, redis_keys.room_log, redis_keys.lane, redis_keys.lane_out)]


async def announce_room(redis: Redis, event_id: str, *, is_made: bool = False) -> None:
    """Tell everybody of a room that was made, and list it, or of one that was changed while nobody followed it. If that
    fails it is said in the log: whoever follows the rooms looks at all of them within a second, and the keeper lists
    what is missing.
    """
    try:
        with as_room_unavailable():
            async with redis.pipeline(transaction=False) as pipe:
                if is_made:
                    pipe.sadd(redis_keys.ROOMS, event_id)
                pipe.xadd(redis_keys.OPENED, {"e": event_id}, maxlen=OPENED_MAX, approximate=True)
                await pipe.execute()
    except RoomUnavailable as error:
        log.warning("room_not_announced", event_id=event_id, error=str(error))


async def list_rooms(redis: Redis, event_ids: Sequence[str]) -> None:
    """See to it that all these are listed. Raises RoomUnavailable."""
    with as_room_unavailable():
        if event_ids and await redis.scard(redis_keys.ROOMS) < len(event_ids):  # type: ignore[misc]  # redis-py types it for both clients
            await redis.sadd(redis_keys.ROOMS, *event_ids)  # type: ignore[misc]
