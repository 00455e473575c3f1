"""Waiting in tests: for a condition, never for a time. Fails with a sentence saying what did not come true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

WAIT_MAX_S = 60.0  # only ever used up by a test that fails
POLL_S = 0.01

T = TypeVar("T")


async def wait_until(predicate: Callable[[], Awaitable[T | None]], *, description: str) -> T:
    """The first true value `predicate` gives."""
    try:
        async with asyncio.timeout(WAIT_MAX_S):
            while not (value := await predicate()):  # noqa: ASYNC110 # what is waited for is behind a socket
                await asyncio.sleep(POLL_S)
            return value
    except TimeoutError:
        raise AssertionError(f"waited {WAIT_MAX_S} s in vain until {description}") from None
