"""The tables of paying: our charges, and the simulated gateway's own book.

A reservation has at most one charge under way and an idempotency key one charge: guarded where charges begin, and
again here. Imported by database.py, so that they are made with all the others.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from app.domain.charge import ChargeStatus, PaymentMethod
from app.ledger.tables.events import UtcDateTime, metadata
from app.ledger.tables.events import _one_of as one_of

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
    one_of("status", ChargeStatus),
    one_of("method", PaymentMethod),
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

gateway_book = Table(  # the simulated gateway's own: nothing of the shop but its audit reads it
    "gateway_book",
    metadata,
    Column("charge_id", String(40), primary_key=True),
    Column("method", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("settles_at", UtcDateTime, nullable=True),
    Column("news_at", UtcDateTime, nullable=True),
    Column("news_left", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("status IN ('pending', 'captured', 'declined', 'refunded')", name="status_known"),
    CheckConstraint("(status = 'pending') = (settles_at IS NOT NULL)", name="pending_until"),
    Index(
        "gateway_book_settles",
        "settles_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "gateway_book_news",
        "news_at",
        sqlite_where=text("news_left > 0"),
        postgresql_where=text("news_left > 0"),
    ),
)

gateway_moods = Table(
    "gateway_moods",
    metadata,
    Column("method", String(40), primary_key=True),
    Column("mood", JSON, nullable=False),
)
