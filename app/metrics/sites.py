"""What all web processes together counted of a site behind rooms: checks, refusals, visits, errors.

Requests add to plain numbers in memory (`SiteCounts`). Every SEND_EVERY_S a process adds what is new to Redis, in one
call for each site that had any, so the sums are of all processes and outlive each of them. Reading costs one round trip
of READS commands, however much was counted. What could not be sent is sent with what follows; after a call whose
answer was lost it may count twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from app import redis_keys
from app.connections import outlived
from app.histogram import WAITS_S
from app.lua import load
from app.outages import Outages
from app.redis_nodes import home
from app.room.errors import as_room_unavailable

LUA = Path(__file__).parent / "lua"
SEND_EVERY_S = 2.0
CALL_TIMEOUT_S = 5.0
SHORT_S, SHORT_READ = 10, 6  # how long a span is by which flows are told, and of how many they are the mean
LONG_S, LONG_READ = 300, 12  # as long as an hour, with the span that is under way
SHORT_KEPT_S, LONG_KEPT_S = SHORT_S * (SHORT_READ + 2), LONG_S * (LONG_READ + 2)
ERRORS_MAX = 20  # that are kept of a site, each kind of each room once
ERRORS_KEPT_S = 7 * 24 * 3600
READS = SHORT_READ + LONG_READ + 1
STAYED, FAILED, CONNECTOR = "stayed:", "failed:", "connector:"
UNBELIEVED = "unbelieved"  # a check that came from no trusted proxy
AHEAD = "ahead"

Key = tuple[str, str, str]  # origin, room or "", what
Span = dict[bytes, bytes]
Counts = Counter[tuple[str, str]]  # (room or "", what) → how often


class SiteError(StrEnum):
    """What went wrong at a site, or between it and us, that its owner or we can mend."""

    secret_differs = "secret_differs"  # noqa: S105 - a word, not a secret
    clock_differs = "clock_differs"
    room_differs = "room_differs"
    enqueue_token_refused = "enqueue_token_refused"  # noqa: S105
    api_key_wrong = "api_key_wrong"
    visit_unknown = "visit_unknown"
    target_foreign = "target_foreign"
    not_let_in = "not_let_in"


@dataclass(slots=True)
class SiteCounts:
    """What this process counted of sites. Hot code adds to `checks`."""

    checks: dict[Key, int] = field(default_factory=dict)
    others: dict[Key, int] = field(default_factory=dict)
    ahead_s: dict[str, float] = field(default_factory=dict)

    def checked(self, origin: str, room: str, outcome: str) -> None:
        key = (origin, room, outcome)
        self.checks[key] = self.checks.get(key, 0) + 1

    def add(self, origin: str, room: str, what: str) -> None:
        key = (origin, room, what)
        self.others[key] = self.others.get(key, 0) + 1

    def stayed(self, origin: str, room: str, seconds: float) -> None:
        """A visit has ended after so long."""
        self.add(origin, room, f"{STAYED}{bisect_left(WAITS_S, seconds)}")

    def failed(self, origin: str, room: str, error: SiteError) -> None:
        self.add(origin, room, f"{FAILED}{error}")


class Happened(NamedTuple):
    """An error of a room, or of its site if that is "". `at_s`: when it happened last, in Unix seconds."""

    error: SiteError
    room: str
    at_s: float


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """`flows`: counted within the last minute; `hour`: within the last hour. `ahead_s`: a connector's clock."""

    flows: Counts
    hour: Counts
    errors: list[Happened]
    ahead_s: float | None

    def per_s(self, what: Collection[str], room: str | None = None) -> float:
        """How often a second; `room` None: in all rooms."""
        return self._sum(self.flows, what, room) / (SHORT_S * SHORT_READ)

    def in_hour(self, what: Collection[str], room: str | None = None) -> int:
        return self._sum(self.hour, what, room)

    def stays(self, room: str | None = None) -> list[int]:
        """How many visits that ended within the hour were how long: by the bounds of WAITS_S, and longer ones."""
        return [self.in_hour((f"{STAYED}{at}",), room) for at in range(len(WAITS_S) + 1)]

    def by(self, prefix: str) -> dict[str, int]:
        """What begins so, without that, → how often within the hour in all rooms."""
        found: Counter[str] = Counter()
        for (_, what), count in self.hour.items():
            if what.startswith(prefix):
                found[what.removeprefix(prefix)] += count
        return dict(found)

    @staticmethod
    def _sum(counts: Counts, what: Collection[str], room: str | None) -> int:
        return sum(count for (of, name), count in counts.items() if name in what and room in (None, of))


