"""One typed function per room command; the only place that knows the order of a script's keys and arguments.

Time comes from Redis; only tests pass `now_ms`. Results are typed values (answers.py): an expected race is a status,
never an exception.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from app import redis_keys
from app.domain.eta import POLL_MAX_MS, POLL_MIN_MS
from app.domain.line import Bits, RoomState
from app.domain.ticket import ACCOUNT_PATTERN
from app.lua import load
from app.room.answers import (
    Changed,
    ChangeStatus,
    Claimed,
    ClaimStatus,
    Joined,
    JoinedBatch,
    JoinStatus,
    LeaveStatus,
    Left,
    Merged,
    MergeStatus,
    NoRoom,
    RoomSnapshot,
    RoomStatus,
    Scheduled,
    ScheduleStatus,
    Tick,
)
from app.room.errors import as_room_unavailable
from app.room.ordered import OrderedCalls
from app.room.record import record_of_hash

LUA = Path(__file__).parent / "lua"
HOLDER_BUCKETS = 1024  # small hashes pack 1,000,000 holders in 28 bytes each, see config/redis.conf
WISH_BUCKET = 128  # wishes of this many neighbouring numbers share a small hash
LOG_ENTRIES_MAX = 10_000  # of the room log; a reader that is further behind loads a snapshot
SCAN_MAX = 2_000  # numbers that one tick looks at, those of absent people included
TURNS_ENDED_MAX = 500  # turns that end per tick
PRESENCE_SLOTS = 4  # bitmaps per presence window, so absence is precise to a quarter of the window

Now = int | None

_JOIN_STATUS = {status.encode(): status for status in JoinStatus}
_ROOM_STATUS: dict[bytes, RoomStatus] = {status.encode(): status for status in (*RoomState, *NoRoom)}


class GuestPlace(NamedTuple):
    """A line, and the browser id of the guest whose position in it an account takes over; "" if there is no guest."""

    event_id: str
    epoch: int
    browser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time limits that the scripts need."""

    presence_window_s: int
    claim_window_s: int
    pass_s: int

    @property
    def slot_ms(self) -> int:
        return self.presence_window_s * 1000 // PRESENCE_SLOTS

    @property
    def poll_max_ms(self) -> int:
        """The longest pause between two polls: a third of the presence window, so that one missed poll does no harm."""
        return min(POLL_MAX_MS, max(POLL_MIN_MS, self.presence_window_s * 1000 // 3))

    @property
    def seen_ttl_s(self) -> int:
        return self.presence_window_s * 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """The initial values of a room. `recover_ms` is above 0 only if it is made again after a loss of Redis."""

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
    opened_after: int = 0
    recover_ms: int = 0
    state_after: RoomState = RoomState.open
    closes_ms: int = 0
    reason: str = ""
    accounts_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a room opens and closes by itself, in Unix ms. `message` is shown to everyone in line if it is cancelled."""

    opens_ms: int
    closes_ms: int = 0
    cancelled: bool = False
    message: str = ""


def holder_bucket(holder: str) -> int:
    return zlib.crc32(holder.encode()) % HOLDER_BUCKETS


class RoomScripts:
    """All commands of all rooms, over one Redis client. Each raises RoomUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, timing: Timing) -> None:
        self.redis = redis
        self.timing = timing
        self._scripts = {path.stem: load(redis, path) for path in sorted(LUA.glob("*.lua"))}

    async def join(
        self,
        event_id: str,
        epoch: int,
        people: Sequence[tuple[str, str]],
        now_ms: Now = None,
        client: OrderedCalls | None = None,
    ) -> JoinedBatch:
        """Give each (holder, packed wish or "") a number, in order. `client`: the connection to use."""
        flat = [part for holder, wish in people for part in (holder_bucket(holder), holder, wish)]
        packed = msgspec.msgpack.encode(flat)  # one argument, not three each: each costs redis-py more than the join
        names = _keys(event_id, epoch, "gone", "holders:", "wishes:", "seen:", "admitted", "active")
        args = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, WISH_BUCKET, packed, ACCOUNT_PATTERN]
        room, last_number, *answers = await self._call("join", names, args, client=client)
        pairs = iter(answers)
        joined = [Joined(_JOIN_STATUS[status], number) for status, number in zip(pairs, pairs, strict=True)]
        return JoinedBatch(_ROOM_STATUS[room], last_number, joined)

    async def tick(
        self, event_id: str, epoch: int, steady_ms: float, now_ms: Now = None, *, since_ms: float | None = None
    ) -> Tick:
        """Do what is due by the clock (due.lua), then admit as many as rate and capacity allow, in one round trip.

        Time counts for the rate only up to `since_ms` + `steady_ms`: the `refilled_ms` of the caller's last tick, plus
        the time since by its monotonic clock. So a jump of Redis's clock admits nobody, and no time counts twice if
        several workers tick. Without `since_ms`, `steady_ms` counts from the room's own `refilled_ms`.
        """
        pipe = self.redis.pipeline(transaction=False)
        names = [*_keys(event_id, epoch, "gone", "lapsed", "admitted", "active"), redis_keys.room_log(event_id)]
        names.append(redis_keys.lane(event_id))
        await self._scripts["due"](names, [_now(now_ms), epoch, TURNS_ENDED_MAX, LOG_ENTRIES_MAX], client=pipe)
        names = _keys(event_id, epoch, "gone", "skipped", "returned", "admitted", "active")
        names.append(redis_keys.room_log(event_id))
        names += [redis_keys.of_epoch(event_id, epoch, prefix) for prefix in ("seen:", "wishes:")]
        names.append(redis_keys.lane(event_id))
        args: list[Any] = [_now(now_ms), "" if since_ms is None else since_ms, steady_ms, epoch, PRESENCE_SLOTS]
        args += [self.timing.slot_ms, self.timing.claim_window_s * 1000, SCAN_MAX, LOG_ENTRIES_MAX, WISH_BUCKET]
        await self._scripts["admit"](names, args, client=pipe)
        with as_room_unavailable():
            async with pipe:  # returns its connection to the pool even if the call is cancelled
                ended, (room, admitted, cursor, number, wishes_sent, refilled_ms) = await pipe.execute()
        return Tick(_ROOM_STATUS[room], ended, admitted, cursor, number, wishes_sent, float(refilled_ms))

    async def wish(self, event_id: str, epoch: int, number: int) -> str:
        """The packed wish that is stored for a number until its turn, or "". Answer it only to the number's holder."""
        bucket = redis_keys.wishes(event_id, epoch, number // WISH_BUCKET)
        with as_room_unavailable():
            kept: bytes | None = await self.redis.hget(bucket, str(number))  # type: ignore[misc]
        return kept.decode().partition(" ")[2] if kept else ""

    async def claim(self, event_id: str, epoch: int, number: int, now_ms: Now = None) -> Claimed:
        """Begin the pass of an admitted number. Idempotent: a repeat returns the same end of the pass."""
        names = [*_keys(event_id, epoch, "gone", "lapsed", "admitted", "active"), redis_keys.room_log(event_id)]
        args = [_now(now_ms), epoch, number, self.timing.pass_s * 1000, LOG_ENTRIES_MAX]
        status, expires_ms = await self._call("claim", names, args)
        return Claimed(ClaimStatus(status.decode()), expires_ms)

    async def leave(self, event_id: str, epoch: int, number: int, now_ms: Now = None, *, release_id: str) -> Left:
        """End the position of a buyer who leaves. Idempotent.

        If the number had a turn, a command with the id `release_id` is put on the lane to free its seats. The caller
        must wake an allocator for it.
        """
        status, lane_entry = await self._call("leave", *self._leaving(event_id, epoch, number, release_id, now_ms))
        return Left(LeaveStatus(status.decode()), lane_entry.decode())

    async def end_served(self, event_id: str, places: Sequence[tuple[int, int]]) -> None:
        """End the positions of people who have paid, each (epoch, number), in one round trip. Idempotent."""
        with as_room_unavailable():
            async with self.redis.pipeline(transaction=False) as pipe:
                for epoch, number in places:
                    await self._scripts["leave"](*self._leaving(event_id, epoch, number, "", None), client=pipe)
                await pipe.execute()

    def _leaving(
        self, event_id: str, epoch: int, number: int, release_id: str, now_ms: Now
    ) -> tuple[list[str], list[Any]]:
        names = [*_keys(event_id, epoch, "gone", "returned", "admitted", "active"), redis_keys.room_log(event_id)]
        names += [redis_keys.of_epoch(event_id, epoch, "wishes:"), redis_keys.lane(event_id)]
        return names, [_now(now_ms), epoch, number, LOG_ENTRIES_MAX, WISH_BUCKET, release_id]

    async def seen(self, event_id: str, epoch: int, numbers: Sequence[int], now_ms: Now = None) -> int:
        """Store that these numbers are present. Returns how many that were passed over came back."""
        packed = struct.pack(f">{len(numbers)}I", *numbers)
        names = _keys(event_id, epoch, "gone", "skipped", "returned", "seen:")
        args = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, packed]
        back: int = await self._call("seen", names, args)
        return back

    async def restore(self, event_id: str, epoch: int, people: Sequence[tuple[int, str]], now_ms: Now = None) -> int:
        """Give (number, holder) their positions back after a loss of Redis. A holder "" says that the number was served
        before the loss: it stays ended. Returns how many positions were given back.
        """
        args: list[Any] = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, LOG_ENTRIES_MAX]
        for number, holder in people:
            args += (number, holder_bucket(holder), holder)
        names = _keys(event_id, epoch, "gone", "lost", "skipped", "returned", "holders:", "seen:")
        back: int = await self._call("restore", [*names, redis_keys.room_log(event_id)], args)
        return back

    async def merge(self, place: GuestPlace, account: str, now_ms: Now = None) -> Merged:
        """Give the account the guest's position; of two positions it keeps the better one (merge.lua says which)."""
        return _merged(await self._call("merge", *self._merging(place, account, now_ms)))

    async def merge_all(self, places: Sequence[GuestPlace], account: str) -> list[Merged]:
        """`merge` in many rooms, in one round trip; the results are in the order of `places`."""
        with as_room_unavailable():
            async with self.redis.pipeline(transaction=False) as pipe:
                for place in places:
                    await self._scripts["merge"](*self._merging(place, account, None), client=pipe)
                return [_merged(answer) for answer in await pipe.execute()]

    def _merging(self, place: GuestPlace, account: str, now_ms: Now) -> tuple[list[str], list[Any]]:
        event_id, epoch, browser = place
        names = [*_keys(event_id, epoch, "gone", "returned", "admitted", "active"), redis_keys.room_log(event_id)]
        names += [redis_keys.of_epoch(event_id, epoch, prefix) for prefix in ("holders:", "wishes:")]
        args: list[Any] = [_now(now_ms), epoch, holder_bucket(browser), browser, holder_bucket(account), account]
        return names, [*args, LOG_ENTRIES_MAX, WISH_BUCKET]

    async def change(self, event_id: str, fields: dict[str, str | int | float], now_ms: Now = None) -> Changed:
        """Set state, rate, burst, max_active, accounts_only (1 or 0) or message."""
        args: list[Any] = [_now(now_ms), LOG_ENTRIES_MAX, event_id]
        for field, value in fields.items():
            args += (field, value)
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.OPENED]
        status, before = await self._call("change", names, args)
        return Changed(ChangeStatus(status.decode()), RoomState(before.decode()) if before else None)

    async def schedule(self, event_id: str, times: Schedule, now_ms: Now = None) -> Scheduled:
        """Set when the room opens and closes by itself, or cancel its event."""
        cancelled = "cancelled" if times.cancelled else ""
        args = [_now(now_ms), LOG_ENTRIES_MAX, times.opens_ms, times.closes_ms, cancelled, times.message, event_id]
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.OPENED]
        status, epoch, opened_after = await self._call("schedule", names, args)
        return Scheduled(ScheduleStatus(status.decode()), epoch, opened_after)

    async def reserve(self, event_id: str, bound: int) -> int:
        """Allow numbers up to `bound`, which SQL has reserved. Returns the bound in force; 0 if there is no room."""
        in_force: int = await self._call("reserve", [redis_keys.room(event_id)], [bound])
        return in_force

    async def snapshot(self, event_id: str, epoch: int) -> RoomSnapshot | None:
        """The whole room at one moment; None if there is no such room. Its bitmaps and turns are those of `epoch`."""
        names = _keys(event_id, epoch, "gone", "skipped", "lapsed", "lost", "admitted", "active")
        names.insert(1, redis_keys.room_log(event_id))
        answer = await self._call("snapshot", names, [])
        flat, log_id, ended, skipped, lapsed, unproven, admitted, active = answer
        record = record_of_hash(flat)
        if record is None:
            return None
        return RoomSnapshot(
            record=record,
            log_id=log_id,
            ended=Bits(ended),
            skipped=Bits(skipped),
            lapsed=Bits(lapsed),
            unproven=Bits(unproven),
            admitted=_turns(admitted),
            active=_turns(active),
        )

    async def create(self, event_id: str, birth: Birth, now_ms: Now = None) -> bool:
        """Make the room unless it exists. Returns whether it was made."""
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.ROOMS]
        names += [redis_keys.of_epoch(event_id, birth.epoch, name) for name in ("gone", "lost")]
        names.append(redis_keys.OPENED)
        args: list[Any] = [_now(now_ms), event_id, birth.epoch, birth.number, birth.bound, birth.cursor, birth.state]
        args += [birth.opens_ms, birth.rate_per_s, birth.burst, birth.max_active, birth.message, birth.recover_ms]
        args += [birth.state_after, LOG_ENTRIES_MAX, birth.opened_after, birth.closes_ms, birth.reason]
        args.append(int(birth.accounts_only))
        return bool(await self._call("create", names, args))

    async def _call(self, command: str, keys: list[str], args: list[Any], client: Any = None) -> Any:
        with as_room_unavailable():
            return await self._scripts[command](keys, args, client=client)


def _keys(event_id: str, epoch: int, *names: str) -> list[str]:
    """The room's own key, then those of its epoch."""
    return [redis_keys.room(event_id), *(redis_keys.of_epoch(event_id, epoch, name) for name in names)]


def _now(now_ms: Now) -> str | int:
    return "" if now_ms is None else now_ms


def _merged(answer: list[Any]) -> Merged:
    status, number = answer
    return Merged(MergeStatus(status.decode()), number)


def _turns(pairs: list[bytes]) -> dict[int, int]:
    """Number → end in ms, of a sorted set's members and scores."""
    return {int(number): int(float(end)) for number, end in zip(pairs[::2], pairs[1::2], strict=True)}
