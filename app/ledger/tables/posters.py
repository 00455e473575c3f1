"""Posters, and the uploaded pictures that they are made from."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from app.domain.pictures import UploadStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata

posters = Table(
    "posters",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("source", String(64), nullable=False, unique=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("large", LargeBinary, nullable=False),
    Column("thumb", LargeBinary, nullable=False),
    Column("unused_since", UtcDateTime, nullable=True),  # null while an event shows it
    CheckConstraint("width > 0 AND height > 0", name="sides_positive"),
    Index("posters_unused", "unused_since"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("who", String(254), nullable=False),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("source", String(64), nullable=False),
    Column("data", LargeBinary, nullable=True),
    Column("reason", String(20), nullable=True),
    Column("poster", String(32), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    allowed_values("status", UploadStatus),
    CheckConstraint("(ended_at IS NULL) = (status IN ('waiting', 'working'))", name="upload_ended"),
    Index("uploads_status", "status", "created_at"),
    Index("uploads_event", "event_id", "created_at"),
    Index("uploads_ended", "ended_at"),
)
