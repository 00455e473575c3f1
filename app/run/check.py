"""`tiketi check`: checks the invariants in the stores of a running system and prints what is broken."""

from __future__ import annotations

import sys
import time

from app.audit import invariants
from app.connections import open_redis, store_of_command, utc_now
from app.payments.wiring import providers_for_audit
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.run.console import NotRunningError, not_running
from app.run.progress import progress_bar
from app.run.telling import Tell
from config.settings import Settings

EVERYTHING_HOLDS = "Every invariant holds."


class BrokenError(Exception):
    """An invariant is broken; the message names the events."""


async def check(settings: Settings, tell: Tell) -> None:
    """Tell every broken invariant. Raises BrokenError if there is one, NotRunningError, SchemaError, StoreError."""
    try:
        with as_room_unavailable():
            async with open_redis(settings) as redis:
                await redis.ping()
                async with store_of_command(settings) as db:
                    providers = providers_for_audit(settings, db, utc_now)
                    with progress_bar("events", sys.stderr, time.monotonic) as progress:
                        found = await invariants.check_all(redis, db, providers=providers, progress=progress)
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error
    for event_id, violations in sorted(found.items()):
        for violation in violations:
            broken = {"eventId": event_id, "invariant": violation.invariant, "detail": violation.detail}
            tell(broken, f"{event_id}: {violation.invariant} is broken: {violation.detail}.")
    if found:
        raise BrokenError(f"Invariants are broken: {', '.join(sorted(found))}.")
    tell({"holds": True}, EVERYTHING_HOLDS)
