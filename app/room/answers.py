"""The typed results of the room's scripts. An expected race is a status, never an exception."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from app.domain.line import Bits, RoomState
from app.room.record import RoomRecord


class NoRoom(StrEnum):
    """Why a script did nothing: there is no such room, or the room has begun a newer epoch than the caller named."""

    missing = "missing"
    old_epoch = "old_epoch"


RoomStatus = RoomState | NoRoom


class JoinStatus(StrEnum):
    """`refused`: the room's state allows no joining; `unready`: the draw has no seed yet; `full`: every number up to
    the reserved bound was given; `stranger`: only accounts may join, and the holder is a guest; `unverified`: only
    verified accounts may; `uninvited`: only people with an invitation may; `challenge`: a proof is asked for; `spent`:
    the proof was used before."""

    joined = "joined"
    already = "already"
    refused = "refused"
    unready = "unready"
    full = "full"
    stranger = "stranger"
    unverified = "unverified"
    uninvited = "uninvited"
    challenge = "challenge"
    spent = "spent"


class Joined(NamedTuple):
    """`number` is 0 unless `status` is joined or already; of challenge and spent it is what the address has taken."""

    status: JoinStatus
    number: int


class AddressCounts(NamedTuple):
    """What an address took of a room's places lately, and how often it was asked for a proof instead."""

    network: str
    took: int
    asked: int


class DoorNow(NamedTuple):
    """`addresses`: most first, those that took little left out. `pressed`: an open door asks everybody."""

    pressed: bool
    addresses: list[AddressCounts]


class JoinedBatch(NamedTuple):
    """`joined` has one entry per person, in the given order; it is empty if there is no such room. `left`: how many
    more numbers may be given."""

    room: RoomStatus
    last_number: int
    joined: list[Joined]
    left: int


class Tick(NamedTuple):
    """What one admission tick did. The same worker passes `refilled_ms` to its next call. `waits`: whether somebody is
    still in line."""

    room: RoomStatus
    turns_ended: int
    admitted: int
    cursor: int
    number: int
    wishes_sent: int
    refilled_ms: float
    waits: bool


class ClaimStatus(StrEnum):
    """`waiting`: the number is not admitted yet; `lapsed`: its turn or its pass has expired; `left`: the buyer left or
    was served; `taken`: it is another holder's, for example an account's that took it over."""

    claimed = "claimed"
    waiting = "waiting"
    lapsed = "lapsed"
    left = "left"
    taken = "taken"
    closed = "closed"
    missing = "missing"
    old_epoch = "old_epoch"


class Claimed(NamedTuple):
    """`expires_ms` is when the pass ends; 0 if the number never had one."""

    status: ClaimStatus
    expires_ms: int


class LeaveStatus(StrEnum):
    """`already`: the position had already ended; `taken`: it is another holder's; `unknown`: it was never given."""

    left = "left"
    already = "already"
    taken = "taken"
    unknown = "unknown"
    closed = "closed"
    missing = "missing"
    old_epoch = "old_epoch"


class Left(NamedTuple):
    """`lane_entry`: the entry id of the lane command that frees the seats of the turn; "" if the number had no turn."""

    status: LeaveStatus
    lane_entry: str


class MergeStatus(StrEnum):
    """`merged`: the account took the guest's position; `kept`: it keeps its own; `none`: neither has one."""

    merged = "merged"
    kept = "kept"
    none = "none"
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
    """`state_before` is None if there is no such room."""

    status: ChangeStatus
    state_before: RoomState | None


class ScheduleStatus(StrEnum):
    changed = "changed"
    same = "same"
    missing = "missing"


class Scheduled(NamedTuple):
    """The room's epoch after the call, and the last number before that epoch; both 0 if there is no such room."""

    status: ScheduleStatus
    epoch: int
    opened_after: int


class Marks(NamedTuple):
    """How far a room had come as SQL last heard: the last number given, the cursor, and the revision of its log within
    this generation. A room begins a generation each time it is made."""

    generation: int
    number: int
    cursor: int
    revision: int


NO_MARKS = Marks(0, 0, 0, 0)


class Look(NamedTuple):
    """`complete`: the room was made for this Redis process and has all that anybody remembers of it. `record`: what is
    there of it; None if nothing is."""

    complete: bool
    record: RoomRecord | None


class RoomSnapshot(NamedTuple):
    """A room at one moment. The log entries after `log_id` contain every later change.

    `ended`: numbers whose position has ended; `lapsed`: those of them whose turn or pass expired; `skipped`: numbers
    that were passed over while absent; `unproven`: numbers given before a loss of Redis whose ticket nobody has shown
    since, which are in `ended` too; `taken`: numbers that an account took over from a guest; `absent`: those who would
    be passed over, as was told last; `admitted`, `active`: number → end of its turn or of its pass, in Unix ms.
    """

    record: RoomRecord
    log_id: bytes
    ended: Bits
    skipped: Bits
    lapsed: Bits
    unproven: Bits
    taken: Bits
    absent: Bits
    admitted: dict[int, int]
    active: dict[int, int]
