"""The network between the processes and a store: a proxy that can lose answers or stop forwarding.

Each connection of a client has one of its own to the store, which listens on a unix socket. It carries in a thread of
its own, so that nobody who is busy in this process, such as a judge, holds up a system that is asked at the same time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

CHUNK_BYTES = 65_536
HOST = "127.0.0.1"


class Network:
    """`port`: where clients connect. Use `serving`."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._loses_answers = False
        self._connections: dict[asyncio.Task[None], bool] = {}  # whether an answer of it was lost
        self.port = 0

    def cut(self) -> None:
        """Carry nothing, in either direction, until `mend`; what was sent meanwhile arrives then."""
        self._do(self._goes_on.clear)

    def lose_answers(self) -> None:
        """Carry what is asked, and lose every answer until `mend`, which ends the connections that lost one."""
        self._do(lambda: setattr(self, "_loses_answers", True))

    def mend(self) -> None:
        self._do(self._mend)

    def _do(self, change: Callable[[], None]) -> None:
        """Return when it is done, in the thread that carries."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(change)
        self._loop.call_soon_threadsafe(done.set)
        done.wait()

    def _mend(self) -> None:
        self._loses_answers = False
        self._goes_on.set()
        for connection, has_lost in list(self._connections.items()):
            if has_lost:
                connection.cancel()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Network]:
        thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        thread.start()
        ending = asyncio.Event()
        carrying = asyncio.run_coroutine_threadsafe(self._serve(ready := threading.Event(), ending), self._loop)
        await asyncio.to_thread(ready.wait)
        try:
            yield self
        finally:
            self._do(ending.set)
            await asyncio.wrap_future(carrying)
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(thread.join)
            self._loop.close()

    async def _serve(self, ready: threading.Event, ending: asyncio.Event) -> None:
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await ending.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[connection] = False
        try:
            await self._carry(connection, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one of the two ended it, or `mend` did: the client sees a connection that is closed
        finally:
            del self._connections[connection]
            writer.transport.abort()

    async def _carry(
        self, connection: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._goes_on.wait()
        back, forth = await asyncio.open_unix_connection(str(self._store))
        pumps = (
            asyncio.create_task(self._ask(reader, forth)),
            asyncio.create_task(self._answer(connection, back, writer)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forth.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _ask(self, client: asyncio.StreamReader, store: asyncio.StreamWriter) -> None:
        while data := await client.read(CHUNK_BYTES):
            await self._goes_on.wait()
            store.write(data)
            await store.drain()

    async def _answer(
        self, connection: asyncio.Task[None], store: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        while data := await store.read(CHUNK_BYTES):
            await self._goes_on.wait()
            if self._loses_answers or self._connections[connection]:
                self._connections[connection] = True
                continue
            client.write(data)
            await client.drain()
