"""Puts the demo into the stores: events with their halls, lanes and rooms, and the two demo accounts.

What exists already is left alone, whoever changed it since, so every start may call it and several may at once.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import structlog

from app.ledger import events, users
from app.ledger.database import Database
from config.demo import ACCOUNTS, DemoEvent, demo_events

log = structlog.get_logger(__name__)


async def seed(db: Database, now: datetime, *, with_accounts: bool = True) -> list[str]:
    """Make the demo events and accounts that are missing; gives the ids of those made."""
    made = [event.id for event in demo_events(now) if await events.create(db, event_spec(event), now)]
    for account in ACCOUNTS if with_accounts else ():
        if await users.find(db, account.email) is not None:
            continue  # hashing a password only to find its account there would cost every start
        user = await users.create(
            db,
            user_id=account.id,
            email=account.email,
            name=account.name,
            password=account.password,
            role=account.role,
            now=now,
        )
        if user is not None:
            made.append(user.id)
    log.info("demo_seeded", made=made)
    return made


def event_spec(event: DemoEvent) -> events.EventSpec:
    """The event as the ledger takes it: Korean in the columns, other languages under their code in `details`."""
    return events.EventSpec(
        id=event.id,
        title=event.ko.title,
        venue=event.ko.venue,
        description=event.ko.description,
        details={"en": asdict(event.en)},
        starts_at=event.starts_at,
        opens_at=event.sale_opens_at,
        closes_at=event.sale_closes_at,
        time_zone=event.zone,
        admission=event.admission,
        seats_per_buyer=event.seats_per_buyer,
        grades=[events.GradeSpec(name=name, price=price) for name, price in event.prices.items()],
        seats=[events.SeatSpec(**asdict(seat)) for seat in event.hall.seats],
        focal=event.hall.focal,
        layout=event.hall.layout,
        room=asdict(event.room) if event.room else {},
    )
