"""Passwords as argon2id hashes (RFC 9106, the library's defaults), a few at once and never on the event loop.

A hash takes tens of milliseconds of a processor and 64 MiB: unbounded, a burst of log-ins would stop everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

WAITING_MAX = 64  # more than that would wait longer than anyone does

_hasher = PasswordHasher()
T = TypeVar("T")


class TooManyHashes(Exception):
    """So many passwords wait to be checked that one more is refused; trying again later is safe."""


class Passwords:
    """Hashes and checks, `at_once` at a time; close with `close`."""

    def __init__(self, at_once: int, waiting_max: int = WAITING_MAX) -> None:
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="passwords")
        self._most = at_once + waiting_max
        self._asked = 0

    async def hash(self, password: str) -> str:
        """Raises TooManyHashes."""
        return await self._in_thread(lambda: hash_password(password))

    async def check(self, password_hash: str | None, password: str) -> bool:
        """Whether it is this one's. Costs the same for nobody's (None): timing tells nothing. Raises TooManyHashes."""
        return await self._in_thread(lambda: matches(password_hash or _decoy(), password)) and password_hash is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._asked >= self._most:
            raise TooManyHashes
        self._asked += 1
        # A caller who goes away does not end the thread's work, so the place is given back when that is done.
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(self._answered)
        return await asyncio.shield(done)

    def _answered(self, done: asyncio.Future[T]) -> None:
        self._asked -= 1
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
