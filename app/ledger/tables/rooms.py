"""The data of each waiting room from which it is restored if Redis loses its data."""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Integer, Table

from app.ledger.tables.base import metadata

rooms = Table(
    "rooms",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("number_bound", Integer, nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("config", JSON, nullable=False),
    CheckConstraint("epoch >= 1 AND number_bound >= 0 AND cursor >= 0", name="counts_positive"),
)
