"""How many database connections one process may use, and how long it waits for the database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """`connections_max` and `lock_s` apply to SQLite and PostgreSQL, the other two to PostgreSQL only."""

    connections_max: int = 8  # for requests; with PostgreSQL the lanes and long reads have four more
    connect_s: float = 5.0
    statement_s: float = 10.0
    lock_s: float = 5.0  # how long a transaction waits for another one
