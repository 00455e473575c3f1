"""Reservations and the seats they claim.

Two unique indexes guarantee what the lane also checks before it writes: at most one live reservation per seat, and per
place in line.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    text,
)

from app.domain.reservation import LIVE, ReservationStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, by_bytes, if_word, metadata, partial_index

reservations = Table(
    "reservations",
    metadata,
    Column("id", by_bytes(22), primary_key=True),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("epoch", Integer, nullable=True),
    Column("number", Integer, nullable=True),
    Column("holder", by_bytes(64), nullable=False),
    Column("status", String(10), nullable=False),
    Column("total_price", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("groups", Integer, nullable=True),  # that its seats make, each side by side
    Column("network", by_bytes(16), nullable=True),  # whose address made it, by a keyed hash, while it is pending
    allowed_values("status", ReservationStatus),
    CheckConstraint("(epoch IS NULL) = (number IS NULL)", name="place_whole"),
    CheckConstraint("total_price >= 0", name="price_positive"),
    partial_index("reservations_place", "event_id", "epoch", "number", unique=True, where=if_word("status", *LIVE)),
    partial_index("reservations_due", "expires_at", where=if_word("status", ReservationStatus.pending)),
    Index("reservations_number", "event_id", "number"),
    Index("reservations_holder", "holder", "created_at"),
    Index("reservations_made", "created_at", "id"),
    Index("reservations_event_made", "event_id", "created_at", "id"),
    Index("reservations_event_status", "event_id", "status", "created_at", "id", "total_price"),
    Index("reservations_status_made", "status", "created_at", "id"),
    sqlite_with_rowid=False,
)

reservation_seats = Table(
    "reservation_seats",
    metadata,
    Column("reservation_id", ForeignKey("reservations.id"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("price", Integer, nullable=False),
    Column("returned", Boolean, nullable=False, server_default=text("false")),  # while the reservation went on
    ForeignKeyConstraint(["event_id", "idx"], ["seats.event_id", "seats.idx"]),
    Index(
        "reservation_seats_live",
        "event_id",
        "idx",
        unique=True,
        sqlite_where=text("live = 1"),  # as SQLAlchemy asks there
        postgresql_where=text("live"),
    ),
    sqlite_with_rowid=False,
)
