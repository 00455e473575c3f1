"""Passwords as argon2id hashes (RFC 9106, the library's defaults), a few at once and never on the event loop.

A hash takes tens of milliseconds of a processor and 64 MiB: unbounded, a burst of log-ins would stop everything else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

WAITING_MAX = 64  # more than that would wait longer than anyone does
OF_ONE_MAX = 32  # under way for one address: half of the places are always for others

_hasher = PasswordHasher()
T = TypeVar("T")


class TooManyHashes(Exception):
    """So many passwords wait to be checked that one more is refused; trying again later is safe."""


class TooManyOfOne(Exception):
    """One address has so many passwords under way that one more is refused: the places of others are not its."""


class Passwords:
    """Hashes and checks, `at_once` at a time; close with `close`. `whose` is the address that asks, if known."""

    def __init__(self, at_once: int, waiting_max: int = WAITING_MAX, of_one_max: int = OF_ONE_MAX) -> None:
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="passwords")
        self._most = at_once + waiting_max
        self._most_of_one = of_one_max
        self._asked: Counter[str] = Counter()  # under way, by whose they are

    async def hash(self, password: str, whose: str = "") -> str:
        """Raises TooManyHashes, TooManyOfOne."""
        return await self._in_thread(whose, lambda: hash_password(password))

    async def check(self, password_hash: str | None, password: str, whose: str = "") -> bool:
        """Whether it is this one's. Costs the same for nobody's (None): timing tells nothing. Raises TooManyHashes,
        TooManyOfOne.
        """
        right = await self._in_thread(whose, lambda: matches(password_hash or _decoy(), password))
        return right and password_hash is not None

    async def _in_thread(self, whose: str, work: Callable[[], T]) -> T:
        if whose and self._asked[whose] >= self._most_of_one:
            raise TooManyOfOne
        if self._asked.total() >= self._most:
            raise TooManyHashes
        self._asked[whose] += 1
        # A caller who goes away does not end the thread's work, so the place is given back when that is done.
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(partial(self._answered, whose))
        return await asyncio.shield(done)

    def _answered(self, whose: str, done: asyncio.Future[T]) -> None:
        self._asked[whose] -= 1
        if not self._asked[whose]:
            del self._asked[whose]
        if not done.cancelled():
            done.exception()  # told to the caller, if there still is one

    async def close(self) -> None:
        """Let what is under way finish."""
        await asyncio.to_thread(self._threads.shutdown)


def hash_password(password: str) -> str:
    """Blocks for tens of milliseconds: call it in a thread."""
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Blocks for tens of milliseconds: call it in a thread."""
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    return _hasher.hash("nobody's password")
