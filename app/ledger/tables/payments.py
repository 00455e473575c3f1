"""Charges, which are attempts to take money through a payment provider, and payments, which the lane records.

Unique indexes guarantee what is also checked before each write: a reservation has at most one captured payment and at
most one charge under way, and an idempotency key belongs to one charge.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from app.domain.charge import SIMULATOR, UNDER_WAY, UNDONE, ChargeStatus
from app.domain.reservation import PaymentStatus
from app.ledger.tables.base import UtcDateTime, allowed_values, if_word, metadata, partial_index

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
    Column("part", Integer, nullable=False, server_default="0"),  # 0: what is left; else a part to refund
    allowed_values("status", PaymentStatus),
    CheckConstraint("(status = 'refunded') = (refunded_at IS NOT NULL)", name="refunded_then"),
    CheckConstraint("status != 'refund_due' OR next_at IS NOT NULL", name="refund_scheduled"),
    CheckConstraint("amount >= 0", name="amount_positive"),
    Index("payments_reference", "reservation_id", "reference", "part", unique=True),
    partial_index("payments_captured", "reservation_id", unique=True, where=if_word("status", PaymentStatus.captured)),
    Index("payments_refunded", "refunded_at"),
    partial_index("payments_due", "next_at", where=if_word("status", PaymentStatus.refund_due)),
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
    Column("keeps_until", UtcDateTime, nullable=True),  # the hold lasts until then while it is under way
    allowed_values("status", ChargeStatus),
    CheckConstraint("amount >= 0", name="amount_positive"),
    Index("charges_reservation", "reservation_id", "created_at"),
    partial_index("charges_under_way", "reservation_id", unique=True, where=if_word("status", *UNDER_WAY)),
    partial_index("charges_due", "next_at", where=if_word("status", *UNDONE)),
    Index("charges_event", "event_id", "id"),
)
