"""Prepares the database for the other processes, and has a process that starts wait for stores that are away.

Idempotent, and safe when several machines do it at once.
"""

from __future__ import annotations

from app.connections import ask_redis, open_redis, open_store, until_stores_work, utc_now
from app.outages import Outages
from app.run.demo import seed
from app.run.demo_shop.origin import seed_shop
from config.keys import load_keys
from config.settings import Settings


async def prepare(settings: Settings) -> None:
    """Wait for the stores, bring the tables to the newest step and, unless switched off, create the demo: its accounts,
    whose passwords are published, only where nobody else can reach them. Raises SchemaError, StoreError, RedisRefused.
    """
    outages = Outages()
    await until_stores_work(outages, lambda: migrate(settings))
    if not settings.embedded_redis:
        await until_stores_work(outages, lambda: _redis_answers(settings))
    if settings.demo:
        db = open_store(settings)
        try:
            await seed(db, utc_now(), with_accounts=not settings.is_public)
            if settings.has_demo_shop and settings.demo_shop_port:
                keys = load_keys(settings.data_dir, settings.keys_file)
                await seed_shop(db, keys, settings.demo_shop_port, utc_now())
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


async def wait_for_stores(settings: Settings) -> None:
    """Return once both stores answer, however long that takes: the log says what is waited for.

    Raises what no waiting ends: SchemaError if the tables are not those that we need, StoreUnusable, RedisRefused.
    """
    outages = Outages()
    await until_stores_work(outages, lambda: _tables_are_there(settings))
    await until_stores_work(outages, lambda: _redis_answers(settings))


async def _tables_are_there(settings: Settings) -> None:
    db = open_store(settings)
    try:
        await db.require_tables()
    finally:
        await db.close()


async def _redis_answers(settings: Settings) -> None:
    async with open_redis(settings) as redis:
        await ask_redis(redis, settings)
