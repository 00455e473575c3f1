"""Prepares the database for the other processes, and refuses one that is not prepared.

Idempotent, and safe when several machines do it at once.
"""

from __future__ import annotations

from datetime import UTC, datetime

from app.connections import open_store
from app.run.demo import seed
from config.settings import Settings


async def prepare(settings: Settings) -> None:
    """Bring the tables to the newest step and, unless switched off, create the demo. Raises SchemaError, StoreError."""
    await migrate(settings)
    if settings.demo:
        db = open_store(settings)
        try:
            await seed(db, datetime.now(UTC))
        finally:
            await db.close()


async def migrate(settings: Settings) -> list[str]:
    """Bring the tables to the newest step; returns the applied steps. Raises SchemaError, StoreError."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_store(settings, patient=True)
    try:
        return await db.migrate()
    finally:
        await db.close()


async def require_tables(settings: Settings) -> None:
    """Raise SchemaError if the tables are not those of the newest step, StoreError if they cannot be read."""
    db = open_store(settings)
    try:
        await db.require_tables()
    finally:
        await db.close()
