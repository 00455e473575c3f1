"""Sessions that are over before their time: logged out, or their account was disabled.

Whoever ends one writes it to a Redis stream; every web process follows the stream and answers from its own memory, so a
request costs no call. Bounded: when more are remembered than `ENDED_MAX`, the oldest are forgotten together with every
session that began before they ended, so that nothing forgotten comes back to life. A Redis that lost everything is told
again by the processes that live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.http.kit.clock import Clock
from app.redis_keys import REVOKED_SESSIONS

ENDED_MAX = 200_000
ENTRIES_PER_READ = 1_000
BLOCK_MS = 500
READ_TIMEOUT_S = 2.0  # a read that takes longer than BLOCK_MS by so much has no Redis behind it
RETRY_S = 0.2

log = structlog.get_logger()


class RevocationUnavailable(Exception):
    """A session cannot be ended everywhere right now; the text says why."""


class RevokedSessions:
    """`fresh`: whether the last read of Redis worked."""

    def __init__(self, redis: Redis, session_s: int, ended_max: int = ENDED_MAX, clock: Clock | None = None) -> None:
        self.fresh = False
        self._redis = redis
        self.session_s = session_s
        self._clock = clock or Clock()
        self._max = ended_max
        self._last = "0-0"
        self._over: dict[str, float] = {}  # "s:" session or "u:" account → when it was ended (s), oldest first
        self._floor_s = 0.0  # every session that began before this is over

    def is_over(self, session_id: str, user_id: str, began_s: float) -> bool:
        """Whether a session that began then is over. Costs two look-ups."""
        if began_s < self._floor_s or "s:" + session_id in self._over:
            return True
        return began_s <= self._over.get("u:" + user_id, -1.0)

    async def end_session(self, session_id: str) -> None:
        """This session is over everywhere, here at once. Raises RevocationUnavailable."""
        await self._end("s:" + session_id)

    async def end_account(self, user_id: str) -> None:
        """Every session this account has now is over everywhere; a later log-in is not.

        Raises RevocationUnavailable."""
        await self._end("u:" + user_id)

    async def _end(self, name: str) -> None:
        now_s = self._clock.seconds()
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                self._add(pipe, name, now_s)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise RevocationUnavailable(type(error).__name__) from error
        self._note(name, now_s)

    def _note(self, name: str, ended_s: float) -> None:
        before_s = self._over.pop(name, ended_s)  # to the end: the newest
        self._over[name] = max(before_s, ended_s)  # told again it may come after a later one
        if len(self._over) > self._max:
            self._forget(ended_s)

    def _forget(self, now_s: float) -> None:
        """Drop what no session can be older than; if that is not enough, the oldest, and raise the floor."""
        longest_s = now_s - self.session_s
        self._over = {name: ended_s for name, ended_s in self._over.items() if ended_s > longest_s}
        if len(self._over) > self._max:
            oldest = list(self._over)[: len(self._over) - self._max + max(1, self._max // 10)]
            self._floor_s = max(self._floor_s, *(self._over.pop(name) for name in oldest))
            log.warning("ended_sessions_forgotten", forgotten=len(oldest))

    async def load(self) -> None:
        """Learn what is over so far. Raises RedisError: a process that does not know must not serve."""
        if await self._redis.xlen(REVOKED_SESSIONS) >= self._max:  # older entries may have been cut off
            ((_, oldest),) = await self._redis.xrange(REVOKED_SESSIONS, count=1)
            self._floor_s = max(self._floor_s, float(oldest[b"t"]))
        while entries := await self._redis.xrange(REVOKED_SESSIONS, min=f"({self._last}", count=ENTRIES_PER_READ):
            self._take(entries)
        self.fresh = True

    async def learn(self, accounts: Mapping[str, float]) -> None:
        """End the sessions these accounts had then (s), everywhere, as far as it is not known: whoever shut them out
        may have died before it told anybody. After `load`. Raises RedisError.
        """
        untold = [(f"u:{each}", at_s) for each, at_s in accounts.items() if at_s > self._over.get(f"u:{each}", 0.0)]
        for name, ended_s in untold:
            self._note(name, ended_s)
        await self._tell(untold)

    async def run(self) -> None:
        """Follow what ends anywhere, until cancelled. Redis going away is waited out; what is known stays known."""
        while True:
            try:
                async with asyncio.timeout(BLOCK_MS / 1000 + READ_TIMEOUT_S):
                    news = await self._redis.xread(
                        {REVOKED_SESSIONS: self._last}, count=ENTRIES_PER_READ, block=BLOCK_MS
                    )
                for _, entries in news:
                    self._take(entries)
                if not news:
                    await self._recheck()
                self.fresh = True
            except (RedisError, OSError) as error:
                self.fresh = False
                log.warning("ended_sessions_unreadable", error=repr(error), retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _recheck(self) -> None:
        """A Redis made again knows nothing: tell it what is known here. With a clock that is behind it gives ids that
        look old: read it from its beginning."""
        newest = await self._redis.xrevrange(REVOKED_SESSIONS, count=1)
        if not newest:
            await self._tell_again()
        elif _parts(newest[0][0].decode()) < _parts(self._last):
            self._last = "0-0"
            await self.load()

    async def _tell_again(self) -> None:
        longest_s = self._clock.seconds() - self.session_s
        kept = [(name, ended_s) for name, ended_s in self._over.items() if ended_s > longest_s]
        await self._tell(kept)

    async def _tell(self, over: Sequence[tuple[str, float]]) -> None:
        for start in range(0, len(over), ENTRIES_PER_READ):
            async with self._redis.pipeline(transaction=True) as pipe:
                for name, ended_s in over[start : start + ENTRIES_PER_READ]:
                    self._add(pipe, name, ended_s)
                await pipe.execute()
        if over:
            log.warning("ended_sessions_told_again", sessions=len(over))

    def _add(self, pipe: Any, name: str, ended_s: float) -> None:
        fields: dict[Any, Any] = {"n": name, "t": repr(ended_s)}
        pipe.xadd(REVOKED_SESSIONS, fields, maxlen=self._max, approximate=True)
        pipe.expire(REVOKED_SESSIONS, self.session_s + 60)

    def _take(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for entry_id, entry in entries:
            self._note(entry[b"n"].decode(), float(entry[b"t"]))
            self._last = entry_id.decode()


def _parts(entry_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split("-"))
