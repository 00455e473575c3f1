"""The Redis of a fault run: a server as shipped, that is killed, paused, and robbed of its data."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGKILL, Signals

from redis.asyncio import Redis

from app.run.children import Spec, spawn
from app.run.redis_server import command, find_server, wait_until_answering
from loadtest.system import SystemFailed

DATA = "appendonlydir"


class Server:
    """Its socket is in `folder`. Use `serving`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "redis"
        self._copy = folder / "copy"
        self._log = folder / "redis.log"
        self.socket = self._folder / "redis.sock"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it answers. Raises SystemFailed."""
        binary = await asyncio.to_thread(find_server, self._folder)
        line = command(binary, self._folder, self.socket)
        process = self._process = await spawn(Spec(name="redis", command=tuple(line), log=self._log))
        if not await wait_until_answering(self.socket, lambda: process.returncode is None):
            raise SystemFailed(f"Redis does not start:\n{self._log.read_text(errors='replace')[-1000:]}")

    async def end(self, number: Signals = SIGKILL) -> None:
        """Signal it and wait until it has ended."""
        if self.is_running and self._process is not None:
            self._process.send_signal(number)
            await self._process.wait()

    def copy_data(self) -> None:
        """Keep its data as they are now, as a backup of the running server's files would."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._folder / DATA, self._copy)

    def lose_data(self) -> None:
        """While it does not run."""
        shutil.rmtree(self._folder / DATA)

    def take_copy(self) -> None:
        """Its data are those that were copied. While it does not run."""
        self.lose_data()
        shutil.copytree(self._copy, self._folder / DATA)

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        self._folder.mkdir(mode=0o700)
        await self.start()
        try:
            yield self
        finally:
            await self.end()
