"""Makes the database ready for the other processes, and says of one that is not what to do.

Idempotent, and safe when several machines do it at once.
"""

from __future__ import annotations

from datetime import UTC, datetime

from app.connections import open_store
from app.run.demo import seed
from config.settings import Settings


async def prepare(settings: Settings) -> None:
    """Tables, and the demo unless it is not wanted. Raises SchemaError, StoreError."""
    await migrate(settings)
    if settings.demo:
        db = open_store(settings)
        try:
            await seed(db, datetime.now(UTC))
        finally:
            await db.close()


async def migrate(settings: Settings) -> list[str]:
    """Bring the tables to what this program knows; gives the steps taken. Raises SchemaError, StoreError."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_store(settings, patient=True)
    try:
        return await db.migrate()
    finally:
        await db.close()


async def require_tables(settings: Settings) -> None:
    """Raise SchemaError unless the tables are those that this program knows; StoreError if they cannot be seen."""
    db = open_store(settings)
    try:
        await db.require_tables()
    finally:
        await db.close()
