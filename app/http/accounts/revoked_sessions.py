"""Sessions that are over before their time: logged out, or their account was disabled.

Whoever ends one writes it to a list in Redis (app/limits/revocations.py); every web process follows the list and
answers from its own memory, so a request costs no call. Bounded: when more are remembered than the list may hold, the
oldest are forgotten together with every session that began before they ended, so that nothing forgotten comes back to
life. A Redis that lost everything is told again by the processes that live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from app.http.kit.clock import Clock
from app.limits.revocations import Revocation, RevocationLog, RevocationUnavailable, is_before

RETRY_S = 0.2

log = structlog.get_logger()


class RevokedSessions:
    """`fresh`: whether the last read of Redis worked."""

    def __init__(self, revocations: RevocationLog, clock: Clock | None = None) -> None:
        self.fresh = False
        self.session_s = revocations.session_s
        self._log = revocations
        self._clock = clock or Clock()
        self._max = revocations.entries_max
        self._last = "0-0"
        self._over: dict[str, float] = {}  # "s:" session or "u:" account → when it was ended (s), oldest first
        self._floor_s = 0.0  # every session that began before this is over

    def is_over(self, session_id: str, user_id: str, began_s: float) -> bool:
        """Whether a session that began then is over. Costs two look-ups."""
        if began_s < self._floor_s or "s:" + session_id in self._over:
            return True
        return began_s <= self._over.get("u:" + user_id, -1.0)

    async def end_session(self, session_id: str) -> None:
        """This session is over everywhere, here at once. Raises RevocationUnavailable."""
        await self._end("s:" + session_id)

    async def end_account(self, user_id: str) -> None:
        """Every session this account has now is over everywhere; a later log-in is not.

        Raises RevocationUnavailable."""
        await self._end("u:" + user_id)

    async def _end(self, name: str) -> None:
        now_s = self._clock.seconds()
        await self._log.add([(name, now_s)])
        self._note(name, now_s)

    def _note(self, name: str, ended_s: float) -> None:
        before_s = self._over.pop(name, ended_s)  # to the end: the newest
        self._over[name] = max(before_s, ended_s)  # told again it may come after a later one
        if len(self._over) > self._max:
            self._forget(ended_s)

    def _forget(self, now_s: float) -> None:
        """Drop what no session can be older than; if that is not enough, the oldest, and raise the floor."""
        longest_s = now_s - self.session_s
        self._over = {name: ended_s for name, ended_s in self._over.items() if ended_s > longest_s}
        if len(self._over) > self._max:
            oldest = list(self._over)[: len(self._over) - self._max + max(1, self._max // 10)]
            self._floor_s = max(self._floor_s, *(self._over.pop(name) for name in oldest))
            log.warning("ended_sessions_forgotten", forgotten=len(oldest))

    async def load(self) -> None:
        """Learn what is over so far. Raises RevocationUnavailable: a process that does not know must not serve."""
        oldest = await self._log.oldest_if_full()
        if oldest is not None:
            self._floor_s = max(self._floor_s, oldest.ended_s)
        while entries := await self._log.after(self._last):
            self._take(entries)
        self.fresh = True

    async def learn(self, accounts: Mapping[str, float]) -> None:
        """End the sessions these accounts had then (s), everywhere, as far as it is not known: whoever shut them out
        may have died before it told anybody. After `load`. Raises RevocationUnavailable.
        """
        untold = [(f"u:{each}", at_s) for each, at_s in accounts.items() if at_s > self._over.get(f"u:{each}", 0.0)]
        for name, ended_s in untold:
            self._note(name, ended_s)
        await self._tell(untold)

    async def run(self) -> None:
        """Follow what ends anywhere, until cancelled. Redis going away is waited out; what is known stays known."""
        while True:
            try:
                entries = await self._log.wait_after(self._last)
                self._take(entries)
                if not entries:
                    await self._recheck()
                self.fresh = True
            except RevocationUnavailable as error:
                self.fresh = False
                log.warning("ended_sessions_unreadable", error=repr(error), retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _recheck(self) -> None:
        """A Redis made again knows nothing: tell it what is known here. With a clock that is behind it gives ids that
        look old: read it from its beginning."""
        newest = await self._log.newest()
        if newest is None:
            await self._tell_again()
        elif is_before(newest.entry_id, self._last):
            self._last = "0-0"
            await self.load()

    async def _tell_again(self) -> None:
        longest_s = self._clock.seconds() - self.session_s
        await self._tell([(name, ended_s) for name, ended_s in self._over.items() if ended_s > longest_s])

    async def _tell(self, over: list[tuple[str, float]]) -> None:
        await self._log.add(over)
        if over:
            log.warning("ended_sessions_told_again", sessions=len(over))

    def _take(self, entries: list[Revocation]) -> None:
        for each in entries:
            self._note(each.name, each.ended_s)
            self._last = each.entry_id
