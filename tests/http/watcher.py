"""A program that watches an event's seats over a WebSocket, and says what it saw."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from tests.http.system import Web

WAIT_MAX_S = 20.0
Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """The handshake was answered with a refusal."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.code = body["code"]


class Watcher:
    """`seats`: what the messages have said of each seat; `version`: up to which it knows that it missed nothing."""

    def __init__(self, known: int | None = None, *, pongs: bool = True) -> None:
        self.version = known
        self.seats: dict[str, str] = {}
        self.available: dict[str, int] = {}
        self.messages: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.pongs = pongs
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._given = 0
        self._text = ""
        self._refused: tuple[int, bytes] | None = None

    async def connect(self, web: Web, target: str, headers: Headers, buffer_bytes: int | None) -> None:
        raw = socket.socket()
        if buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", web.port))
        self._reader, self._writer = await asyncio.open_connection(sock=raw, limit=1024)
        host = f"127.0.0.1:{web.port}"
        self._writer.write(self._connection.send(Request(host=host, target=target, extra_headers=headers)))
        self._accepted = False
        while not self._accepted:
            await self._read()

    async def send(self, text: str) -> None:
        self._writer.write(self._connection.send(Message(data=text)))

    async def next(self) -> dict[str, Any]:
        """The next message not given yet."""
        given = self._given
        self._given += 1
        await self.until(lambda: len(self.messages) > given)
        return self.messages[given]

    async def told(self, version: int) -> None:
        """Read until that version is known."""
        await self.until(lambda: self.version is not None and self.version >= version)

    async def end(self) -> tuple[int, str]:
        """Read everything there is; the close code and its reason."""
        await self.until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(WAIT_MAX_S):
            while not true():
                assert self.closed is None, f"closed: {self.closed}"
                await self._read()

    async def _read(self) -> None:
        data = await self._reader.read(65_536)
        self._connection.receive_data(data or None)
        for event in self._connection.events():
            match event:
                case AcceptConnection():
                    self._accepted = True
                case RejectConnection():
                    self._refused = (event.status_code, b"")
                case RejectData():
                    assert self._refused is not None
                    self._refused = (self._refused[0], self._refused[1] + event.data)
                    if event.body_finished:
                        raise Refused(self._refused[0], json.loads(self._refused[1]))
                case TextMessage():
                    self._text += event.data
                    if event.message_finished:
                        self._take(json.loads(self._text))
                        self._text = ""
                case Ping() if self.pongs:
                    self._writer.write(self._connection.send(event.response()))
                case CloseConnection():
                    self.closed = (event.code, event.reason or "")

    def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        version = message["version"]
        if message["type"] == "hello":
            self.version = version if self.version is None else self.version
            return
        if "since" not in message:
            return
        assert self.version is not None
        assert message["since"] <= self.version, f"a version was skipped between {self.version} and {message}"
        if version < self.version:
            return
        status = {"seat-locked": "held", "seat-released": "available", "ticket-updated": "sold"}[message["type"]]
        self.seats.update(dict.fromkeys(message["seatIds" if status != "sold" else "sold"], status))
        if status == "sold":
            self.version, self.available = version, message["available"]

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def watching(
    web: Web,
    event_id: str,
    since: int | None = None,
    *,
    path: str = "/ws/seats/{}",
    headers: Headers | None = None,
    buffer_bytes: int | None = None,
    pongs: bool = True,
) -> AsyncIterator[Watcher]:
    """Raises Refused."""
    watcher = Watcher(since, pongs=pongs)
    target = path.format(event_id) + ("" if since is None else f"?since={since}")
    try:
        await watcher.connect(web, target, headers or [], buffer_bytes)
        yield watcher
    finally:
        await watcher.close()
