"""User accounts, the holder ids (browsers and accounts) that belong to each, and who logs in to them elsewhere."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, Table, Text, text

from app.ledger.tables.base import UtcDateTime, by_bytes, metadata, partial_index

_admins = text("role = 'admin'")

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
    Column("verified_at", UtcDateTime, nullable=True),
    CheckConstraint("role IN ('buyer', 'admin')", name="role_known"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    Index("users_made", "created_at", "id"),
    partial_index("users_admins", "id", where=_admins),
)

user_subjects = Table(
    "user_subjects",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Index("user_subjects_user", "user_id"),
    sqlite_with_rowid=False,
)

user_holders = Table(
    "user_holders",
    metadata,
    Column("holder", by_bytes(64), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Index("user_holders_user", "user_id", "linked_at"),
    sqlite_with_rowid=False,
)
