"""The sites of others that stand behind waiting rooms, and those rooms.

What a room of an event and one of an origin have in common is in rooms.py, whose ids are one namespace for both.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from app.domain.passing import Mode, PassAlgorithm
from app.ledger.tables.base import UtcDateTime, allowed_values, metadata

origins = Table(
    "origins",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("hosts", JSON, nullable=False),
    Column("target_url", Text, nullable=False),
    Column("customer_id", String(40), nullable=True, unique=True),  # its name in connectors
    Column("look", JSON, nullable=False),  # of its waiting pages: app/origins/look.py
    Column("logo", JSON(none_as_null=True), nullable=True),  # its name and size; the picture is in origin_logos
    Column("frame_ancestors", JSON, nullable=False),  # whose pages may have its waiting pages in a frame
    Column("bind_tokens", Boolean, nullable=False),  # a connector takes a token from the address only that it is for
    Column("secret", LargeBinary(200), nullable=False),  # sealed
    Column("secret_before", LargeBinary(200), nullable=True),
    Column("api_key", LargeBinary(32), nullable=False),  # its hash
    Column("api_key_before", LargeBinary(32), nullable=True),
    Column("before_until", UtcDateTime, nullable=True),  # how long the secret and the key before are good
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("(secret_before IS NULL) = (before_until IS NULL)", name="secret_before_ends"),
    CheckConstraint("(api_key_before IS NULL) = (before_until IS NULL)", name="api_key_before_ends"),
)

origin_logos = Table(
    "origin_logos",
    metadata,
    Column("origin_id", ForeignKey("origins.id"), primary_key=True),
    Column("name", String(32), nullable=False),  # of its content
    Column("data", LargeBinary, nullable=False),
    Index("origin_logos_name", "name"),
)

origin_rooms = Table(
    "origin_rooms",
    metadata,
    Column("id", ForeignKey("rooms.event_id"), primary_key=True),
    Column("origin_id", ForeignKey("origins.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("translations", JSON, nullable=False),
    Column("opens_at", UtcDateTime, nullable=False),
    Column("closes_at", UtcDateTime, nullable=True),
    Column("mode", String(10), nullable=False),
    Column("pass_s", Integer, nullable=False),
    Column("pass_algorithm", String(10), nullable=False),
    Column("target_url", Text, nullable=True),
    Column("rules", JSON, nullable=False),  # which requests need a pass: app/connect/rules.py
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcDateTime, nullable=False),
    allowed_values("mode", Mode),
    allowed_values("pass_algorithm", PassAlgorithm),
    CheckConstraint("closes_at IS NULL OR closes_at > opens_at", name="room_window"),
    CheckConstraint("pass_s > 0", name="pass_lasts"),
    Index("origin_rooms_origin", "origin_id", "id"),
)
