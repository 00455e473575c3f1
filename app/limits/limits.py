"""How often something may be tried: counted in Redis, so that all web processes count together.

Check and take are one script: any number of attempts at once cannot pass between the two. A limit lets `times` attempts
through at once and then one per interval (a token bucket, kept as one time per name: GCRA). Its key ends by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.lua import Args, load
from app.redis_keys import LIMITS_PREFIX

LUA = Path(__file__).parent / "lua"


class LimitsUnavailable(Exception):
    """Attempts cannot be counted because Redis cannot be reached; the text names the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`times` at once, and again after `window_s`; `name` is part of the key."""

    name: str
    times: int
    window_s: int

    @property
    def interval_ms(self) -> int:
        return max(1, -(-self.window_s * 1000 // self.times))


Attempt = tuple[Limit, str]  # a limit and whom it counts for


class Limits:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take, self._give = (load(redis, LUA / f"{name}.lua") for name in ("take", "give"))

    async def take(self, attempts: Sequence[Attempt], now_ms: int | None = None) -> int:
        """Count one attempt against all of them: 0, or the ms until it would fit, and then nothing was counted.

        Raises LimitsUnavailable: an attempt that cannot be counted must not be made.
        """
        args: Args = ["" if now_ms is None else now_ms]
        for limit, who in attempts:
            args += (_name(limit, who), limit.interval_ms, limit.times)
        try:
            wait_ms: int = await self._take([LIMITS_PREFIX], args)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(type(error).__name__) from error
        return wait_ms

    async def wait_ms(self, limit: Limit, who: str) -> int:
        """The ms until one more attempt would fit; counts none. Raises LimitsUnavailable."""
        try:
            used_ms = max(0, int(await self._redis.pttl(LIMITS_PREFIX + _name(limit, who))))
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(type(error).__name__) from error
        return max(0, used_ms - limit.interval_ms * (limit.times - 1))

    async def give_back(self, attempts: Sequence[Attempt], now_ms: int | None = None) -> None:
        """Take back one attempt that was counted. Raises LimitsUnavailable."""
        args: Args = ["" if now_ms is None else now_ms]
        for limit, who in attempts:
            args += (_name(limit, who), limit.interval_ms)
        try:
            await self._give([LIMITS_PREFIX], args)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(type(error).__name__) from error

    async def forget(self, attempts: Sequence[Attempt]) -> None:
        """Nothing was ever counted for these. Raises LimitsUnavailable."""
        try:
            await self._redis.delete(*(LIMITS_PREFIX + _name(limit, who) for limit, who in attempts))
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(type(error).__name__) from error


def _name(limit: Limit, who: str) -> str:
    """A key of fixed length that shows nobody's email to a reader of Redis."""
    return f"{limit.name}:{blake2b(who.encode(), digest_size=12).hexdigest()}"
