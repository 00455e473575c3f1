"""Which processes there are, on whichever machine, and what each says of itself.

Every process announces itself in Redis each few seconds and is told what the others said, so nobody has to ask. One
that ends withdraws; one that falls silent stays known as gone for a while. What is said tells no secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.lua import load
from app.outages import REDIS, Outages
from app.redis_keys import PROCESSES

LUA = Path(__file__).parent / "lua"
EVERY_S = 3.0
CALL_TIMEOUT_S = 5.0
LIVE_S = 10.0  # who has said nothing for longer is gone
KEPT_S = 600
PROCESSES_MAX = 1_000
DIFFERENT_ROUNDS = 3  # for so many rounds keys must differ: the file of one machine may have been read a moment earlier

log = structlog.get_logger()


class Announcement(msgspec.Struct, frozen=True, rename="camel"):
    """What a process says of itself. `keys`: a fingerprint of the keys it knows; `failing`: store → kind of error;
    `clock_off_s`: how far its wall clock is ahead of Redis's."""

    name: str
    kind: Literal["web", "worker"]
    host: str
    version: str
    keys: str
    failing: dict[str, str]
    clock_off_s: float = 0.0


class Seen(NamedTuple):
    """What a process said, and how long ago."""

    told: Announcement
    age_s: float

    @property
    def is_live(self) -> bool:
        return self.age_s <= LIVE_S


_decode = msgspec.json.Decoder(Announcement).decode


class Processes:
    """`about` gives what this process says; `process_id` is no other's. `seen` is what all said when it last asked."""

    def __init__(self, redis: Redis, about: Callable[[], Announcement], outages: Outages, process_id: str) -> None:
        self.seen: Sequence[Seen] = ()
        self.other_keys: Sequence[str] = ()  # who has keys that differ from ours, as name@host
        self._redis = redis
        self._about = about
        self.outages = outages
        self._process_id = process_id
        self._announce = load(redis, LUA / "announce.lua")
        self._different = 0

    async def run(self) -> None:
        """Announce this process until cancelled. While Redis cannot be written to, what was seen last stays."""
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await self.announce()
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                self.outages.failed(REDIS, "processes", error)
            else:
                self.outages.worked("processes")
            await asyncio.sleep(EVERY_S)

    async def announce(self, now_ms: int | None = None) -> None:
        """Say that this process lives, and learn of the others. Raises RedisError, TimeoutError."""
        about = await asyncio.to_thread(self._about)  # it may look at the key file
        args = ["" if now_ms is None else now_ms, self._process_id, msgspec.json.encode(about), KEPT_S * 1000]
        answer = await self._announce([PROCESSES], [*args, PROCESSES_MAX])
        self.seen = [Seen(_decode(told), age_ms / 1000) for age_ms, told in zip(answer[::2], answer[1::2], strict=True)]
        self._compare(about)

    async def close(self) -> None:
        """Withdraw: this process is not gone but ended. Without Redis it is taken for gone, and then forgotten."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._redis.hdel(PROCESSES, self._process_id)  # type: ignore[misc]  # typed for both clients
        except (RedisError, OSError) as error:
            self.outages.failed(REDIS, "processes", error)

    def _compare(self, about: Announcement) -> None:
        """Say in the log when others have other keys, and when they have no longer."""
        others = sorted({f"{each.told.name}@{each.told.host}" for each in self.seen if _differs(each, about)})
        self._different = self._different + 1 if others else 0
        shown = others if self._different >= DIFFERENT_ROUNDS else []
        if bool(shown) != bool(self.other_keys):
            if shown:
                log.error("keys_differ", here=about.keys, others=shown)
            else:
                log.info("keys_agree", here=about.keys)
        self.other_keys = shown


def _differs(seen: Seen, about: Announcement) -> bool:
    return seen.is_live and bool(about.keys) and bool(seen.told.keys) and seen.told.keys != about.keys
