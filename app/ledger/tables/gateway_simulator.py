"""The records of the simulated payment provider, which plays the part of another company's database.

`key` is a column's name in the code, where it differs from the stored one.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Integer, String, Table, Text, text

from app.ledger.tables.base import UtcDateTime, metadata, partial_index

gateway_book = Table(
    "gateway_book",
    metadata,
    Column("charge_id", String(40), primary_key=True),
    Column("method", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("settles_at", UtcDateTime, nullable=True),
    Column("news_at", UtcDateTime, key="webhook_at", nullable=True),
    Column("news_left", Integer, key="webhooks_left", nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("refunded", BigInteger, nullable=False, server_default="0"),  # so much was paid back
    CheckConstraint("status IN ('pending', 'captured', 'declined', 'refunded')", name="status_known"),
    CheckConstraint("(status = 'pending') = (settles_at IS NOT NULL)", name="pending_until"),
    partial_index("gateway_book_settles", "settles_at", where=text("status = 'pending'")),
    partial_index("gateway_book_news", "webhook_at", where=text("news_left > 0")),
)

gateway_refunds = Table(
    "gateway_refunds",
    metadata,
    Column("charge_id", String(40), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

gateway_fault_profiles = Table(
    "gateway_moods",
    metadata,
    Column("method", String(40), primary_key=True),
    Column("mood", JSON, key="profile", nullable=False),
)
