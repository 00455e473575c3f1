"""`tiketi check`: checks the invariants in the stores of a running system and prints what is broken."""

from __future__ import annotations

from datetime import UTC, datetime

from app.audit import invariants
from app.connections import open_redis, open_store
from app.payments.wiring import providers_for_audit
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.run.children import Say
from app.run.console import NotRunningError, not_running
from config.settings import Settings


class BrokenError(Exception):
    """An invariant is broken; the message names the events."""


async def check(settings: Settings, say: Say) -> None:
    """Print every broken invariant. Raises BrokenError if there is one, NotRunningError."""
    db = open_store(settings)
    try:
        providers = providers_for_audit(settings, db, lambda: datetime.now(UTC))
        with as_room_unavailable():
            async with open_redis(settings) as redis:
                await redis.ping()
                found = await invariants.check_all(redis, db, providers=providers)
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error
    finally:
        await db.close()
    for event_id, violations in sorted(found.items()):
        for violation in violations:
            say(f"{event_id}: {violation.invariant} is broken: {violation.detail}.")
    if found:
        raise BrokenError(f"Invariants are broken: {', '.join(sorted(found))}.")
    say("Every invariant holds.")
