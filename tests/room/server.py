"""A Redis server of a test's own, to be killed, restarted and robbed of its data. Shipped configuration."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from app.run.redis_server import command, find_server, wait_until_answering


class Server:
    def __init__(self, folder: Path, *options: str) -> None:
        """`options`: of redis-server, besides the shipped configuration."""
        folder.mkdir()
        self.options = options
        self.folder = folder
        self.socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    async def start(self) -> None:
        conf = self.folder / "redis.conf"  # a copy, since a sentinel has its server write down what it changed
        binary, shipped, *rest = command(find_server(self.folder), self.folder, self.socket)
        if not conf.exists():
            shutil.copy(shipped, conf)
        line = [binary, str(conf), *rest, *self.options]
        process = self._process = subprocess.Popen(line, stdout=subprocess.DEVNULL)  # noqa: ASYNC220  # killed, not awaited
        assert await wait_until_answering(self.socket, lambda: process.poll() is None), "Redis did not start"

    def kill(self) -> None:
        """kill -9, at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """As to stop it where it stands."""
        assert self._process is not None
        self._process.send_signal(number)

    def lose_data(self) -> None:
        for left in self.folder.glob("append*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))


@asynccontextmanager
async def server_in(folder: Path, *options: str) -> AsyncIterator[Server]:
    server = Server(folder, *options)
    await server.start()
    try:
        yield server
    finally:
        server.kill()
