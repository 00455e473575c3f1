"""Whether somebody is an admin now: what the session says is confirmed by the accounts, which are read at most once a
second for each. So an admin who was shut out, demoted or deleted is one no longer, even where nobody could be told.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from cachetools import TTLCache
from starlette.requests import Request

from app.http.accounts.credentials import claimed_admin
from app.http.accounts.tokens import Session
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger.account_admin import Account

KEPT_S = 1.0
KEPT_MAX = 1_000  # accounts whose state is remembered that long


class Admins:
    """`read` gives an account, or None."""

    def __init__(
        self, read: Callable[[str], Awaitable[Account | None]], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._known: TTLCache[str, str] = TTLCache(KEPT_MAX, KEPT_S, timer)

    async def check(self, session: Session) -> None:
        """Raises Problem 401 if the account is shut out or no more, 403 if it is no admin's; StoreError."""
        state = self._known.get(session.user_id)
        if state is None:
            state = self._known[session.user_id] = _state_of(await self._read(session.user_id))
        if state == "ended":
            raise Problem("session_ended")
        if state != "admin" or session.role != "admin":
            raise Problem("admin_only")


def _state_of(account: Account | None) -> str:
    return "ended" if account is None or account.disabled_at is not None else account.role


async def require_admin(request: Request[State]) -> Session:
    """The admin who asks. A change asked for by cookie must carry a header no other site's form can send."""
    session = claimed_admin(request.state["tokens"], request.scope)
    await request.state["admins"].check(session)
    return session
