"""How often a call to a payment provider is tried again: exponential pauses with full jitter, by class of failure.

A network failure is tried three times more, a timeout once, an error of the provider's own never. The caller gives the
function that sleeps and the source of random numbers, so a test decides both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from app.payments.provider import GatewayError, GatewayFault, GatewayTimeout, NetworkFailure

RETRIES: dict[type[GatewayError], int] = {NetworkFailure: 3, GatewayTimeout: 1, GatewayFault: 0}
CALL_TIMEOUT_S = 3.0
PAUSE_S = 0.1  # the longest first pause; each later one may be twice as long
PAUSE_MAX_S = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`chance` gives a number in [0, 1)."""

    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    call_timeout_s: float = CALL_TIMEOUT_S

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of the first attempt that succeeds.

        Raises the last failure; if any attempt may have been carried out, the last of those, never NetworkFailure.
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
    """How long to wait before the next attempt: anywhere up to the exponential bound, so that callers spread out."""
    return chance * float(min(PAUSE_MAX_S, PAUSE_S * 2 ** (failures - 1)))


def _worst(failures: list[GatewayError]) -> GatewayError:
    perhaps_done = [failure for failure in failures if not isinstance(failure, NetworkFailure)]
    return perhaps_done[-1] if perhaps_done else failures[-1]
