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

    `bound`: numbers may be given up to this one, which SQL reserved. `cursor`: the highest number that admission has
    passed. `opened_after`: the number before the epoch's first. `reason`: why it is closed, "" for an admin's doing.
    `rev`: counts the entries of the room log. `epochs_expired`: keys up to this epoch have a TTL.
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


_FIELD_OF = {"rate_per_s": "rate", "epochs_expired": "retired"}  # where the hash says it in another word
FIELDS = tuple(_FIELD_OF.get(name, name) for name in RoomRecord._fields)


def request_record(pipe: Any, event_id: str) -> None:
    """Ask for a room's record in a pipeline; its answer is what `record_of` takes."""
    pipe.hmget(redis_keys.room(event_id), FIELDS)


def record_of(values: Sequence[bytes | None]) -> RoomRecord | None:
    """The record with these values of FIELDS; None where there is no room. What an older room lacks is "" or 0."""
    given = dict(zip(RoomRecord._fields, values, strict=True))
    if given["state"] is None:
        return None  # perhaps a field that was noted late, of a room that is not there any more
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
    """The record of a whole hash, as a script answers it: names and values in turn."""
    given = dict(zip(flat[::2], flat[1::2], strict=True))
    return record_of([given.get(name.encode()) for name in FIELDS])


async def read_record(redis: Redis, event_id: str) -> RoomRecord | None:
    """A room's record; None where there is no room. Raises RoomUnavailable."""
    return (await read_records(redis, [event_id])).get(event_id)


async def read_records(redis: Redis, event_ids: Iterable[str]) -> dict[str, RoomRecord]:
    """The records of those rooms that there are, in one call. Raises RoomUnavailable."""
    names = list(event_ids)
    pipe = redis.pipeline(transaction=False)
    for event_id in names:
        request_record(pipe, event_id)
    with as_room_unavailable():
        async with pipe:  # cancelled, it would keep its connection
            answers = await pipe.execute()
    records = zip(names, map(record_of, answers), strict=True)
    return {event_id: record for event_id, record in records if record is not None}
