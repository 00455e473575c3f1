"""PostgreSQL behind `Database`, for any number of processes on any number of machines.

Reads are REPEATABLE READ and so see one moment. Writes are READ COMMITTED, one at a time per `about` through an
advisory lock that ends with the transaction; work of `run()` locks its own rows. That work runs on an event loop in a
thread of its own, so that neither a batch of a lane nor a long read delays requests. Every wait has a limit, here and
in the server.

Behind PgBouncer (`?pooler=pgbouncer`) a transaction may be carried out by another server connection than the one before
it, so nothing is kept in one: no prepared statements, and the limits are set anew in every transaction.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Select, bindparam, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.ledger.connection_limits import ConnectionLimits
from app.ledger.errors import as_store_errors, connecting

ASIDE_CONNECTIONS_MAX = 4  # lane batches and long reads at the same time in one process
GRACE_S = 2.0  # how much longer than the server's own time limit we wait for it
STATEMENTS_CACHED_MAX = 500
EVERYTHING = 0x74696B657469  # "tiketi": the advisory lock for writing
SCHEMA = EVERYTHING + 1  # the advisory lock for changing tables
SUBJECT = 0x74696B65  # the first key of the advisory locks of `about`

POOLER = "pooler"  # in a URL: what stands between us and the server
LIMITS = "tiketi_limits"  # among an engine's options: the statement that begins each transaction, if there is one

T = TypeVar("T")

_alone = select(func.pg_advisory_xact_lock(EVERYTHING))
_about = select(
    func.pg_advisory_xact_lock_shared(EVERYTHING),
    func.pg_advisory_xact_lock(SUBJECT, func.hashtext(bindparam("about"))),
)
_schema = select(func.pg_advisory_xact_lock(SCHEMA))
_read_only = select(func.current_setting("transaction_read_only"))


class PostgresStore:
    """Two engines on one database: one for the caller's event loop, one for the event loop in the thread."""

    def __init__(self, url: URL, limits: ConnectionLimits) -> None:
        """`url` as `postgres_url` makes it."""
        self._engine = _engine(url, limits, limits.connections_max)
        self._side = _SideLoop(_engine(url, limits, ASIDE_CONNECTIONS_MAX))
        self.engines = (self._engine.sync_engine, self._side.engine.sync_engine)

    @asynccontextmanager
    async def write(self, about: str) -> AsyncIterator[AsyncConnection]:
        async with _transaction(self._engine) as tx:
            await (tx.execute(_about, {"about": about}) if about else tx.execute(_alone))
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with _transaction(self._engine, reading=True) as tx:
            yield tx

    async def in_thread(self, work: Callable[[Connection], T], write: bool) -> T:
        return await self._side.do(self._transact(work, write))

    async def _transact(self, work: Callable[[Connection], T], write: bool) -> T:
        async with _transaction(self._side.engine, reading=not write) as tx:
            return await tx.run_sync(work)

    async def takes_writes(self) -> bool:
        async with _transaction(self._engine) as tx:
            return bool((await tx.execute(_read_only)).scalar_one() == "off")

    def lock_schema(self, tx: Connection) -> None:
        tx.execute(_schema)

    async def close(self) -> None:
        await self._side.close()
        await self._engine.dispose()


class _SideLoop:
    """An event loop in a thread of its own, started when first needed, with an engine that only it uses."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Await the work in that event loop. Cancelling this call cancels the work and rolls its transaction back."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="ledger", daemon=True)
            self._thread.start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def close(self) -> None:
        if self._loop is None or self._thread is None:
            return
        await self.do(self.engine.dispose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()
        self._loop = self._thread = None


@asynccontextmanager
async def _transaction(engine: AsyncEngine, *, reading: bool = False) -> AsyncIterator[AsyncConnection]:
    async with AsyncExitStack() as stack:
        with connecting():
            connection = await stack.enter_async_context(engine.connect())
        with as_store_errors():
            if reading:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                limits = engine.sync_engine.get_execution_options().get(LIMITS)
                if limits is not None:
                    await connection.execute(limits)
                yield connection


def postgres_url(url: URL) -> URL:
    """The URL with the driver we use, and with libpq's `sslmode` as that driver's `ssl`."""
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def _engine(url: URL, limits: ConnectionLimits, connections_max: int) -> AsyncEngine:
    pooled = POOLER in url.query
    engine = create_async_engine(
        url.difference_update_query([POOLER]),
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=limits.lock_s,
        pool_use_lifo=True,
        query_cache_size=STATEMENTS_CACHED_MAX,
        isolation_level="READ COMMITTED",
        connect_args={
            "timeout": limits.connect_s,
            "target_session_attrs": "read-write",  # if the URL names several hosts: the primary, not a replica
            "command_timeout": limits.statement_s + GRACE_S,  # for a server that no longer answers at all
            "server_settings": _PER_CONNECTION if pooled else _PER_CONNECTION | _server_settings(limits),
            **(_NOTHING_PREPARED if pooled else {}),
        },
        execution_options={LIMITS: _local(_server_settings(limits))} if pooled else {},
    )
    event.listen(engine.sync_engine, "checkout", _if_open)
    return engine


_PER_CONNECTION = {"application_name": "tiketi", "timezone": "UTC"}  # what PgBouncer keeps for a client
_NOTHING_PREPARED = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: f"tiketi_{secrets.token_hex(8)}",
}


def _local(settings: dict[str, str]) -> Select[Any]:
    """The statement that makes these settings for the transaction that it is in."""
    return select(*(func.set_config(name, value, True) for name, value in settings.items()))


def _server_settings(limits: ConnectionLimits) -> dict[str, str]:
    return {
        "jit": "off",  # no statement of ours is long enough to be worth compiling
        "statement_timeout": f"{limits.statement_s * 1000:.0f}",
        "lock_timeout": f"{limits.lock_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{(limits.statement_s + GRACE_S) * 1000:.0f}",
    }


def _if_open(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Replace a pooled connection that the server has closed, without asking the server each time."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("closed by the server")
