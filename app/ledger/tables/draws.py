"""The draws of openings: all that the order of the entries follows from, so that it can be computed again."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, Table

from app.ledger.tables.base import UtcDateTime, metadata

draws = Table(
    "draws",
    metadata,
    Column("event_id", ForeignKey("rooms.event_id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("seed", LargeBinary(32), nullable=False),
    Column("secret", LargeBinary(32), nullable=False),
    Column("entries", Integer),
    Column("people", Integer),
    Column("root", LargeBinary(32)),
    Column("round", BigInteger),
    Column("signature", LargeBinary(48)),
    Column("drawn_at", UtcDateTime),
    CheckConstraint("(root IS NULL) = (entries IS NULL)", name="root_over_entries"),
    CheckConstraint("signature IS NULL OR root IS NOT NULL", name="beacon_after_root"),
    CheckConstraint("drawn_at IS NULL OR signature IS NOT NULL", name="drawn_from_beacon"),
    CheckConstraint("people >= 0 AND people <= entries", name="people_have_entries"),
)
