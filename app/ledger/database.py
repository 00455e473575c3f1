"""The one way into SQL, SQLite or PostgreSQL: a reading transaction and a writing one, awaited per statement or done
whole aside of the event loop. Every statement of the product runs inside `read()`, `write()`, `run()` or `look()`.

What a `write()` reads cannot change before it writes: writers take turns, on SQLite by its write lock, on PostgreSQL by
an advisory lock, which `write(about=…)` narrows. `run()` takes no turn on PostgreSQL: its work must lock what it relies
on (FOR UPDATE). After an error PostgreSQL takes nothing more in that transaction: catch IntegrityError outside of it.
Portable statements are in `app.ledger.statements`; errors of the store as a whole in `app.ledger.errors`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.ledger import migrations
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.errors import REPEATABLE, StoreBusy, sqlstate
from app.ledger.postgres import PostgresStore, postgres_url
from app.ledger.sqlite import SqliteStore
from app.ledger.tables import metadata

ATTEMPTS_MAX = 4  # of work that others' transactions got in the way of
PAUSE_S = 0.02  # before the second attempt, and twice as long before each further one; shortened at random

Transaction = AsyncConnection
T = TypeVar("T")


class Store(Protocol):
    """What differs between the databases."""

    engines: tuple[Engine, Engine]

    def write(self, about: str) -> AbstractAsyncContextManager[Transaction]: ...

    def read(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def aside(self, work: Callable[[Connection], T], write: bool) -> T:
        """One transaction, all of it off the event loop."""

    def lock_schema(self, tx: Connection) -> None:
        """Keep every other process from changing tables until this transaction ends."""

    async def close(self) -> None: ...


class Database:
    """Open with `open_database`; close with `close`. `engines` are there to be watched, not to be used."""

    def __init__(self, url: URL, store: Store) -> None:
        self.url = url
        self.engines = store.engines
        self._store = store

    @asynccontextmanager
    async def write(self, about: str = "") -> AsyncIterator[Transaction]:
        """One transaction that may write: committed on the way out, rolled back if the block raises.

        Where many write at once, `about` names what it reads and writes (`charge:17`): it waits for writes about the
        same and for those about everything, and no others. Raises StoreError.
        """
        async with self._store.write(about) as tx:
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """One transaction that reads a single moment of the store. Writing in it is a bug. Raises StoreError."""
        async with self._store.read() as tx:
            yield tx

    async def run(self, work: Callable[[Connection], T], *, repeatable: bool = False) -> T:
        """One writing transaction, all of it aside: the lane has ten statements per batch, and handing each to a
        driver's thread and back is what would cost. Committed unless `work` raises. `repeatable`: `work` changes
        nothing outside the store, so it is done again if another transaction got in its way. Raises StoreError.
        """
        if not repeatable:
            return await self._store.aside(work, True)
        return await again(lambda: self._store.aside(work, True))

    async def look(self, work: Callable[[Connection], T]) -> T:
        """One reading transaction aside, for reads so long that the event loop would stall on their rows."""
        return await self._store.aside(work, False)

    async def migrate(self) -> list[str]:
        """Bring the tables to what this program knows; gives the steps taken. Any number of processes may do so at
        once. Raises SchemaError.
        """

        def work(tx: Connection) -> list[str]:
            self._store.lock_schema(tx)
            return migrations.migrate(tx)

        return await self.run(work, repeatable=True)

    async def require_tables(self) -> None:
        """Raise SchemaError if the tables are not those that this program knows."""
        wrong = await self.look(migrations.behind)
        if wrong:
            raise migrations.SchemaError(wrong)

    async def create_all(self) -> None:
        """Make the tables without taking the steps one by one, and say that they were taken: for tests."""

        def work(tx: Connection) -> None:
            self._store.lock_schema(tx)
            metadata.create_all(tx)
            migrations.mark(tx)

        await self.run(work, repeatable=True)

    async def close(self) -> None:
        await self._store.close()


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """Do it until no deadlock or serialization failure is in the way, a few times at most: the only such loop."""
    for number in range(1, ATTEMPTS_MAX):
        try:
            return await attempt()
        except StoreBusy as error:
            if sqlstate(error) not in REPEATABLE:
                raise
        await asyncio.sleep(PAUSE_S * 2**number * random.random())  # noqa: S311  # only spreads attempts
    return await attempt()


def open_database(url: URL | str, limits: ConnectionLimits | None = None) -> Database:
    """The store behind `url` (`sqlite+aiosqlite:///…`, `postgresql+asyncpg://…`). Connects at the first transaction."""
    parsed, limits = make_url(url), limits or ConnectionLimits()
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        parsed = postgres_url(parsed)
        return Database(parsed, PostgresStore(parsed, limits))
    return Database(parsed, SqliteStore(parsed, limits))