class FiguresSender:
    """Sends what `counts` has and Redis has not, of the sites that `known` names."""

    def __init__(
        self,
        redis: Redis,
        counts: SiteCounts,
        known: Callable[[], Collection[str]],
        now_s: Callable[[], float],
        outages: Outages,
    ) -> None:
        self._redis = redis
        self._counts = counts
        self._known = known
        self._now_s = now_s
        self._outages = outages
        self._count = load(redis, LUA / "count.lua")
        self._sent: dict[Key, int] = {}
        self._told_ahead_s: dict[str, float] = {}

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self.close()
            await asyncio.sleep(SEND_EVERY_S)

    async def close(self) -> None:
        """Send what is left, if that can be done now."""
        with outlived(self._outages, "site_figures"):
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self.send()

    async def send(self) -> None:
        """Send what is new. Raises RedisError, OSError; what was not sent by then is new the next time."""
        known, new = self._known(), self._new()
        for origin in new.keys() & set(known):
            await self._send(origin, new[origin])
        for key in [key for key in self._sent if key[0] not in known]:
            self._forget(key)

    def _new(self) -> dict[str, dict[Key, int]]:
        new: dict[str, dict[Key, int]] = {}
        for counts in (self._counts.checks, self._counts.others):
            for key, count in counts.items():
                if more := count - self._sent.get(key, 0):
                    new.setdefault(key[0], {})[key] = more
        return new

    async def _send(self, origin: str, new: Mapping[Key, int]) -> None:
        now_s, ahead_s = int(self._now_s()), self._counts.ahead_s.get(origin)
        flat = [part for (_, room, what), more in new.items() for part in (f"{room} {what}", more)]
        errors = [f"{room} {what.removeprefix(FAILED)}" for _, room, what in new if what.startswith(FAILED)]
        is_told = ahead_s is None or self._told_ahead_s.get(origin) == ahead_s
        keys = [
            redis_keys.site_figures(origin, SHORT_S, now_s // SHORT_S),
            redis_keys.site_figures(origin, LONG_S, now_s // LONG_S),
            redis_keys.site_errors(origin),
        ]
        packed = (msgspec.msgpack.encode(flat), msgspec.msgpack.encode(errors), "" if is_told else f"{ahead_s:.0f}")
        await self._count(keys, [now_s, SHORT_KEPT_S, LONG_KEPT_S, ERRORS_KEPT_S, ERRORS_MAX, *packed])
        for key, more in new.items():
            self._sent[key] = self._sent.get(key, 0) + more
        if ahead_s is not None:
            self._told_ahead_s[origin] = ahead_s

    def _forget(self, key: Key) -> None:
        """Of a site that was deleted: an id may be given again."""
        del self._sent[key]
        self._counts.checks.pop(key, None)
        self._counts.others.pop(key, None)


async def read(redis: Redis, origin: str, now_s: float) -> SiteFigures:
    """What all processes counted of a site. Raises RoomUnavailable."""
    short, long = int(now_s) // SHORT_S, int(now_s) // LONG_S
    with as_room_unavailable():
        spans, errors = await _asked(redis, origin, short, long)
    ahead = [span[AHEAD.encode()] for span in spans[SHORT_READ:] if AHEAD.encode() in span]
    known = set(SiteError)
    happened = [(*_named(name), at_s) for name, at_s in errors]
    return SiteFigures(
        flows=_summed(spans[:SHORT_READ]),
        hour=_summed(spans[SHORT_READ:]),
        errors=[Happened(SiteError(code), room, at_s) for room, code, at_s in happened if code in known],
        ahead_s=float(ahead[-1]) if ahead else None,
    )


async def _asked(redis: Redis, origin: str, short: int, long: int) -> tuple[list[Span], list[tuple[bytes, float]]]:
    """The spans, oldest first, the short ones before the long ones; and the errors, latest first."""
    node = await home(redis, redis_keys.site_errors(origin))
    async with node.pipeline(transaction=False) as pipe:
        for at in range(short - SHORT_READ, short):  # the one that is under way would be too low
            pipe.hgetall(redis_keys.site_figures(origin, SHORT_S, at))
        for at in range(long - LONG_READ + 1, long + 1):
            pipe.hgetall(redis_keys.site_figures(origin, LONG_S, at))
        pipe.zrevrange(redis_keys.site_errors(origin), 0, ERRORS_MAX - 1, withscores=True)
        *spans, errors = await pipe.execute()
    return spans, errors


def _summed(spans: Iterable[Span]) -> Counts:
    total: Counts = Counter()
    for span in spans:
        for name, count in span.items():
            if name != AHEAD.encode():
                total[_named(name)] += int(count)
    return total


def _named(name: bytes) -> tuple[str, str]:
    room, _, what = name.decode().partition(" ")
    return room, what


def quantile_s(stays: list[int], share: float) -> float | None:
    """The time within which this share of the visits ended, as far as the bounds tell; None without a visit."""
    wanted, below, lower = share * sum(stays), 0, 0.0
    for upper, count in zip(WAITS_S, stays, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below, lower = below + count, upper
    return lower if sum(stays) else None
