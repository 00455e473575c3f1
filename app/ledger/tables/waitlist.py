"""The waiting lists. A unique index allows each holder one live entry per event."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from app.domain.waitlist import ListState
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata

waitlist = Table(
    "waitlist",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("holder", String(64), nullable=False),
    Column("wish", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("offered_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("reservation_id", ForeignKey("reservations.id"), nullable=True, unique=True),
    allowed_values("state", ListState),
    CheckConstraint("state NOT IN ('offered', 'bought', 'lapsed') OR reservation_id IS NOT NULL", name="offer_whole"),
    Index(
        "waitlist_live",
        "event_id",
        "holder",
        unique=True,
        sqlite_where=text("state IN ('waiting', 'offered')"),
        postgresql_where=text("state IN ('waiting', 'offered')"),
    ),
    Index(
        "waitlist_line",
        "event_id",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "waitlist_offers",
        "id",
        sqlite_where=text("state = 'offered'"),
        postgresql_where=text("state = 'offered'"),
    ),
    Index("waitlist_holder", "holder", "event_id"),
)
