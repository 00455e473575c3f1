"""The state of each event's lane, what it sold in all, and the outcome of each command, so that a repeated command
takes effect once.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from app.ledger.tables.base import UtcDateTime, metadata

lanes = Table(
    "lanes",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

sales_totals = Table(
    "sales_totals",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("version", Integer, nullable=False),  # of the lane, when this was added up
    Column("sales", JSON, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("event_id", String(40), primary_key=True),
    Column("id", String(100), primary_key=True),
    Column("reply", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("commands_at", "at"),
    sqlite_with_rowid=False,
)
