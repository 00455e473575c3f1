"""Retries calls to a payment provider, with exponential backoff and full jitter.

A network failure is retried three times, a timeout once, a provider's internal error never. The sleep function and the
source of random numbers are arguments, so that tests control both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from app.payments.provider import GatewayError, GatewayFault, GatewayTimeout, NetworkFailure

RETRIES: dict[type[GatewayError], int] = {NetworkFailure: 3, GatewayTimeout: 1, GatewayFault: 0}
CALL_TIMEOUT_S = 3.0
PAUSE_S = 0.1  # upper bound of the first pause; it doubles with each failure
PAUSE_MAX_S = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`chance` returns a random number in [0, 1). `call_timeout_s` bounds each attempt."""

    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    call_timeout_s: float = CALL_TIMEOUT_S

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the first successful attempt.

        If all fail, raises the last failure that may have had an effect, else the last NetworkFailure: that means that
        no attempt reached the provider.
        """
        failures: list[GatewayError] = []
        while True:
            try:
                async with asyncio.timeout(self.call_timeout_s):
                    return await call()
            except TimeoutError:
                failures.append(GatewayTimeout(f"no answer within {self.call_timeout_s} s"))
            except GatewayError as error:
                failures.append(error)
            same = sum(type(failure) is type(failures[-1]) for failure in failures)
            if same > RETRIES.get(type(failures[-1]), 0):
                raise _worst(failures)
            await self.sleep(pause_s(len(failures), self.chance()))


def pause_s(failures: int, chance: float) -> float:
    """Seconds to wait before the next attempt: a random part of the exponential bound, so that retries spread out."""
    return chance * float(min(PAUSE_MAX_S, PAUSE_S * 2 ** (failures - 1)))


def _worst(failures: list[GatewayError]) -> GatewayError:
    perhaps_done = [failure for failure in failures if not isinstance(failure, NetworkFailure)]
    return perhaps_done[-1] if perhaps_done else failures[-1]
