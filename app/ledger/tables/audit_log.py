"""The log of what administrators did. Rows are only inserted."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table

from app.ledger.tables.base import UtcDateTime, metadata

audit_log = Table(
    "trail",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(254), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("event_id", ForeignKey("rooms.event_id"), nullable=True),
    Column("change", JSON, nullable=False),
    Index("trail_event", "event_id", "id"),
    Index("trail_who", "who", "id"),
    Index("trail_action", "action", "id"),
    Index("trail_action_at", "action", "at"),
    Index("trail_subject", "subject", "id"),
    Index("trail_at", "at"),
)
