"""What the room's scripts answer, typed. An expected race is a status, never an exception."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from app.domain.line import Bits, RoomState
from app.room.record import RoomRecord


class NoRoom(StrEnum):
    """Why a script did nothing: there is no such room, or it has begun a new epoch since the caller looked."""

    missing = "missing"
    old_epoch = "old_epoch"


RoomStatus = RoomState | NoRoom


class JoinStatus(StrEnum):
    """`refused`: the room takes nobody now; `full`: no number is left below the reserved bound; `stranger`: only
    accounts may join, and the holder is none."""

    joined = "joined"
    already = "already"
    refused = "refused"
    full = "full"
    stranger = "stranger"


class Joined(NamedTuple):
    """`number` is 0 unless `status` is joined or already."""

    status: JoinStatus
    number: int


class JoinedBatch(NamedTuple):
    """`joined` has one entry per person in the order asked, or none where there is no such room."""

    room: RoomStatus
    last_number: int
    joined: list[Joined]


class Tick(NamedTuple):
    """What one admission tick did. `refilled_ms` is for the same worker's next call."""

    room: RoomStatus
    turns_ended: int
    admitted: int
    cursor: int
    number: int
    wishes_sent: int
    refilled_ms: float


class ClaimStatus(StrEnum):
    """`waiting`: it is not this number's turn yet; `lapsed`: the turn or the pass has ended; `left`: the position was
    given up, or what was bought with it is done."""

    claimed = "claimed"
    waiting = "waiting"
    lapsed = "lapsed"
    left = "left"
    closed = "closed"
    missing = "missing"
    old_epoch = "old_epoch"


class Claimed(NamedTuple):
    """`expires_ms` is when the pass ends; 0 where there never was one."""

    status: ClaimStatus
    expires_ms: int


class LeaveStatus(StrEnum):
    """`already`: the position had ended before; `unknown`: the number was never given."""

    left = "left"
    already = "already"
    unknown = "unknown"
    closed = "closed"
    missing = "missing"
    old_epoch = "old_epoch"


class Left(NamedTuple):
    """`lane_entry`: the entry on the lane of the command that frees the seats of a turn; "" if there was no turn."""

    status: LeaveStatus
    lane_entry: str


class MergeStatus(StrEnum):
    """`merged`: the account took the guest's position; `kept`: it keeps its own; `none`: neither has one."""

    merged = "merged"
    kept = "kept"
    none = "none"
    closed = "closed"
    old_epoch = "old_epoch"


class Merged(NamedTuple):
    """`number` is the account's position afterwards, 0 if it has none."""

    status: MergeStatus
    number: int


class ChangeStatus(StrEnum):
    changed = "changed"
    missing = "missing"
    refused = "refused"


class Changed(NamedTuple):
    """`state_before` is None where there is no room."""

    status: ChangeStatus
    state_before: RoomState | None


class ScheduleStatus(StrEnum):
    changed = "changed"
    same = "same"
    missing = "missing"


class Scheduled(NamedTuple):
    """`epoch` and the number before its first, as they are afterwards; 0 where there is no room."""

    status: ScheduleStatus
    epoch: int
    opened_after: int


class RoomSnapshot(NamedTuple):
    """A room at one moment. The log after `log_id` tells everything that came later.

    `ended`: numbers whose position has ended, `lapsed` those of them that ended with their turn; `skipped`: numbers
    that were passed over while absent; `unproven`: numbers given before a loss of Redis whose ticket nobody has shown
    since, which count as ended too; `admitted` and `active`: number → end of the turn or of the pass, in ms.
    """

    record: RoomRecord
    log_id: bytes
    ended: Bits
    skipped: Bits
    lapsed: Bits
    unproven: Bits
    admitted: dict[int, int]
    active: dict[int, int]
