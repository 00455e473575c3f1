"""Charges, which are attempts to take money through a payment provider, and payments, which the lane records.

Unique indexes guarantee what is also checked before each write: a reservation has at most one captured payment and at
most one charge under way, and an idempotency key belongs to one charge.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from app.domain.charge import SIMULATOR, ChargeStatus
from app.domain.reservation import PaymentStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata

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
    Column("tries", Integer, nullable=False, server_default="0"),  # attempts to refund it
    Column("next_at", UtcDateTime, nullable=True),  # when the payer job next works on it
    allowed_values("status", PaymentStatus),
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

charges = Table(
    "charges",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("reservation_id", ForeignKey("reservations.id"), nullable=False),
    Column("event_id", ForeignKey("events.id"), nullable=False),
    Column("method", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("key", String(140), nullable=True, unique=True),
    Column("status", String(10), nullable=False),
    Column("reference", String(100), nullable=True),
    Column("error", Text, nullable=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("provider", String(20), nullable=False, server_default=SIMULATOR),
    allowed_values("status", ChargeStatus),
    CheckConstraint("amount >= 0", name="amount_positive"),
    Index("charges_reservation", "reservation_id", "created_at"),
    Index(
        "charges_under_way",
        "reservation_id",
        unique=True,
        sqlite_where=text("status IN ('started', 'captured')"),
        postgresql_where=text("status IN ('started', 'captured')"),
    ),
    Index(
        "charges_due",
        "next_at",
        sqlite_where=text("status IN ('started', 'captured', 'refund_due')"),
        postgresql_where=text("status IN ('started', 'captured', 'refund_due')"),
    ),
)
