"""The migration steps whose programs run on these tables, so that an older release runs on while a newer one starts."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from app.ledger.tables.base import metadata

compatible_steps = Table(
    "compatible_steps",
    metadata,
    Column("step", String(32), primary_key=True),  # whose program runs
    Column("tables_step", String(32), nullable=False),  # on the tables of this one
)
