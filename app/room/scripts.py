"""One typed function per room command; the only place that knows the order of a script's keys and arguments.

Time comes from Redis; `now_ms` is given only by tests. Answers are plain values: an expected race is a status,
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
from app.domain.line import RoomState
from app.domain.ticket import ACCOUNT_PATTERN
from app.lua import load
from app.room.errors import as_room_unavailable
from app.room.ordered import OrderedCalls

LUA = Path(__file__).parent / "lua"
HOLDER_BUCKETS = 1024  # small hashes pack 1,000,000 holders in 28 bytes each, see config/redis.conf
WISH_BUCKET = 128  # wishes of this many neighbouring numbers share a small hash
LOG_ENTRIES_MAX = 10_000  # of the room log; a reader further behind loads a snapshot
SCAN_MAX = 2_000  # people the cursor passes per tick, absent ones included
TURNS_ENDED_MAX = 500  # turns that end per tick
PRESENCE_SLOTS = 4  # a presence window is this many bitmaps long, so it is precise to a quarter

Now = int | None


class Joined(NamedTuple):
    """`status`: joined | already | refused | full | stranger; `number` is 0 for the last three."""

    status: str
    number: int


_STATUSES = {status.encode(): status for status in ("joined", "already", "refused", "full", "stranger")}


class Adoption(NamedTuple):
    """A browser's place in one line, to be an account's; no `browser` only asks for the account's number."""

    event_id: str
    epoch: int
    browser: str


class Left(NamedTuple):
    """`drop`: the entry on the lane of the command that gives back the seats of a turn; "" if there was no turn."""

    status: str
    drop: str


