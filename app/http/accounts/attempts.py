"""What is counted by the address it comes from, so that one script cannot take what is meant for many people.

Counted in Redis, by all web processes together; see app/limits. An address of IPv6 is its /64.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from starlette.requests import Request

from app.domain.waitlist import LIVE_STATES
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger import waitlist
from app.limits.addresses import network_of
from app.limits.limits import Attempt, Limit, LimitsUnavailable

WAITLIST_WINDOW_S = 86_400  # sales go on for days, and so must the limit

log = structlog.get_logger()


def address_of(request: Request[State]) -> str:
    """Whom the address stands for that asks; empty where nobody's is known."""
    return network_of(request.client.host) if request.client else ""


def by_address(request: Request[State], limit: Limit, about: str = "") -> list[Attempt]:
    """Nobody's address is known behind a proxy that speaks over a unix socket: nothing is counted by it then."""
    address = address_of(request)
    return [(limit, f"{about} {address}".strip())] if address else []


async def take(state: State, attempts: Sequence[Attempt]) -> None:
    """Count these. Raises Problem 429, and then nothing was counted; LimitsUnavailable."""
    wait_ms = await state["limits"].take(attempts)
    if wait_ms:
        wait_s = -(-wait_ms // 1000)
        raise Problem("too_many_attempts", wait_s=wait_s, retryAfterSeconds=wait_s)


async def count_newcomer(request: Request[State], event_id: str, holder: str) -> None:
    """Count who joins an event's waiting list; who stands on it already only asks again. A browser's id costs nothing,
    so without this one address could take every place. While Redis is away nobody is counted and everybody is taken:
    the list itself is in SQL. Raises Problem 429.
    """
    state = request.state
    known = await waitlist.own(state["db"], event_id, [holder])
    if known is not None and known.state in LIVE_STATES:
        return
    times = state["settings"].waitlist_per_address_max
    limit = Limit(name="waitlist", times=times, window_s=WAITLIST_WINDOW_S)
    try:
        await take(state, by_address(request, limit, event_id))
    except LimitsUnavailable as error:
        log.warning("waitlist_not_counted", event_id=event_id, error=str(error))
