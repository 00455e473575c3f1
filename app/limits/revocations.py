"""The list in Redis of sessions that were ended before their time: what every web process writes to and follows.

A stream whose entries hold a name and the second when it ended. It outlives the longest session and is bounded; its
readers keep what they have read, and write it again if Redis lost it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.redis_keys import REVOKED_SESSIONS

ENTRIES_MAX = 200_000
ENTRIES_PER_READ = 1_000
BLOCK_MS = 500
READ_TIMEOUT_S = 2.0  # a read that takes longer than BLOCK_MS by so much has no Redis behind it
KEPT_LONGER_S = 60


class RevocationUnavailable(Exception):
    """The list cannot be read or written right now; the text names the failure."""


class Revocation(NamedTuple):
    """`entry_id` is its place in the list, `name` what ended (a session or an account), `ended_s` when."""

    entry_id: str
    name: str
    ended_s: float


class RevocationLog:
    """The list, for sessions that live `session_s`. Every method raises RevocationUnavailable without Redis."""

    def __init__(self, redis: Redis, session_s: int, entries_max: int = ENTRIES_MAX) -> None:
        self.session_s = session_s
        self.entries_max = entries_max
        self._redis = redis

    async def add(self, ended: Sequence[tuple[str, float]], instead_of: Sequence[str] = ()) -> list[str]:
        """Write these names, each with when it ended, and delete the entries that they make needless; gives ids."""
        added: list[str] = []
        with _as_unavailable():
            for start in range(0, len(ended), ENTRIES_PER_READ):
                async with self._redis.pipeline(transaction=True) as pipe:
                    for name, ended_s in ended[start : start + ENTRIES_PER_READ]:
                        fields: dict[Any, Any] = {"n": name, "t": repr(ended_s)}
                        pipe.xadd(REVOKED_SESSIONS, fields, maxlen=self.entries_max, approximate=True)
                        pipe.expire(REVOKED_SESSIONS, self.session_s + KEPT_LONGER_S)
                    added += [entry_id.decode() for entry_id in (await pipe.execute())[::2]]
            if instead_of:
                await self._redis.xdel(REVOKED_SESSIONS, *instead_of)
        return added

    async def after(self, entry_id: str) -> list[Revocation]:
        """The entries that follow this one, as many as are read at a time."""
        with _as_unavailable():
            return _read(await self._redis.xrange(REVOKED_SESSIONS, min=f"({entry_id}", count=ENTRIES_PER_READ))

    async def wait_after(self, entry_id: str) -> list[Revocation]:
        """The same, but waits a moment for some where there are none yet."""
        with _as_unavailable():
            async with asyncio.timeout(BLOCK_MS / 1000 + READ_TIMEOUT_S):
                news = await self._redis.xread({REVOKED_SESSIONS: entry_id}, count=ENTRIES_PER_READ, block=BLOCK_MS)
        return [each for _, entries in news for each in _read(entries)]

    async def oldest_if_full(self) -> Revocation | None:
        """The oldest entry, once there are so many that older ones may have been cut off."""
        with _as_unavailable():
            if await self._redis.xlen(REVOKED_SESSIONS) < self.entries_max:
                return None
            return _read(await self._redis.xrange(REVOKED_SESSIONS, count=1))[0]

    async def newest(self) -> Revocation | None:
        with _as_unavailable():
            found = _read(await self._redis.xrevrange(REVOKED_SESSIONS, count=1))
        return found[0] if found else None


def is_before(entry_id: str, other: str) -> bool:
    """Whether an entry's id is smaller than another's."""
    return _parts(entry_id) < _parts(other)


def _parts(entry_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split("-"))


def _read(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Revocation]:
    return [Revocation(entry_id.decode(), entry[b"n"].decode(), float(entry[b"t"])) for entry_id, entry in entries]


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise RevocationUnavailable(type(error).__name__) from error
