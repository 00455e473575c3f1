"""The hash of a room as one typed record, and the values it begins with. Only this package knows its fields' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from app import redis_keys
from app.domain.announcement import Language, Messages
from app.domain.line import Door, DrawStage, Opening, RoomState
from app.redis_nodes import execute_each
from app.room.errors import as_room_unavailable


class RoomRecord(NamedTuple):
    """A room's settings and counters; times are Unix ms by Redis's clock.

    `bound`: the highest number that may be given, as reserved in SQL. `cursor`: how far admission has come in the
    order of the line. `opened_after`: the last number before this epoch. `reason`: why the room is closed, "" if an
    admin closed it. `message`: for everybody whose language has none in `messages`. `generation`: how often the
    room has been made, as SQL counts it, and `made_in` the one in which this one was. `rev`: the number of entries
    ever written to the room log. `epochs_expired`: the keys up to this epoch have a TTL. `entries`: how many
    numbers of this epoch are in its draw, once it is `closed`; `drawn`: as many, once that is `done`, and
    `drawn_of`: how many of them were not given up. `commitment`: of the draw's seed, in hex. `opened_ms`: when an
    admin opened it before its time, else 0. `beacon_round`: the one named for the draw, 0 without a beacon, for
    entries that close at `beacon_for_ms`. `state_after`: which state follows `recovering`. `visits_ended`,
    `visits_expired`: how many of those who were inside left, and of how many the pass ran out, since Redis was last
    made, as `admitted_total` counts those let in.
    """

    state: RoomState
    epoch: int
    number: int
    bound: int
    cursor: int
    rate_per_s: float
    burst: int
    max_active: int
    door: Door
    message: str
    messages: Messages
    reason: str
    opens_ms: int
    closes_ms: int
    opened_after: int
    admitted_total: int
    generation: int
    made_in: int
    rev: int
    epochs_expired: int
    opening: Opening
    lobby_ms: int
    draw: DrawStage
    entries: int
    drawn: int
    drawn_of: int
    commitment: str
    opened_ms: int
    beacon_round: int
    beacon_for_ms: int
    state_after: RoomState
    visits_ended: int
    visits_expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """The initial values of a room: each is a field of its hash. `recover_ms` is not, and above 0 only if the room is
    made again after a loss of Redis.
    """

    epoch: int
    number: int
    bound: int
    cursor: int
    state: RoomState
    opens_ms: int
    rate_per_s: float
    burst: int
    max_active: int
    message: str = ""
    messages: str = ""  # JSON: language → text
    opened_after: int = 0
    recover_ms: int = 0
    state_after: RoomState = RoomState.open
    closes_ms: int = 0
    reason: str = ""
    door: Door = Door.open
    sale_version: int = 0  # the version of the event that its times are of
    opening: Opening = Opening.draw
    lobby_ms: int = 0
    draw: DrawStage = DrawStage.done
    entries: int = 0
    drawn: int = 0
    drawn_of: int = 0
    commitment: str = ""
    beacon_round: int = 0  # until it is named again, entries do not close
    generation: int = 0  # in SQL, where its numbers were reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a room opens and closes by itself, in Unix ms, as of one version of its event."""

    opens_ms: int
    version: int = 0
    closes_ms: int = 0
    cancelled: bool = False


FIELD_OF = {"rate_per_s": "rate", "epochs_expired": "retired"}  # where the hash's field has another name
FIELDS = tuple(FIELD_OF.get(name, name) for name in RoomRecord._fields)


def messages_as_kept(messages: Mapping[Language, str] | None) -> str:
    """Texts by language as one field of the hash."""
    return msgspec.json.encode(messages).decode() if messages else ""


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
        door=Door(text.pop("door") or Door.open),
        message=text.pop("message"),
        messages=msgspec.json.decode(text.pop("messages") or "{}", type=Messages),
        reason=text.pop("reason"),
        opening=Opening(text.pop("opening") or Opening.draw),
        draw=DrawStage(text.pop("draw") or DrawStage.done),
        commitment=text.pop("commitment"),
        state_after=RoomState(text.pop("state_after") or RoomState.open),
        **{name: int(value or 0) for name, value in text.items()},
    )


def record_of_hash(flat: Sequence[bytes]) -> RoomRecord | None:
    """The record from a whole hash as a script returns it: names and values in turn."""
    given = dict(zip(flat[::2], flat[1::2], strict=True))
    return record_of([given.get(name.encode()) for name in FIELDS])


async def read_record(redis: Redis, event_id: str) -> RoomRecord | None:
    """A room's record; None if there is no such room. Raises RoomUnavailable."""
    return (await read_records(redis, [event_id])).get(event_id)


async def read_numbers(redis: Redis, event_ids: Sequence[str]) -> dict[str, int]:
    """Event id → the last number that was given, 0 where there is no room, in one call; without the rooms of a node
    that is away. Raises RoomUnavailable if none answers."""
    if not event_ids:
        return {}
    pipe = redis.pipeline(transaction=False)
    for event_id in event_ids:
        pipe.hget(redis_keys.room(event_id), "number")
    with as_room_unavailable():
        answers = await execute_each(pipe)
    found = zip(event_ids, answers, strict=True)
    return {event_id: int(number or 0) for event_id, number in found if not isinstance(number, Exception)}


async def read_records(redis: Redis, event_ids: Iterable[str]) -> dict[str, RoomRecord]:
    """Event id → record, without the rooms that do not exist, or whose node is away, in one call. Raises
    RoomUnavailable if none answers."""
    names = list(event_ids)
    pipe = redis.pipeline(transaction=False)
    for event_id in names:
        request_record(pipe, event_id)
    with as_room_unavailable():
        answers = await execute_each(pipe)
    found = [(name, values) for name, values in zip(names, answers, strict=True) if not isinstance(values, Exception)]
    records = [(event_id, record_of(values)) for event_id, values in found]
    return {event_id: record for event_id, record in records if record is not None}
