"""Ends the sessions of accounts that SQL says were shut out, or got another role or password.

Whoever changes an account tells every web process by Redis. It may have died before that, or have had no Redis: so each
process reads from SQL as well, once a second, and whatever it learns there ends here and is told to the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from app.connections import outlived
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.kit.clock import Clock
from app.outages import Outages

READ_EVERY_S = 1.0
# how much later than the time it bears a change may be seen: by a clock that is behind, a transaction that waits
LATE = timedelta(seconds=300)


class ShutOut:
    """`read` gives the accounts whose sessions ended since a time, and when; it raises StoreError."""

    def __init__(
        self,
        read: Callable[[datetime], Awaitable[dict[str, datetime]]],
        revoked: RevokedSessions,
        clock: Clock,
        outages: Outages | None = None,
    ) -> None:
        self._outages = outages or Outages()
        self._read = read
        self._revoked = revoked
        self._clock = clock
        self._read_at = clock.now()

    async def load(self) -> None:
        """Learn of every session that may still be good. Raises StoreError, RevocationUnavailable."""
        await self._learn(self._clock.now() - timedelta(seconds=self._revoked.session_s))

    async def run(self) -> None:
        """Go on learning until cancelled. What could not be read is read later."""
        while True:
            await asyncio.sleep(READ_EVERY_S)
            with outlived(self._outages, "shut_out"):
                await self._learn(min(self._read_at, self._clock.now()) - LATE)

    async def _learn(self, since: datetime) -> None:
        now = self._clock.now()
        found = await self._read(since)
        await self._revoked.learn({user_id: at.timestamp() for user_id, at in found.items()})
        self._read_at = now