class Tick(NamedTuple):
    """What one admission tick did. `state` may also be `old_epoch` or `missing`; `refilled_ms` is for the next call."""

    state: str
    admitted: int
    cursor: int
    number: int
    wished: int
    refilled_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The lifetimes the scripts need, in their units."""

    presence_window_s: int
    claim_window_s: int
    pass_s: int

    @property
    def slot_ms(self) -> int:
        return self.presence_window_s * 1000 // PRESENCE_SLOTS

    @property
    def poll_max_ms(self) -> int:
        """Whoever asks when told to is never taken for absent: three polls fit into the presence window."""
        return min(POLL_MAX_MS, max(POLL_MIN_MS, self.presence_window_s * 1000 // 3))

    @property
    def seen_ttl_s(self) -> int:
        return self.presence_window_s * 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """With what a room is made; `recover_ms` > 0 only after a loss of Redis."""

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
    """When the clock opens and closes a room, in Unix ms; `message` is for everyone who waits when it is cancelled."""

    opens_ms: int
    closes_ms: int = 0
    cancelled: bool = False
    message: str = ""


def holder_bucket(holder: str) -> int:
    return zlib.crc32(holder.encode()) % HOLDER_BUCKETS


class RoomScripts:
    """All commands of all rooms over one Redis. `client` runs a command inside a pipeline; its answer is then raw.

    Every call raises RoomUnavailable when Redis cannot be reached.
    """

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
    ) -> tuple[str, int, list[Joined]]:
        """Give each (holder, packed wish or "") a number. Answers the room's state, its last number, and one each."""
        flat = [part for holder, wish in people for part in (holder_bucket(holder), holder, wish)]
        packed = msgspec.msgpack.encode(flat)  # one argument, not three each: each costs redis-py more than the join
        args = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, WISH_BUCKET, packed, ACCOUNT_PATTERN]
        names = ("gone", "holders:", "wishes:", "seen:", "admitted", "active")
        answer = await self._call("join", self._keys(event_id, epoch, *names), args, client=client)
        pairs = iter(answer[2:])
        joined = [Joined(_STATUSES[status], number) for status, number in zip(pairs, pairs, strict=True)]
        return answer[0].decode(), answer[1], joined

    async def tick(
        self, event_id: str, epoch: int, steady_ms: float, now_ms: Now = None, *, since_ms: float | None = None
    ) -> tuple[int, Tick]:
        """What the clock ended, then who is let in, in one round trip. Answers (turns ended, the tick).

        `since_ms` is the `refilled_ms` of the caller's last tick and `steady_ms` the time since, by its own steady
        clock: no more is granted, by all workers together. Without `since_ms` that time is granted on top.
        """
        pipe = self.redis.pipeline(transaction=False)
        due = self._keys(event_id, epoch, "gone", "lapsed", "admitted", "active")
        due += [redis_keys.room_log(event_id), redis_keys.lane(event_id)]
        await self._call("due", due, [_now(now_ms), epoch, TURNS_ENDED_MAX, LOG_ENTRIES_MAX], client=pipe)
        admit = self._keys(event_id, epoch, "gone", "skipped", "returned", "admitted", "active")
        admit.append(redis_keys.room_log(event_id))
        admit += [
            redis_keys.of_epoch(event_id, epoch, "seen:"),
            redis_keys.of_epoch(event_id, epoch, "wishes:"),
            redis_keys.lane(event_id),
        ]
        timing = self.timing
        await self._call(
            "admit",
            admit,
            [
                *(_now(now_ms), "" if since_ms is None else since_ms, steady_ms, epoch, PRESENCE_SLOTS, timing.slot_ms),
                *(timing.claim_window_s * 1000, SCAN_MAX, LOG_ENTRIES_MAX, WISH_BUCKET),
            ],
            client=pipe,
        )
        with as_room_unavailable():
            async with pipe:  # cancelled while it looks for the scripts, it would keep its connection
                ended, (state, admitted, cursor, number, wished, refilled_ms) = await pipe.execute()
        return ended, Tick(state.decode(), admitted, cursor, number, wished, float(refilled_ms))

    async def wish(self, event_id: str, epoch: int, number: int) -> str:
        """The packed wish that is kept for a number until its turn, or "". Only for whom the number is proven to be."""
        bucket = redis_keys.wishes(event_id, epoch, number // WISH_BUCKET)
        with as_room_unavailable():
            said: bytes | None = await self.redis.hget(bucket, str(number))  # type: ignore[misc]
        return said.decode().partition(" ")[2] if said else ""

    async def claim(self, event_id: str, epoch: int, number: int, now_ms: Now = None) -> tuple[str, int]:
        """Take the admission up. Answers (status, expires_ms); see claim.lua for the statuses."""
        names = self._keys(event_id, epoch, "gone", "lapsed", "admitted", "active")
        args = [_now(now_ms), epoch, number, self.timing.pass_s * 1000, LOG_ENTRIES_MAX]
        status, expires_ms = await self._call("claim", [*names, redis_keys.room_log(event_id)], args)
        return status.decode(), expires_ms

    async def leave(self, event_id: str, epoch: int, number: int, now_ms: Now = None, *, drop_id: str) -> Left:
        """End the place of somebody who leaves. Idempotent. `drop_id` becomes the id of the lane's command, if one is
        needed; nobody has been woken for it.
        """
        status, entry = await self._leave(event_id, epoch, number, drop_id, now_ms)
        return Left(status.decode(), entry.decode())

    async def end_served(self, event_id: str, places: Sequence[tuple[int, int]]) -> None:
        """End the places of people who have paid, each (epoch, number), in one round trip. Idempotent."""
        with as_room_unavailable():
            async with self.redis.pipeline(transaction=False) as pipe:
                for epoch, number in places:
                    await self._leave(event_id, epoch, number, "", None, pipe)
                await pipe.execute()

    async def _leave(
        self, event_id: str, epoch: int, number: int, drop_id: str, now_ms: Now, client: Any = None
    ) -> Any:
        names = self._keys(event_id, epoch, "gone", "returned", "admitted", "active")
        names += [
            redis_keys.room_log(event_id),
            redis_keys.of_epoch(event_id, epoch, "wishes:"),
            redis_keys.lane(event_id),
        ]
        args = [_now(now_ms), epoch, number, LOG_ENTRIES_MAX, WISH_BUCKET, drop_id]
        return await self._call("leave", names, args, client=client)

    async def seen(self, event_id: str, epoch: int, numbers: Sequence[int], now_ms: Now = None) -> int:
        """Note that these people are here. Answers how many passed-over ones came back."""
        packed = struct.pack(f">{len(numbers)}I", *numbers)
        names = self._keys(event_id, epoch, "gone", "skipped", "returned", "seen:")
        args = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, packed]
        back: int = await self._call("seen", names, args)
        return back

    async def restore(self, event_id: str, epoch: int, people: Sequence[tuple[int, str]], now_ms: Now = None) -> int:
        """Give (number, holder) their places back after a loss of Redis; with "" for a holder it was over by then.

        Answers how many came back.
        """
        args: list[Any] = [_now(now_ms), epoch, self.timing.slot_ms, self.timing.seen_ttl_s, LOG_ENTRIES_MAX]
        for number, holder in people:
            args += (number, holder_bucket(holder), holder)
        names = self._keys(event_id, epoch, "gone", "lost", "skipped", "returned", "holders:", "seen:")
        back: int = await self._call("restore", [*names, redis_keys.room_log(event_id)], args)
        return back

    async def adopt(self, event_id: str, epoch: int, browser: str, account: str, now_ms: Now = None) -> tuple[str, int]:
        """Give the account the browser's place. Answers (status, the account's number); see adopt.lua."""
        status, number = await self._adopt(Adoption(event_id, epoch, browser), account, now_ms)
        return status.decode(), number

    async def adopt_all(self, places: Sequence[Adoption], account: str) -> list[tuple[str, int]]:
        """The same in many rooms, in one round trip and in order."""
        with as_room_unavailable():
            async with self.redis.pipeline(transaction=False) as pipe:
                for place in places:
                    await self._adopt(place, account, None, pipe)
                answers = await pipe.execute()
        return [(status.decode(), number) for status, number in answers]

    async def _adopt(self, place: Adoption, account: str, now_ms: Now, client: Any = None) -> Any:
        event_id, epoch, browser = place
        names = self._keys(event_id, epoch, "gone", "returned", "admitted", "active")
        names += [
            redis_keys.room_log(event_id),
            *(redis_keys.of_epoch(event_id, epoch, prefix) for prefix in ("holders:", "wishes:")),
        ]
        args: list[Any] = [_now(now_ms), epoch, holder_bucket(browser), browser, holder_bucket(account), account]
        return await self._call("adopt", names, [*args, LOG_ENTRIES_MAX, WISH_BUCKET], client=client)

    async def change(self, event_id: str, fields: dict[str, str | int | float], now_ms: Now = None) -> tuple[str, str]:
        """Set state, rate, burst, max_active, accounts_only (1 or 0) or message.

        Answers (changed | missing | refused, state before).
        """
        args: list[Any] = [_now(now_ms), LOG_ENTRIES_MAX, event_id]
        for field, value in fields.items():
            args += (field, value)
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.OPENED]
        status, before = await self._call("change", names, args)
        return status.decode(), before.decode()

    async def schedule(self, event_id: str, times: Schedule, now_ms: Now = None) -> tuple[str, int, int]:
        """Set when the clock opens and closes the room. See schedule.lua for the answer."""
        cancelled = "cancelled" if times.cancelled else ""
        args = [_now(now_ms), LOG_ENTRIES_MAX, times.opens_ms, times.closes_ms, cancelled, times.message, event_id]
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.OPENED]
        status, epoch, opened_after = await self._call("schedule", names, args)
        return status.decode(), epoch, opened_after

    async def reserve(self, event_id: str, bound: int) -> int:
        """Let numbers be given up to `bound`, which SQL has reserved. Answers the bound in force, 0 without a room."""
        in_force: int = await self._call("reserve", [redis_keys.room(event_id)], [bound])
        return in_force

    async def snapshot(self, event_id: str, epoch: int) -> list[Any]:
        """Everything at one moment; see snapshot.lua for the order."""
        names = self._keys(event_id, epoch, "gone", "skipped", "lapsed", "lost", "admitted", "active")
        answer: list[Any] = await self._call("snapshot", [names[0], redis_keys.room_log(event_id), *names[1:]], [])
        return answer

    async def create(self, event_id: str, birth: Birth, now_ms: Now = None) -> bool:
        """Make the room if it is not there. Answers whether it was made."""
        names = [redis_keys.room(event_id), redis_keys.room_log(event_id), redis_keys.ROOMS]
        names += [*(redis_keys.of_epoch(event_id, birth.epoch, name) for name in ("gone", "lost")), redis_keys.OPENED]
        args = [
            *(
                _now(now_ms),
                event_id,
                birth.epoch,
                birth.number,
                birth.bound,
                birth.cursor,
                birth.state,
                birth.opens_ms,
            ),
            *(birth.rate_per_s, birth.burst, birth.max_active, birth.message, birth.recover_ms, birth.state_after),
            *(LOG_ENTRIES_MAX, birth.opened_after, birth.closes_ms, birth.reason, int(birth.accounts_only)),
        ]
        return bool(await self._call("create", names, args))

    async def _call(self, command: str, keys: list[str], args: list[Any], client: Any = None) -> Any:
        with as_room_unavailable():
            return await self._scripts[command](keys, args, client=client)

    def _keys(self, event_id: str, epoch: int, *names: str) -> list[str]:
        return [redis_keys.room(event_id), *(redis_keys.of_epoch(event_id, epoch, name) for name in names)]


def _now(now_ms: Now) -> str | int:
    return "" if now_ms is None else now_ms
