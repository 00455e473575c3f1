"""The one clock of the system, which is Redis's, as each process has it without asking.

Every process asks Redis for the time each few seconds and goes on from the answer by a steady clock. So expiry, sale
windows and everything else that ends by time are the same in all processes, whatever their wall clocks say. A wall
clock that is off is said in the log, the metrics and /status; nothing follows it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.outages import REDIS, Outages

EVERY_S = 3.0
CALL_TIMEOUT_S = 5.0
OFF_MAX_S = 1.0  # a wall clock that is further from Redis's is wrong

log = structlog.get_logger()


def steady_s() -> float:
    """Seconds that nobody sets, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SharedClock:
    """Until `read` was answered once, this is the wall clock: read it before anything goes by it.

    `off_s`: how far this process's wall clock is ahead of Redis's at least, given how long the answer was under way.
    """

    def __init__(
        self,
        redis: Redis,
        outages: Outages,
        wall_s: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self.off_s = 0.0
        self.redis = redis
        self.outages = outages
        self._wall_s = wall_s
        self._steady_s = steady
        self._ahead_s = wall_s() - steady()  # of the steady clock
        self._is_read = False

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self._steady_s() + self._ahead_s

    def now(self) -> datetime:
        """This moment, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    async def run(self) -> None:
        """Follow Redis's clock until cancelled. While Redis is away, the steady clock goes on alone."""
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await self.read()
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                self.outages.failed(REDIS, "clock", error)
            else:
                self.outages.worked("clock")
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        """Set this clock by Redis's. Raises RedisError, OSError."""
        began_s = self._steady_s()
        seconds, microseconds = await self.redis.time()
        self._set(int(seconds) + int(microseconds) / 1e6, began_s, self._steady_s())

    def _set(self, told_s: float, began_s: float, ended_s: float) -> None:
        """The answer was made somewhere between the two moments: change no more than contradicts it."""
        least, most = told_s - ended_s, told_s - began_s
        self._ahead_s = _within(self._ahead_s, least, most) if self._is_read else (least + most) / 2
        self._is_read = True
        wall_ahead_s = self._wall_s() - self._steady_s()
        was_off = self.is_off
        self.off_s = wall_ahead_s - _within(wall_ahead_s, least, most)
        if self.is_off and not was_off:
            log.warning("clock_wrong", ahead_s=round(self.off_s, 3))
        elif was_off and not self.is_off:
            log.info("clock_right", ahead_s=round(self.off_s, 3))

    @property
    def is_off(self) -> bool:
        """Whether this process's wall clock is wrong."""
        return is_off(self.off_s)


def is_off(off_s: float) -> bool:
    """Whether a wall clock that is so far ahead of Redis's, or behind it, is wrong."""
    return abs(off_s) > OFF_MAX_S


def _within(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
