"""The waiting lists. A unique index allows each holder one live entry per event."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from app.domain.waitlist import LIVE_STATES, ListState
from app.ledger.tables.base import UtcDateTime, allowed_values, by_bytes, if_word, metadata, partial_index

waitlist = Table(
    "waitlist",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("holder", by_bytes(64), nullable=False),
    Column("wish", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("offered_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("reservation_id", ForeignKey("reservations.id"), nullable=True, unique=True),
    allowed_values("state", ListState),
    CheckConstraint("state NOT IN ('offered', 'bought', 'lapsed') OR reservation_id IS NOT NULL", name="offer_whole"),
    partial_index("waitlist_live", "event_id", "holder", unique=True, where=if_word("state", *LIVE_STATES)),
    partial_index("waitlist_line", "event_id", "id", where=if_word("state", ListState.waiting)),
    partial_index("waitlist_offers", "id", where=if_word("state", ListState.offered)),
    partial_index("waitlist_ended", "event_id", "id", where=if_word("state", *(frozenset(ListState) - LIVE_STATES))),
    Index("waitlist_holder", "holder", "event_id"),
)
