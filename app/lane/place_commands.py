"""Finds what the lane's streams contain about one place in line: its waiting commands, and the outcome of the Hold that
its wish caused on admission.

Reads only, for the trace of one number. Raises LaneUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from app import redis_keys
from app.lane.commands import Command, Outcome, Published, kind_of, reservation_of, unpack_command, unpack_published
from app.lane.errors import as_lane_unavailable

WAITING_SCANNED_MAX = 5_000  # the oldest commands of the lane
PUBLISHED_SCANNED_MAX = 200  # published batches that are searched for an outcome


class WaitingCommand(NamedTuple):
    """`kind` as on the wire: hold, confirm, cancel, expire or drop. `reservation_id`: "" if it names a place."""

    kind: str
    sent_at: datetime
    reservation_id: str


class WaitingCommands(NamedTuple):
    """`is_cut`: more commands wait than were read."""

    commands: list[WaitingCommand]
    is_cut: bool


async def waiting(redis: Redis, event_id: str, number: int, reservation_ids: Collection[str]) -> WaitingCommands:
    """The commands about this number, or about its reservations, that no allocator has carried out yet."""
    with as_lane_unavailable():
        entries = await redis.xrange(redis_keys.lane(event_id), count=WAITING_SCANNED_MAX)
    found = []
    for entry_id, fields in entries:
        command = _command(fields.get(b"c", b""))
        if command is not None and _is_about(command, number, reservation_ids):
            found.append(WaitingCommand(kind_of(command), _at(entry_id), reservation_of(command) or ""))
    return WaitingCommands(found, len(entries) == WAITING_SCANNED_MAX)


async def published_answer(
    redis: Redis, event_id: str, command_id: str, since: datetime
) -> tuple[Outcome, datetime] | None:
    """A command's outcome and its time of publication, if it is among the first PUBLISHED_SCANNED_MAX since then."""
    begin = int(since.timestamp() * 1000)
    with as_lane_unavailable():
        entries = await redis.xrange(redis_keys.lane_out(event_id), min=begin, count=PUBLISHED_SCANNED_MAX)
    for entry_id, fields in entries:
        packed = fields.get(b"o", b"")
        if command_id.encode() in packed:
            for outcome in _published(packed).outcomes:
                if outcome.id == command_id:
                    return outcome, _at(entry_id)
    return None


def wish_hold_id(epoch: int, number: int) -> str:
    """The id of the Hold that is sent when a number with a wish is admitted."""
    return f"wish:{epoch}:{number}"


def _is_about(command: Command, number: int, reservation_ids: Collection[str]) -> bool:
    if (own := getattr(command, "number", None)) is not None:
        return bool(own == number)
    return reservation_of(command) in reservation_ids


def _command(packed: bytes) -> Command | None:
    """The command, or None if it cannot be decoded: an allocator discards such an entry too."""
    try:
        return unpack_command(packed)
    except msgspec.MsgspecError:
        return None


def _published(packed: bytes) -> Published:
    """The batch, or an empty one if it cannot be decoded."""
    try:
        return unpack_published(packed)
    except msgspec.MsgspecError:
        return Published(version=-1)


def _at(entry_id: bytes) -> datetime:
    return datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC)
