"""Tells every process at once what is out of date: a bounded Redis stream of tags.

Whoever changed something tells it here after the change is committed: web processes through their cache, workers and
programs with a `Notices` of their own. Every notice has a number, one above the last, so a reader that missed one
knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from app.lua import load
from app.redis_keys import NOTICES

KEPT = 1_000  # a reader further behind drops everything it has
TAGS_MAX = 100  # in one notice
READ_MAX = 500  # notices per read

_tags = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Where a reader is in the stream: the entry id and the number of the last notice that it read."""

    entry_id: str = "0-0"
    number: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    position: StreamPosition
    tags: list[str]
    teller: str


class Unreadable(Exception):
    """An entry that is no notice of ours: whatever it said, everything may be out of date."""


class Notices:
    """One per Redis client. `teller` is who tells, so that it can know its own notices again."""

    def __init__(self, redis: Redis, teller: str = "") -> None:
        self._redis = redis
        self.teller = teller
        self._tell = load(redis, Path(__file__).parent / "lua" / "tell.lua")

    async def tell(self, tags: Sequence[str]) -> None:
        """Say that everything with one of these tags is out of date. Raises RedisError and OSError."""
        for start in range(0, len(tags), TAGS_MAX):
            await self._tell([NOTICES], [KEPT, msgspec.json.encode(tags[start : start + TAGS_MAX]), self.teller])

    async def last(self) -> StreamPosition:
        """Where somebody begins to read who wants to know of what comes from now on."""
        found = await self._redis.xrevrange(NOTICES, count=1)
        return _notice(*found[0]).position if found else StreamPosition()

    async def after(self, position: StreamPosition, wait_ms: int) -> list[Notice]:
        """The notices behind that one, at most READ_MAX; waits for the first, and gives none if none came in time."""
        read = await self._redis.xread({NOTICES: position.entry_id}, count=READ_MAX, block=wait_ms)
        return [_notice(*entry) for _, entries in read for entry in entries]


def _notice(entry_id: bytes, fields: dict[bytes, Any]) -> Notice:
    try:
        position = StreamPosition(entry_id.decode(), int(fields[b"n"]))
        return Notice(position, _tags.decode(fields[b"t"]), fields[b"by"].decode())
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(repr(error)) from error
