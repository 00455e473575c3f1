"""The events, the grades of their seats with the prices, and the seats."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Computed,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from app.domain.reservation import SeatStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata, partial_index

TO_PRUNE = text("pruned_at IS NULL")
TO_EMPTY = text("cancelled_at IS NOT NULL AND emptied_at IS NULL")

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
    Column("ends_at", UtcDateTime, Computed("coalesce(closes_at, starts_at)", persisted=True)),  # the end of its sale
    Column("time_zone", String(64), nullable=False, server_default="Asia/Seoul"),
    Column("admission", String(10), nullable=False, server_default="room"),
    Column("seats_per_buyer", Integer, nullable=True),
    Column("single_seats", String(10), nullable=False, server_default="allowed"),
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
    Column("emptied_at", UtcDateTime, nullable=True),  # when no live reservation of a cancelled event was left
    Column("pruned_at", UtcDateTime, nullable=True),  # when what its sale left was deleted: see retention.py
    Column("pruned_expired", Integer, nullable=False, server_default="0"),  # holds that were
    Column("pruned_cancelled", Integer, nullable=False, server_default="0"),
    CheckConstraint("admission IN ('room', 'open')", name="admission_known"),
    CheckConstraint("single_seats IN ('allowed', 'refused')", name="single_seats_known"),
    CheckConstraint("seats_per_buyer > 0", name="seats_per_buyer_positive"),
    CheckConstraint("closes_at IS NULL OR closes_at > opens_at", name="sale_window"),
    Index("events_starts", "starts_at", "id"),
    Index("events_ends", "ends_at", "id"),
    Index("events_poster", "poster"),
    partial_index("events_to_empty", "cancelled_at", where=TO_EMPTY),
    partial_index("events_to_prune", "ends_at", "id", where=TO_PRUNE),
)

grades = Table(
    "grades",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("price", Integer, nullable=False),
    Column("seats", Integer, nullable=False, server_default="0"),  # counted, so that nobody has to read them
    Column("held", Integer, nullable=False, server_default="0"),
    Column("sold", Integer, nullable=False, server_default="0"),
    Column("blocked", Integer, nullable=False, server_default="0"),
    CheckConstraint("price >= 0", name="price_positive"),
    CheckConstraint(
        "held >= 0 AND sold >= 0 AND blocked >= 0 AND held + sold + blocked <= seats", name="seats_counted"
    ),
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
    Column("name", String(12), nullable=False, server_default=""),  # what is written on it, if not its number
    Column("marks", String(60), nullable=False, server_default=""),  # wheelchair+companion+restricted_view
    allowed_values("status", SeatStatus),
    ForeignKeyConstraint(["event_id", "grade"], ["grades.event_id", "grades.name"]),
    Index("seats_place", "event_id", "section", "row", "number", unique=True),
    sqlite_with_rowid=False,
)
