"""The events, the grades of their seats with the prices, and the seats."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from app.domain.reservation import SeatStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata

events = Table(
    "events",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("title", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("opens_at", UtcDateTime, nullable=False),
    Column("closes_at", UtcDateTime, nullable=True),
    Column("time_zone", String(64), nullable=False, server_default="Asia/Seoul"),
    Column("admission", String(10), nullable=False, server_default="room"),
    Column("focal_x", Float, nullable=False),
    Column("focal_y", Float, nullable=False),
    Column("layout", JSON, nullable=False),
    Column("details", JSON, nullable=False),
    Column("searched", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("poster", String(32), nullable=True),
    Column("poster_width", Integer, nullable=True),
    Column("poster_height", Integer, nullable=True),
    Column("cancelled_at", UtcDateTime, nullable=True),
    CheckConstraint("admission IN ('room', 'open')", name="admission_known"),
    CheckConstraint("closes_at IS NULL OR closes_at > opens_at", name="sale_window"),
    Index("events_starts", "starts_at", "id"),
)

grades = Table(
    "grades",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("price", Integer, nullable=False),
    CheckConstraint("price >= 0", name="price_positive"),
)

seats = Table(
    "seats",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("section", String(40), nullable=False),
    Column("row", String(20), nullable=False),
    Column("number", Integer, nullable=False),
    Column("grade", String(40), nullable=False),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Column("status", String(10), nullable=False, server_default="available"),
    allowed_values("status", SeatStatus),
    ForeignKeyConstraint(["event_id", "grade"], ["grades.event_id", "grades.name"]),
    Index("seats_place", "event_id", "section", "row", "number", unique=True),
    sqlite_with_rowid=False,
)
