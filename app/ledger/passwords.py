"""Passwords as argon2id hashes (RFC 9106, the library's defaults), a few at a time and never on the event loop.

A hash takes tens of milliseconds of processor time and 64 MiB: unbounded, a burst of logins would stop everything else.
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

from app.domain.account import password_of

WAITING_MAX = 64  # further ones would wait longer than a client does
OF_ONE_MAX = 32  # waiting or being checked for one address, so that half of the slots stay free for others

_hasher = PasswordHasher()
T = TypeVar("T")


class TooManyHashes(Exception):
    """Too many passwords wait to be checked, so this one was refused. A later attempt may succeed."""


class TooManyOfOne(Exception):
    """One address has too many passwords waiting, so this one was refused. Other addresses are not affected."""


class Passwords:
    """Hashes and checks at most `at_once` passwords at a time. `whose` is the client's address; "" if not known."""

    def __init__(self, at_once: int, waiting_max: int = WAITING_MAX, of_one_max: int = OF_ONE_MAX) -> None:
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="passwords")
        self._threads.submit(_decoy)  # made with the first unknown email, it would tell that there is no such account
        self._most = at_once + waiting_max
        self._most_of_one = of_one_max
        self._asked: Counter[str] = Counter()  # address → passwords waiting or being checked

    async def hash(self, password: str, whose: str = "") -> str:
        """The hash of a password. Raises TooManyHashes, TooManyOfOne."""
        return await self._in_thread(whose, lambda: hash_password(password))

    async def check(self, password_hash: str | None, password: str, whose: str = "") -> bool:
        """Whether the password matches the hash. Raises TooManyHashes, TooManyOfOne.

        Without a hash (no such account) it takes as long and returns False, so the time does not reveal which accounts
        exist.
        """
        right = await self._in_thread(whose, lambda: matches(password_hash or _decoy(), password))
        return right and password_hash is not None

    async def _in_thread(self, whose: str, work: Callable[[], T]) -> T:
        if whose and self._asked[whose] >= self._most_of_one:
            raise TooManyOfOne
        if self._asked.total() >= self._most:
            raise TooManyHashes
        self._asked[whose] += 1
        # If the caller is cancelled, the thread still works: its slot is freed only when it is done.
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(partial(self._answered, whose))
        return await asyncio.shield(done)

    def _answered(self, whose: str, done: asyncio.Future[T]) -> None:
        self._asked[whose] -= 1
        if not self._asked[whose]:
            del self._asked[whose]
        if not done.cancelled():
            done.exception()  # marks it as retrieved: if the caller was cancelled, nobody else would

    async def close(self) -> None:
        """Wait for the running checks to end."""
        await asyncio.to_thread(self._threads.shutdown)


def hash_password(password: str) -> str:
    """The hash of a password. Blocks for tens of milliseconds: call it in a thread."""
    return _hasher.hash(password_of(password))


def matches(password_hash: str, password: str) -> bool:
    """Whether a password matches a hash. Blocks for tens of milliseconds: call it in a thread."""
    try:
        return _hasher.verify(password_hash, password_of(password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    return _hasher.hash("nobody's password")
