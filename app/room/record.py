"""The hash of a room as one typed record. Only this package knows the names of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from app import redis_keys
from app.domain.line import RoomState
from app.room.errors import as_room_unavailable


class RoomRecord(NamedTuple):
    """A room's settings and counters; times are Unix ms by Redis's clock.

    `bound`: the highest number that may be given, as reserved in SQL. `cursor`: the highest number that admission has
    passed. `opened_after`: the last number before this epoch. `reason`: why the room is closed, "" if an admin closed
    it. `rev`: the number of entries ever written to the room log. `epochs_expired`: the keys up to this epoch have a
    TTL.
    """

    state: RoomState
    epoch: int
    number: int
    bound: int
    cursor: int
    rate_per_s: float
    burst: int
    max_active: int
    accounts_only: bool
    message: str
    reason: str
    opens_ms: int
    closes_ms: int
    opened_after: int
    admitted_total: int
    rev: int
    epochs_expired: int


_FIELD_OF = {"rate_per_s": "rate", "epochs_expired": "retired"}  # where the hash's field has another name
FIELDS = tuple(_FIELD_OF.get(name, name) for name in RoomRecord._fields)


def request_record(pipe: Any, event_id: str) -> None:
    """Add the reading of a room's record to a pipeline; pass its result to `record_of`."""
    pipe.hmget(redis_keys.room(event_id), FIELDS)


def record_of(values: Sequence[bytes | None]) -> RoomRecord | None:
    """The record from the values of FIELDS; None if there is no such room. A missing value becomes "" or 0."""
    given = dict(zip(RoomRecord._fields, values, strict=True))
    if given["state"] is None:
        return None  # the hash may still have a field that was written after the room was lost
    text = {name: (value or b"").decode() for name, value in given.items()}
    return RoomRecord(
        state=RoomState(text.pop("state")),
        rate_per_s=float(text.pop("rate_per_s")),
        accounts_only=text.pop("accounts_only") == "1",
        message=text.pop("message"),
        reason=text.pop("reason"),
        **{name: int(value or 0) for name, value in text.items()},
    )


def record_of_hash(flat: Sequence[bytes]) -> RoomRecord | None:
    """The record from a whole hash as a script returns it: names and values in turn."""
    given = dict(zip(flat[::2], flat[1::2], strict=True))
    return record_of([given.get(name.encode()) for name in FIELDS])


async def read_record(redis: Redis, event_id: str) -> RoomRecord | None:
    """A room's record; None if there is no such room. Raises RoomUnavailable."""
    return (await read_records(redis, [event_id])).get(event_id)


async def read_records(redis: Redis, event_ids: Iterable[str]) -> dict[str, RoomRecord]:
    """Event id → record, without the rooms that do not exist, in one call. Raises RoomUnavailable."""
    names = list(event_ids)
    pipe = redis.pipeline(transaction=False)
    for event_id in names:
        request_record(pipe, event_id)
    with as_room_unavailable():
        async with pipe:  # returns its connection to the pool even if the call is cancelled
            answers = await pipe.execute()
    records = zip(names, map(record_of, answers), strict=True)
    return {event_id: record for event_id, record in records if record is not None}
