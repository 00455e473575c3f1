"""Measures how long a database's transactions take and how many of its connections are in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from app.histogram import SECONDS, Histogram

BEGAN = "tiketi_began_s"
KINDS = ("read", "write")


class TransactionTimes:
    """The times of one database's transactions by kind. Several threads add to them, so adding is locked.

    Made with the engines, before the first transaction: SQLAlchemy cannot take a listener while one begins.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.times_s = {kind: Histogram(SECONDS) for kind in KINDS}
        self._pools = [engine.pool for engine in engines]
        self._adding = threading.Lock()
        for engine in engines:
            event.listen(engine, "begin", self._begun)
            event.listen(engine, "commit", self._ended)
            event.listen(engine, "rollback", self._ended)

    @property
    def pool_used(self) -> int:
        """Connections in use."""
        return sum(pool.checkedout() for pool in self._pools if isinstance(pool, QueuePool))

    @property
    def pool_max(self) -> int:
        """Connections that the pools keep."""
        return sum(pool.size() for pool in self._pools if isinstance(pool, QueuePool))

    def _begun(self, connection: Connection) -> None:
        connection.info[BEGAN] = time.perf_counter()

    def _ended(self, connection: Connection) -> None:
        if connection.invalidated:  # reading its `info` would raise and hide the error that broke it
            return
        info: dict[Any, Any] = connection.info
        began_s = info.pop(BEGAN, None)
        if began_s is not None:
            with self._adding:
                self.times_s[_kind(connection)].add(time.perf_counter() - began_s)


def _kind(connection: Connection) -> str:
    """`read` or `write`, from the options that the stores set."""
    options = connection.get_execution_options()
    if connection.dialect.name == "sqlite":
        return "write" if options.get("tiketi_write") else "read"
    return "read" if options.get("postgresql_readonly") else "write"
