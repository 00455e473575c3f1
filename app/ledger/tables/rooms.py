"""The data of each waiting room from which it is restored if Redis loses its data."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Integer, String, Table, text

from app.ledger.tables.base import UtcDateTime, metadata, partial_index

IS_WORKING = text("retired_at IS NULL")

rooms = Table(
    "rooms",
    metadata,
    Column("event_id", String(40), primary_key=True),  # of an event, or of an origin's room
    Column("epoch", Integer, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("number_bound", Integer, nullable=False),
    Column("number", Integer, nullable=False, server_default="0"),
    Column("cursor", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("config", JSON, nullable=False),
    Column("retired_at", UtcDateTime, nullable=True),  # when nobody looked after it any more, long after its sale
    Column("admitted", BigInteger, nullable=False, server_default="0"),  # in all, by then
    CheckConstraint("epoch >= 1 AND number_bound >= 0 AND cursor >= 0", name="counts_positive"),
    partial_index("rooms_working", "event_id", where=IS_WORKING),
)
