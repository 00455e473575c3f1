"""The only way to SQL, for SQLite and PostgreSQL. Every statement runs inside `read()`, `write()`, `run()` or `look()`.

`read()` and `write()` are transactions whose statements are awaited one by one. `run()` (writes) and `look()` (reads)
execute a whole transaction in another thread. What a `write()` reads cannot change before it writes: writers wait for
each other, on SQLite by its write lock, on PostgreSQL by an advisory lock, which `write(about=…)` narrows. On
PostgreSQL `run()` does not wait for other writers: its work must lock the rows it relies on (FOR UPDATE). After an
error a PostgreSQL transaction accepts no further statement: catch IntegrityError outside of it.
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
from app.ledger.transaction_times import TransactionTimes

ATTEMPTS_MAX = 4  # at work that fails by deadlock or serialization failure
PAUSE_S = 0.02  # the pause after attempt n is random, at most PAUSE_S * 2**n

Transaction = AsyncConnection
T = TypeVar("T")


class Store(Protocol):
    """What differs between SQLite and PostgreSQL."""

    engines: tuple[Engine, Engine]

    def write(self, about: str) -> AbstractAsyncContextManager[Transaction]: ...

    def read(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def in_thread(self, work: Callable[[Connection], T], write: bool) -> T:
        """Run `work` as one transaction outside the event loop."""

    async def takes_writes(self) -> bool: ...

    def lock_schema(self, tx: Connection) -> None:
        """Keep other processes from changing tables until this transaction ends."""

    async def close(self) -> None: ...


class Database:
    """Open with `open_database`, close with `close`. `engines` and `times` are for measuring only."""

    def __init__(self, url: URL, store: Store) -> None:
        self.url = url
        self.engines = store.engines
        self.times = TransactionTimes(store.engines)
        self._store = store

    @asynccontextmanager
    async def write(self, about: str = "") -> AsyncIterator[Transaction]:
        """A transaction that may write: committed when the block ends, rolled back if it raises. Raises StoreError.

        `about` names what the transaction reads and writes (`charge:17`): it then waits only for transactions about the
        same and for those without `about`. Use it where many write at once.
        """
        async with self._store.write(about) as tx:
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that sees one moment of the database. It must not write. Raises StoreError."""
        async with self._store.read() as tx:
            yield tx

    async def run(self, work: Callable[[Connection], T], *, repeatable: bool = False) -> T:
        """Execute `work` as one writing transaction in another thread; committed unless it raises. Raises StoreError.

        For work with many statements, such as a batch of the lane: awaiting each of them would cost more than executing
        it. `repeatable`: `work` changes nothing but the database, so after a deadlock or serialization failure it is
        run again.
        """
        if not repeatable:
            return await self._store.in_thread(work, True)
        return await again(lambda: self._store.in_thread(work, True))

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Execute `work` as one reading transaction in another thread, for reads that would block the event loop."""
        return await self._store.in_thread(work, False)

    async def migrate(self) -> list[str]:
        """Bring the tables to the newest migration step and return the steps that were made. Raises SchemaError.

        Any number of processes may call it at once.
        """

        def work(tx: Connection) -> list[str]:
            self._store.lock_schema(tx)
            return migrations.migrate(tx)

        return await self.run(work, repeatable=True)

    async def require_tables(self) -> None:
        """Raise SchemaError if the tables are not those of the newest step."""
        wrong = await self.look(migrations.behind)
        if wrong:
            raise migrations.SchemaError(wrong)

    async def create_all(self) -> None:
        """For tests: create the tables directly and mark every step as done."""

        def work(tx: Connection) -> None:
            self._store.lock_schema(tx)
            metadata.create_all(tx)
            migrations.mark(tx)

        await self.run(work, repeatable=True)

    async def takes_writes(self) -> bool:
        """Whether the database does: a standby does not, nor one that was made read-only."""
        return await self._store.takes_writes()

    async def close(self) -> None:
        """Close every connection."""
        await self._store.close()


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """Await `attempt`, again after each deadlock or serialization failure, at most ATTEMPTS_MAX times in all."""
    for number in range(1, ATTEMPTS_MAX):
        try:
            return await attempt()
        except StoreBusy as error:
            if sqlstate(error) not in REPEATABLE:
                raise
        await asyncio.sleep(PAUSE_S * 2**number * random.random())  # noqa: S311  # only spreads attempts
    return await attempt()


def open_database(url: URL | str, limits: ConnectionLimits | None = None) -> Database:
    """The database at `url` (`sqlite+aiosqlite:///…`, `postgresql+asyncpg://…`). Connects at the first transaction."""
    parsed, limits = make_url(url), limits or ConnectionLimits()
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        parsed = postgres_url(parsed)
        return Database(parsed, PostgresStore(parsed, limits))
    return Database(parsed, SqliteStore(parsed, limits))
