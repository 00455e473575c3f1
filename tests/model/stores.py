"""Real stores for the state machines: one Redis, one database and one event loop for all examples of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from app.ledger.database import Database, open_database
from tests.postgres import Postgres


class Stores:
    def __init__(self, socket: Path, database: str) -> None:
        self.runner = asyncio.Runner()
        self.redis = Redis(unix_socket_path=str(socket))
        self.db: Database = open_database(database)
        self.run(self.db.create_all())

    def run(self, work: Awaitable[Any]) -> Any:
        async def waited() -> Any:
            return await work

        return self.runner.run(waited())

    def close(self) -> None:
        self.run(self.db.close())
        self.run(self.redis.aclose())
        self.runner.close()


@contextmanager
def empty_database(folder: Path, server: Postgres | None) -> Iterator[str]:
    """The address of a database of its own, on the server if there is one."""
    url = asyncio.run(server.create()) if server else f"sqlite+aiosqlite:///{folder / 'model.db'}"
    yield url
    if server:
        asyncio.run(server.drop(url))
