"""Sessions that are over before their time: logged out, or their account was disabled.

Whoever ends one writes it to a list in Redis (app/limits/revocations.py); every web process follows the list and
answers from its own memory, so a request costs no call. Bounded: when more are remembered than the list may hold, the
oldest are forgotten together with every session that began before they ended, so that nothing forgotten comes back to
life. One account never does that to others: after OF_ONE_MAX log-outs of it, one entry ends all its older sessions and
takes the place of theirs. A Redis that lost everything is told again by the processes that live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from app.http.kit.clock import Clock
from app.limits.revocations import Revocation, RevocationLog, RevocationUnavailable, is_before
from app.outages import REDIS, Outages

RETRY_S = 0.2
OF_ONE_MAX = 100  # sessions of one account that are remembered one by one

log = structlog.get_logger()


class RevokedSessions:
    """`fresh`: whether the last read of Redis worked. `shut_out`: accounts whose sessions are over, whenever begun."""

    def __init__(
        self,
        revocations: RevocationLog,
        clock: Clock | None = None,
        shut_out: frozenset[str] = frozenset(),
        outages: Outages | None = None,
    ) -> None:
        self._outages = outages or Outages()
        self.fresh = False
        self._shut_out = shut_out
        self.session_s = revocations.session_s
        self._log = revocations
        self._clock = clock or Clock()
        self._max = revocations.entries_max
        self._last = "0-0"
        # "s:" account ":" session, or "u:" account → when it was ended (s), oldest first
        self._over: dict[str, float] = {}
        self._entries: dict[str, str] = {}  # the same names → where each stands in the list
        self._of_one: dict[str, set[str]] = {}  # account → its names of sessions
        self._floor_s = 0.0  # every session that began before this is over

    def is_over(self, session_id: str, user_id: str, began_s: float) -> bool:
        """Whether a session that began then is over. Costs three look-ups."""
        if user_id in self._shut_out or began_s < self._floor_s or _name(user_id, session_id) in self._over:
            return True
        return began_s <= self._over.get("u:" + user_id, -1.0)

    async def end_session(self, session_id: str, user_id: str, began_s: float = 0.0) -> None:
        """This session is over everywhere, here at once; all older ones of the account too if it ended so many.

        Raises RevocationUnavailable."""
        if len(self._of_one.get(user_id, ())) < OF_ONE_MAX:
            await self._end(_name(user_id, session_id), began_s)
        else:
            await self.end_account(user_id, began_s)

    async def end_account(self, user_id: str, began_s: float = 0.0) -> None:
        """Every session this account has now is over everywhere; a later log-in is not.

        Raises RevocationUnavailable."""
        known = [self._over[name] for name in self._of_one.get(user_id, ())]
        await self._end(f"u:{user_id}", max([began_s, *known]))

    async def _end(self, name: str, at_least_s: float) -> None:
        """`at_least_s`: when the youngest session that this must end began, by whichever machine's clock."""
        ended_s = max(self._clock.seconds(), at_least_s)
        (entry_id,) = await self._log.add([(name, ended_s)], self._needless(name))
        self._note(name, ended_s, entry_id)

    def _needless(self, name: str) -> list[str]:
        """The entries that say no more than one of this name would."""
        kind, _, user_id = name.partition(":")
        names = [name, *self._of_one.get(user_id, ())] if kind == "u" else []
        return [self._entries[each] for each in names if each in self._entries]

    def _note(self, name: str, ended_s: float, entry_id: str = "") -> None:
        before_s = self._over.pop(name, ended_s)  # to the end: the newest
        self._over[name] = max(before_s, ended_s)  # told again it may come after a later one
        if entry_id:
            self._entries[name] = entry_id
        kind, _, user_id = name.partition(":")
        if kind == "s":
            self._of_one.setdefault(user_id.partition(":")[0], set()).add(name)
        else:
            self._drop([each for each in self._of_one.get(user_id, ()) if self._over[each] <= ended_s])
        if len(self._over) > self._max:
            self._forget(ended_s)

    def _drop(self, names: list[str]) -> None:
        for name in names:
            del self._over[name]
            self._entries.pop(name, None)
            kind, _, user_id = name.rpartition(":")[0].partition(":")
            if kind == "s":
                of_one = self._of_one[user_id]
                of_one.discard(name)
                if not of_one:
                    del self._of_one[user_id]

    def _forget(self, now_s: float) -> None:
        """Drop what no session can be older than; if that is not enough, the oldest, and raise the floor."""
        longest_s = now_s - self.session_s
        self._drop([name for name, ended_s in self._over.items() if ended_s <= longest_s])
        if len(self._over) > self._max:
            oldest = list(self._over)[: len(self._over) - self._max + max(1, self._max // 10)]
            self._floor_s = max(self._floor_s, *(self._over[name] for name in oldest))
            self._drop(oldest)
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
                self._outages.worked("ended_sessions")
            except RevocationUnavailable as error:
                self.fresh = False
                self._outages.failed(REDIS, "ended_sessions", error)
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
            self._note(each.name, each.ended_s, each.entry_id)
            self._last = each.entry_id


def _name(user_id: str, session_id: str) -> str:
    return f"s:{user_id}:{session_id}"
