"""A wire to Redis that goes dead without a word, as when a host is gone: connections stay open and carry nothing. Or
one that leads to another Redis from now on, as when a replica takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CHUNK = 65_536


class Relay:
    """`path` is the socket that clients connect to."""

    def __init__(self, path: Path, redis_socket: Path) -> None:
        self.path = path
        self._redis_socket = redis_socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive = asyncio.Event()  # of the connections made until the next cut

    def cut(self) -> None:
        """Every connection there is carries nothing any more; those made from now on do."""
        self._alive.clear()
        self._alive = asyncio.Event()
        self._alive.set()

    def lead_to(self, redis_socket: Path) -> None:
        """Every connection there is ends; those made from now on lead to another Redis."""
        self._redis_socket = redis_socket
        for task in self._tasks:
            task.cancel()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_unix_connection(str(self._redis_socket))
        for source, sink in ((reader, forth), (back, writer)):
            task = asyncio.create_task(_pump(source, sink, self._alive))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Relay]:
        self._alive.set()
        server = await asyncio.start_unix_server(self.carry, str(self.path))
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, alive: asyncio.Event) -> None:
    try:
        while data := await source.read(CHUNK):
            if alive.is_set():
                sink.write(data)
    finally:
        sink.close()
