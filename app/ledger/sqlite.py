"""SQLite behind `Database`: one file, many readers, one writer at a time.

A write takes SQLite's write lock at BEGIN. Writers of one process wait for each other in order, without polling.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.ledger.connection_limits import ConnectionLimits
from app.ledger.errors import as_store_errors

STATEMENTS_CACHED_MAX = 500

T = TypeVar("T")


class SqliteStore:
    """Two engines on one file: an async one for the event loop, a plain one for work that runs in a thread."""

    def __init__(self, url: URL, limits: ConnectionLimits) -> None:
        options: dict[str, Any] = {"query_cache_size": STATEMENTS_CACHED_MAX}
        self._engine = create_async_engine(url, pool_size=limits.connections_max, **options)
        self._in_thread = create_engine(url.set(drivername="sqlite"), pool_size=1, **options)
        self.engines = (self._engine.sync_engine, self._in_thread)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._writing = asyncio.Lock()
        self._file = url.database or ""
        for each in self.engines:
            event.listen(each, "connect", partial(_prepare, int(limits.lock_s * 1000)))
            event.listen(each, "begin", _begin)

    @asynccontextmanager
    async def write(self, about: str) -> AsyncIterator[AsyncConnection]:
        with as_store_errors():
            async with self._writing, self._engine.connect() as connection:
                await connection.execution_options(tiketi_write=True)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with as_store_errors():
            async with self._engine.connect() as connection, connection.begin():
                yield connection

    async def in_thread(self, work: Callable[[Connection], T], write: bool) -> T:
        if not write:
            return await asyncio.to_thread(self._transact, work, False)
        async with self._writing:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, True)

    async def takes_writes(self) -> bool:
        return await asyncio.to_thread(os.access, self._file, os.W_OK)

    def lock_schema(self, tx: Connection) -> None:
        """Nothing to do: there is one writer at a time."""

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._in_thread.dispose()
        await self._engine.dispose()

    def _transact(self, work: Callable[[Connection], T], write: bool) -> T:
        with as_store_errors(), self._in_thread.connect() as connection:
            chosen = connection.execution_options(tiketi_write=write)
            with chosen.begin():
                return work(chosen)


def _prepare(busy_timeout_ms: int, dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # the driver's BEGIN is deferred: two readers that then write deadlock
    cursor = dbapi_connection.cursor()
    for pragma in (
        f"busy_timeout={busy_timeout_ms}",  # first: switching to WAL may have to wait as well
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("tiketi_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
