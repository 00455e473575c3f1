"""Hands a WebSocket on to the site: two connections, message by message, until either side closes."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import structlog
from starlette.types import Message, Receive, Scope, Send
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

OPEN_S = 10.0
MESSAGE_BYTES_MAX = 16 << 20
READ_BYTES = 65_536
AWAY, TOO_BIG, FAILED = 1001, 1009, 1011
NEVER_SENT = (1005, 1006)  # they say that no code came
OF_HANDSHAKE = b"sec-websocket-"  # said by whoever opens the connection

log = structlog.get_logger()


class SocketFailed(Exception):
    """The site did not open it, or broke off."""


class SiteSocket:
    """The connection to the site."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self.subprotocol: str | None = None

    async def open(self, host: str, target: str, headers: list[tuple[bytes, bytes]], protocols: list[str]) -> None:
        """Raises SocketFailed."""
        await self.send(Request(host=host, target=target, extra_headers=headers, subprotocols=protocols))
        match await self.next():
            case AcceptConnection(subprotocol=subprotocol):
                self.subprotocol = subprotocol
            case RejectConnection(status_code=status):
                raise SocketFailed(f"the site answers with {status}")
            case _:
                raise SocketFailed("the site does not speak WebSocket")

    async def send(self, event: Event) -> None:
        self._writer.write(self._wire.send(event))
        await self._writer.drain()

    async def next(self) -> Event:
        """Raises SocketFailed."""
        while not self._events:
            part = await self._reader.read(READ_BYTES)
            try:
                self._wire.receive_data(part or None)
            except RemoteProtocolError as error:
                raise SocketFailed(f"the site breaks the protocol: {error}") from error
            self._events += self._wire.events()
            if not part and not self._events:
                raise SocketFailed("the site broke off")
        return self._events.pop(0)

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError as error:
            log.debug("site_socket_closed", error=str(error))


async def hand_on_socket(
    scope: Scope, receive: Receive, send: Send, site: str, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    parts = urlsplit(site)
    shown = [pair for pair in headers if not pair[0].startswith(OF_HANDSHAKE) and pair[0] != b"host"]
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), parts.netloc)
    socket: SiteSocket | None = None
    await receive()  # that the client wants to open it
    try:
        async with asyncio.timeout(OPEN_S):
            tls = ssl.create_default_context() if parts.scheme == "https" else None
            port = parts.port or (443 if tls else 80)
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
            socket = SiteSocket(reader, writer)
            await socket.open(host, target.decode("latin-1"), shown, list(scope.get("subprotocols", ())))
    except (OSError, TimeoutError, SocketFailed, LocalProtocolError) as error:
        log.warning("site_failed", path=scope["path"], code="socket", error=f"{type(error).__name__}: {error}")
        if socket is not None:
            await socket.close()
        await send({"type": "websocket.close", "code": FAILED, "reason": ""})
        return
    await send({"type": "websocket.accept", "subprotocol": socket.subprotocol})
    await _both_ways(socket, receive, send)


async def _both_ways(socket: SiteSocket, receive: Receive, send: Send) -> None:
    to_site = asyncio.create_task(_to_site(socket, receive))
    to_client = asyncio.create_task(_to_client(socket, send))
    try:
        await asyncio.wait([to_site, to_client], return_when=asyncio.FIRST_COMPLETED)
        if to_client.done() or not to_site.result():
            await to_client  # it tells the client what became of the site
    finally:
        to_site.cancel()
        to_client.cancel()
        await asyncio.wait([to_site, to_client])
        await socket.close()


def _message(parts: list[str | bytes]) -> Message:
    """Its parts are of one kind."""
    if isinstance(parts[0], str):
        return {"type": "websocket.send", "text": "".join(part for part in parts if isinstance(part, str))}
    return {"type": "websocket.send", "bytes": b"".join(part for part in parts if isinstance(part, bytes))}


async def _to_site(socket: SiteSocket, receive: Receive) -> bool:
    """Until the client closes: True; or until the site takes no more: False."""
    while True:
        message = await receive()
        try:
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or AWAY
                await socket.send(CloseConnection(code=AWAY if code in NEVER_SENT else code))
                return True
            text = message.get("text")
            await socket.send(BytesMessage(data=message["bytes"]) if text is None else TextMessage(data=text))
        except (OSError, LocalProtocolError) as error:
            log.debug("site_socket_closed", error=str(error))
            return False


async def _to_client(socket: SiteSocket, send: Send) -> None:
    size = 0
    parts: list[str | bytes] = []
    while True:
        try:
            event = await socket.next()
        except (SocketFailed, OSError) as error:
            log.warning("site_failed", code="socket", error=f"{type(error).__name__}: {error}")
            event = CloseConnection(code=FAILED, reason="")
        match event:
            case Ping():
                await socket.send(event.response())
            case TextMessage() | BytesMessage():
                size += len(event.data)
                if size > MESSAGE_BYTES_MAX:
                    await send({"type": "websocket.close", "code": TOO_BIG, "reason": ""})
                    return
                parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    await send(_message(parts))
                    size, parts = 0, []
            case CloseConnection():
                await send({"type": "websocket.close", "code": event.code, "reason": event.reason or ""})
                return
            case _:
                continue
