"""One typed function per room command; the only place that knows the order of a script's keys and arguments.

Time comes from Redis; only tests pass `now_ms`. Results are typed values (answers.py): an expected race is a status,
never an exception.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from app import redis_keys
from app.domain.admission import LATE_MAX_MS
from app.domain.line import Bits, RoomState
from app.domain.ticket import ACCOUNT_PATTERN
from app.lua import load
from app.redis_nodes import home
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
    Look,
    Marks,
    NoRoom,
    RoomSnapshot,
    RoomStatus,
    Scheduled,
    ScheduleStatus,
    Tick,
)
from app.room.door_limits import DoorLimits
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.room.high_water import HighWater
from app.room.live_rooms import FOLLOWED_BY_NOBODY, announce_room
from app.room.ordered import OrderedCalls
from app.room.person import Person
from app.room.record import FIELD_OF, Birth, Schedule, record_of_hash
from app.room.timing import PRESENCE_SLOTS, Timing

LUA = Path(__file__).parent / "lua"
FUNCTION_FILES = ("shares", "door", "draw", "rate", "presence", "complete")
FUNCTIONS = tuple(Path(__file__).with_name(f"{name}.lua") for name in FUNCTION_FILES)
HOLDER_BUCKETS = 1024  # small hashes pack 1,000,000 holders in 28 bytes each, see config/redis.conf
WISH_BUCKET = 128  # wishes of this many neighbouring numbers share a small hash
LOG_ENTRIES_MAX = 10_000  # of the room log; a reader that is further behind loads a snapshot
SCAN_MAX = 2_000  # numbers that one tick looks at, those of absent people included
UNSEEN_MAX = 500  # of these, those who may be present though nobody has reported them yet
TURNS_ENDED_MAX = 500  # turns that end per tick
RECENT_MS = 7_500  # a place counts as seen lately for one to two of these
RECENT_TTL_S = 16
ABSENT_KEPT_S = 3_600  # who was absent, as was told last, when nobody tells any more

Now = int | None
Call = tuple[list[str], list[Any]]  # keys and arguments

_JOIN_STATUS = {status.encode(): status for status in JoinStatus}
_ROOM_STATUS: dict[bytes, RoomStatus] = {status.encode(): status for status in (*RoomState, *NoRoom)}


class TickCall(NamedTuple):
    """One room's part of a tick. Time counts for the rate only up to `since_ms` (`refilled_ms` of the caller's last
    tick, else the room's) plus `steady_ms` since, by its monotonic clock: no jump of Redis's clock admits anybody."""

    event_id: str
    epoch: int
    steady_ms: float
    since_ms: float | None = None


def holder_bucket(holder: str) -> int:
    return zlib.crc32(holder.encode()) % HOLDER_BUCKETS


class RoomScripts:
    """All commands of all rooms, over one Redis client. Each raises RoomUnavailable when Redis cannot be reached.

    A room that was made for another Redis process, or that lacks what this process has seen of it (`high_water`), is
    `missing` until it has been made again.
    """

    def __init__(self, redis: Redis, timing: Timing, limits: DoorLimits | None = None) -> None:
        self.redis = redis
        self.timing = timing
        self.limits = limits or DoorLimits()
        self.high_water = HighWater()
        self._limits = self.limits.packed()
        self._admit_limits = _admit_limits(timing)
        self._scripts = {path.stem: load(redis, path, *FUNCTIONS) for path in sorted(LUA.glob("*.lua"))}

    async def join(
        self,
        event_id: str,
        epoch: int,
        people: Sequence[Person | tuple[str, str]],
        now_ms: Now = None,
        client: OrderedCalls | None = None,
        made_in: int = 0,
    ) -> JoinedBatch:
        """Give each person a number, in order. `client`: the connection to use. `made_in`: the generation in which the
        caller saw the room made; one made again since is missing to them."""
        flat: list[str | int] = []
        networks: dict[str, None] = {}
        for each in people:
            holder, wish, network, proof, verified = each if isinstance(each, Person) else Person(*each)
            flat += (holder_bucket(holder), holder, wish, network, proof, int(verified))
            networks[network] = None
        networks.pop("", None)
        packed = msgspec.msgpack.encode(flat)  # one argument, not six each: each costs redis-py more than the join
        names = keys_of(event_id, epoch, "gone", "holders:", "wishes:", "seen:", "admitted", "active", "door:")
        names.append(redis_keys.room_log(event_id))
        args: list[Any] = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, WISH_BUCKET]
        args += [packed, self._limits, msgspec.msgpack.encode(list(networks)), LOG_ENTRIES_MAX, self.timing.draw_ms]
        args += [self.high_water.remembered(event_id), made_in]
        room, last_number, left, *answers = await self.call("join", names, args, client=client)
        pairs = iter(answers)
        self.high_water.see(event_id, last_number)
        joined = [Joined(_JOIN_STATUS[status], number) for status, number in zip(pairs, pairs, strict=True)]
        return JoinedBatch(_ROOM_STATUS[room], last_number, joined, left)

    async def tick(
        self, event_id: str, epoch: int, steady_ms: float, now_ms: Now = None, *, since_ms: float | None = None
    ) -> Tick:
        """One tick of one room."""
        (tick,) = await self.tick_all([TickCall(event_id, epoch, steady_ms, since_ms)], now_ms)
        if isinstance(tick, RoomUnavailable):
            raise tick
        return tick

    async def tick_all(self, calls: Sequence[TickCall], now_ms: Now = None) -> list[Tick | RoomUnavailable]:
        """In each of these rooms do what is due by the clock (due.lua), then admit as many as rate and capacity allow:
        one round trip for all of them. What went wrong in one room is its answer, and no other room's concern.
        """
        pipe = self.redis.pipeline(transaction=False)
        for call in calls:
            await self._request_tick(pipe, call, now_ms)
        with as_room_unavailable():
            async with pipe:  # returns its connection to the pool even if the call is cancelled
                answers = await pipe.execute(raise_on_error=False)
        pairs = zip(calls, answers[::2], answers[1::2], strict=True)
        return [self._ticked(call.event_id, ended, let_in) for call, ended, let_in in pairs]

    async def _request_tick(self, pipe: Any, call: TickCall, now_ms: Now) -> None:
        event_id, epoch, steady_ms, since_ms = call
        names = [*keys_of(event_id, epoch, "gone", "lapsed", "admitted", "active"), redis_keys.room_log(event_id)]
        names += [redis_keys.lane(event_id), redis_keys.of_epoch(event_id, epoch, "wishes:")]
        due: list[Any] = [_now(now_ms), epoch, TURNS_ENDED_MAX, LOG_ENTRIES_MAX, self.timing.draw_ms, WISH_BUCKET]
        await self._scripts["due"](names, due, client=pipe)
        names = keys_of(event_id, epoch, "gone", "skipped", "returned", "admitted", "active", "seen:", "wishes:")
        names += [redis_keys.room_log(event_id), redis_keys.lane(event_id)]
        names.append(redis_keys.of_epoch(event_id, epoch, "order"))
        args: list[Any] = [_now(now_ms), "" if since_ms is None else since_ms, steady_ms, epoch, self._admit_limits]
        args.append(self.high_water.remembered(event_id))
        await self._scripts["admit"](names, args, client=pipe)

    def _ticked(self, event_id: str, ended: Any, let_in: Any) -> Tick | RoomUnavailable:
        for answer in (ended, let_in):
            if isinstance(answer, Exception):
                return RoomUnavailable(type(answer).__name__, str(answer))
        room, admitted, cursor, number, wishes_sent, refilled_ms, waits = let_in
        self.high_water.see(event_id, number, cursor)
        return Tick(_ROOM_STATUS[room], ended, admitted, cursor, number, wishes_sent, float(refilled_ms), bool(waits))

    async def tell_absent(self, event_id: str, epoch: int, now_ms: Now = None) -> bool:
        """Tell those who follow the room who is absent, if that is known. Whether it has changed."""
        names = [*keys_of(event_id, epoch, "gone", "absent", "scratch", "seen:"), redis_keys.room_log(event_id)]
        args = [_now(now_ms), epoch, PRESENCE_SLOTS, self.timing.slot_ms, ABSENT_KEPT_S, LOG_ENTRIES_MAX]
        return bool(await self.call("absent", names, args))

    async def wish(self, event_id: str, epoch: int, number: int) -> str:
        """The packed wish that is stored for a number until its turn, or "". Answer it only to the number's holder."""
        bucket = redis_keys.wishes(event_id, epoch, number // WISH_BUCKET)
        with as_room_unavailable():
            kept: bytes | None = await self.redis.hget(bucket, str(number))  # type: ignore[misc]
        return kept.decode().partition(" ")[2] if kept else ""

    async def claim(
        self,
        event_id: str,
        epoch: int,
        number: int,
        holder: str,
        now_ms: Now = None,
        *,
        made_in: int = 0,
        pass_s: int | None = None,
    ) -> Claimed:
        """Begin the pass of its holder's admitted number; a repeat returns the same end. `made_in`: as for `join`.
        `pass_s`: how long it lasts, if not as long as passes do everywhere."""
        names = keys_of(event_id, epoch, "gone", "lapsed", "admitted", "active", "holders:", "wishes:")
        names += [redis_keys.room_log(event_id), redis_keys.lane(event_id)]
        args = [_now(now_ms), epoch, number, (pass_s or self.timing.pass_s) * 1000, LOG_ENTRIES_MAX]
        args += [holder_bucket(holder), holder, WISH_BUCKET, made_in]
        status, expires_ms = await self.call("claim", names, args)
        return Claimed(ClaimStatus(status.decode()), expires_ms)

    async def leave(
        self, event_id: str, epoch: int, number: int, holder: str, now_ms: Now = None, *, release_id: str
    ) -> Left:
        """End the position of a buyer who leaves, if it is this holder's. Idempotent.

        If it had a turn, a command with the id `release_id` is put on the lane: the caller must wake an allocator."""
        leaving = self._leaving(event_id, epoch, number, holder, release_id, now_ms)
        status, lane_entry = await self.call("leave", *leaving)
        return Left(LeaveStatus(status.decode()), lane_entry.decode())

    async def end_served(self, event_id: str, places: Sequence[tuple[int, int]]) -> None:
        """End the positions of people who have paid, each (epoch, number), in one round trip. Idempotent."""
        with as_room_unavailable():
            async with self.redis.pipeline(transaction=False) as pipe:
                for epoch, number in places:
                    await self._scripts["leave"](*self._leaving(event_id, epoch, number, "", "", None), client=pipe)
                await pipe.execute()

    def _leaving(self, event_id: str, epoch: int, number: int, holder: str, release_id: str, now_ms: Now) -> Call:
        names = keys_of(event_id, epoch, "gone", "returned", "admitted", "active", "wishes:", "holders:")
        names += [redis_keys.room_log(event_id), redis_keys.lane(event_id)]
        who = [release_id, holder_bucket(holder), holder]
        return names, [_now(now_ms), epoch, number, LOG_ENTRIES_MAX, WISH_BUCKET, *who]

    async def seen(self, event_id: str, epoch: int, numbers: Sequence[int], now_ms: Now = None) -> int:
        """Store that these numbers are present, as their tickets prove. Returns how many passed over came back."""
        packed = struct.pack(f">{len(numbers)}I", *numbers)
        names = keys_of(event_id, epoch, "gone", "skipped", "returned", "admitted", "seen:", "wishes:")
        names += [redis_keys.lane(event_id), redis_keys.of_epoch(event_id, epoch, "ranks")]
        args = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, packed]
        args += [RECENT_MS, RECENT_TTL_S, WISH_BUCKET]
        args.append(self.high_water.remembered(event_id, max(numbers, default=0)))
        back: int = await self.call("seen", names, args)
        return back

    async def restore(self, event_id: str, epoch: int, people: Sequence[tuple[int, str]], now_ms: Now = None) -> int:
        """Give (number, holder) their positions back after a loss of Redis. A holder "" says that the number was served
        before the loss: it stays ended. Returns how many positions were given back."""
        args: list[Any] = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s]
        args += [LOG_ENTRIES_MAX, ACCOUNT_PATTERN]
        for number, holder in people:
            args += (number, holder_bucket(holder), holder)
        names = keys_of(event_id, epoch, "gone", "lost", "skipped", "returned", "holders:", "seen:", "taken")
        names += [redis_keys.room_log(event_id), redis_keys.of_epoch(event_id, epoch, "ranks")]
        back: int = await self.call("restore", names, args)
        return back

    async def change(self, event_id: str, fields: dict[str, str | int | float], now_ms: Now = None) -> Changed:
        """Set state, rate, burst, max_active, door, message (with messages, as JSON), opening or lobby_ms."""
        args: list[Any] = [_now(now_ms), LOG_ENTRIES_MAX, self.timing.draw_ms]
        for field, value in fields.items():
            args += (field, value)
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id)]
        status, before = await self.call("change", names, args)
        changed = Changed(ChangeStatus(status.decode()), RoomState(before.decode()) if before else None)
        if changed.status is ChangeStatus.changed and changed.state_before in FOLLOWED_BY_NOBODY:
            await announce_room(self.redis, event_id)
        return changed

    async def schedule(self, event_id: str, times: Schedule, now_ms: Now = None) -> Scheduled:
        """Set when the room opens and closes by itself, or cancel its event."""
        cancelled = "cancelled" if times.cancelled else ""
        args = [_now(now_ms), LOG_ENTRIES_MAX, times.opens_ms, times.closes_ms, cancelled]
        args.append(times.version)
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id)]
        status, epoch, opened_after = await self.call("schedule", names, args)
        scheduled = Scheduled(ScheduleStatus(status.decode()), epoch, opened_after)
        if scheduled.status is ScheduleStatus.changed:
            await announce_room(self.redis, event_id)
        return scheduled

    async def reserve(self, event_id: str, bound: int) -> int:
        """Allow numbers up to `bound`, which SQL has reserved. Returns the bound in force; 0 if there is no room."""
        in_force: int = await self.call("reserve", [redis_keys.room(event_id)], [bound])
        return in_force

    async def snapshot(self, event_id: str, epoch: int) -> RoomSnapshot | None:
        """The whole room at one moment; None if none is complete. Its bitmaps and turns are those of `epoch`."""
        names = keys_of(event_id, epoch, "gone", "skipped", "lapsed", "lost", "admitted", "active", "taken", "absent")
        names.insert(1, redis_keys.room_log(event_id))
        answer = await self.call("snapshot", names, [self.high_water.remembered(event_id)])
        if answer is None:
            return None
        flat, log_id, ended, skipped, lapsed, unproven, admitted, active, taken, absent = answer
        record = record_of_hash(flat)
        assert record is not None, "it has a state"
        self.high_water.see(event_id, record.number, record.cursor)
        return RoomSnapshot(
            record=record,
            log_id=log_id,
            ended=Bits(ended),
            skipped=Bits(skipped),
            lapsed=Bits(lapsed),
            unproven=Bits(unproven),
            taken=Bits(taken),
            absent=Bits(absent),
            admitted=_turns(admitted),
            active=_turns(active),
        )

    async def look(self, event_id: str, marks: Marks) -> Look:
        """The room, and whether it is complete as far as SQL, by these marks, and this process know."""
        remembered = self.high_water.remembered(event_id, marks.number, marks.cursor)
        args = [remembered, marks.generation, marks.revision]
        complete, *flat = await self.call("look", [redis_keys.room(event_id)], args)
        record = record_of_hash(flat)
        if complete and record is not None:
            self.high_water.see(event_id, record.number, record.cursor)
        return Look(bool(complete), record)

    async def create(self, event_id: str, birth: Birth, now_ms: Now = None) -> bool:
        """Make the room unless it exists and is complete. Returns whether it was made."""
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id)]
        names += keys_of(event_id, birth.epoch, "gone", "lost", "skipped", "admitted", "order")[1:]
        fields = asdict(birth)
        fields["cursor"] = max(birth.cursor, self.high_water.of(event_id)[1])
        args: list[Any] = [_now(now_ms), LOG_ENTRIES_MAX, fields.pop("recover_ms")]
        for name, value in fields.items():
            args += (FIELD_OF.get(name, name), value)
        is_made = bool(await self.call("create", names, args))
        if is_made:
            await announce_room(self.redis, event_id, is_made=True)
        return is_made

    async def call(self, command: str, keys: list[str], args: list[Any], client: Any = None) -> Any:
        """One command of one room, for a module beside this one. Raises RoomUnavailable."""
        with as_room_unavailable():
            return await self._scripts[command](keys, args, client=client or await home(self.redis, keys[0]))


def keys_of(event_id: str, epoch: int, *names: str) -> list[str]:
    """The room's own key, then those of its epoch."""
    return [redis_keys.room(event_id), *(redis_keys.of_epoch(event_id, epoch, name) for name in names)]


def _admit_limits(timing: Timing) -> bytes:
    limits = {"slots": PRESENCE_SLOTS, "slot_ms": timing.slot_ms, "claim_ms": timing.claim_window_s * 1000}
    limits |= {"scan_max": SCAN_MAX, "unseen_max": UNSEEN_MAX, "late_max_ms": LATE_MAX_MS, "recent_ms": RECENT_MS}
    return msgspec.msgpack.encode({**limits, "log_max": LOG_ENTRIES_MAX, "wish_bucket": WISH_BUCKET})


def _now(now_ms: Now) -> str | int:
    return "" if now_ms is None else now_ms


def _turns(pairs: list[bytes]) -> dict[int, int]:
    """Number → end in ms, of a sorted set's members and scores."""
    return {int(number): int(float(end)) for number, end in zip(pairs[::2], pairs[1::2], strict=True)}
