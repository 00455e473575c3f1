"""The tables, and the rules that hold even if the code above them is wrong.

A seat has at most one live reservation, a place in line at most one, a reservation at most one captured payment,
a command one result: each is a unique index here and a guard in the write that comes before it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from app.domain.reservation import PaymentStatus, ReservationStatus, SeatStatus
from app.domain.waitlist import ListState

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """Takes aware datetimes only, keeps UTC, gives back aware UTC: the one place where a time zone meets SQL."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored(value: datetime) -> str:
    """The text SQLite keeps for a UtcDateTime, for rows that are written without going through the column's type."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _one_of(column: str, words: type[StrEnum] | type[SeatStatus]) -> CheckConstraint:
    names = ", ".join(f"'{word.name}'" for word in words)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")


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
    _one_of("status", SeatStatus),
    ForeignKeyConstraint(["event_id", "grade"], ["grades.event_id", "grades.name"]),
    Index("seats_place", "event_id", "section", "row", "number", unique=True),
    sqlite_with_rowid=False,
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("epoch", Integer, nullable=True),
    Column("number", Integer, nullable=True),
    Column("holder", String(64), nullable=False),
    Column("status", String(10), nullable=False),
    Column("total_price", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    _one_of("status", ReservationStatus),
    CheckConstraint("(epoch IS NULL) = (number IS NULL)", name="place_whole"),
    CheckConstraint("total_price >= 0", name="price_positive"),
    Index(
        "reservations_place",
        "event_id",
        "epoch",
        "number",
        unique=True,
        sqlite_where=text("status IN ('pending', 'confirmed')"),
        postgresql_where=text("status IN ('pending', 'confirmed')"),
    ),
    Index(
        "reservations_due",
        "expires_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index("reservations_holder", "holder", "created_at"),
    Index("reservations_made", "created_at", "id"),
    Index("reservations_event_made", "event_id", "created_at", "id"),
    Index("reservations_event_status", "event_id", "status"),
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
    ForeignKeyConstraint(["event_id", "idx"], ["seats.event_id", "seats.idx"]),
    Index(
        "reservation_seats_live",
        "event_id",
        "idx",
        unique=True,
        sqlite_where=text("live"),
        postgresql_where=text("live"),
    ),
    sqlite_with_rowid=False,
)

payments = Table(
    "payments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("reservation_id", ForeignKey("reservations.id"), nullable=False),
    Column("method", String(40), nullable=False),
    Column("reference", String(100), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("refunded_at", UtcDateTime, nullable=True),
    Column("tries", Integer, nullable=False, server_default="0"),  # to pay it back
    Column("next_at", UtcDateTime, nullable=True),  # when the payer looks at it
    _one_of("status", PaymentStatus),
    CheckConstraint("(status = 'refunded') = (refunded_at IS NOT NULL)", name="refunded_then"),
    CheckConstraint("status != 'refund_due' OR next_at IS NOT NULL", name="refund_scheduled"),
    CheckConstraint("amount >= 0", name="amount_positive"),
    Index("payments_reference", "reservation_id", "reference", unique=True),
    Index(
        "payments_captured",
        "reservation_id",
        unique=True,
        sqlite_where=text("status = 'captured'"),
        postgresql_where=text("status = 'captured'"),
    ),
    Index(
        "payments_due",
        "next_at",
        sqlite_where=text("status = 'refund_due'"),
        postgresql_where=text("status = 'refund_due'"),
    ),
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

lanes = Table(
    "lanes",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

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

users = Table(
    "users",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("role", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime, nullable=True),
    CheckConstraint("role IN ('buyer', 'admin')", name="role_known"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    Index("users_made", "created_at", "id"),
)

user_holders = Table(
    "user_holders",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Index("user_holders_user", "user_id", "linked_at"),
    sqlite_with_rowid=False,
)

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
    _one_of("state", ListState),
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

trail = Table(
    "trail",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String(254), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("event_id", ForeignKey("events.id"), nullable=True),
    Column("change", JSON, nullable=False),
    Index("trail_event", "event_id", "id"),
    Index("trail_who", "who", "id"),
    Index("trail_action", "action", "id"),
    Index("trail_subject", "subject", "id"),
    Index("trail_at", "at"),
)
