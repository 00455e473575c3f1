"""The wire of one WebSocket: uvicorn's protocol, with frames that are shared and a backlog that is bounded.

A server's frames are not masked, so a frame made once is right for every socket: `write` hands the same bytes to each
transport and never waits. Built on the inside of uvicorn's protocol, as fast.py is.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import CloseConnection, Request
from wsproto.utilities import LocalProtocolError

BACKLOG_MAX_BYTES = 65_536  # not taken by the client yet, in our memory; a client with more is too slow
SEND_BUFFER_BYTES = 32_768  # and in the kernel's, which would otherwise keep megabytes for each
CLOSE_WAIT_S = 10.0  # for the client to take its last words and say goodbye
RECEIVED_MAX_BYTES = 1_024  # these sockets only tell
WIRE = "tiketi.wire"  # where an endpoint finds it among the scope's extensions

PING = b"\x89\x00"
_TEXT = 0x81


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame (RFC 6455, 5.2), as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65_536:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + payload


class SocketProtocol(WSProtocol):
    """`received`: whether the client sent anything, a pong for example, since somebody set it to False. `on_lost` is
    called when the connection is.
    """

    received = True
    on_lost: Callable[[], None] = staticmethod(lambda: None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_lost()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WIRE] = self
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self.received = True
        super().data_received(data)

    @property
    def is_open(self) -> bool:
        return not (self.close_sent or self.disconnected or self.transport.is_closing())

    @property
    def is_slow(self) -> bool:
        return self.transport.get_write_buffer_size() > BACKLOG_MAX_BYTES

    def write(self, frames: bytes) -> None:
        """Whole frames, at once. The caller looks at `is_slow` first: what is written is kept until it is taken."""
        if self.is_open:
            self.transport.write(frames)

    def end(self, code: int, reason: str) -> None:
        """Close with a code and a reason. They are the last of what the client gets if it takes it in time; the
        endpoint's next `receive` is a disconnect."""
        if not self.is_open:
            return
        try:
            words = self.conn.send(CloseConnection(code=code, reason=reason))
        except LocalProtocolError:
            self.transport.close()  # the client was closing at the same moment
            return
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(words)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_WAIT_S, self.transport.abort)


# uvicorn.Config's part. No compression: it would make every socket's frames its own, and cost 250 kB for each.
# No pings of uvicorn's: the hub's cost one shared frame and no timer per socket.
SOCKETS: dict[str, Any] = {
    "ws": SocketProtocol,
    "ws_max_size": RECEIVED_MAX_BYTES,
    "ws_ping_interval": None,
    "ws_per_message_deflate": False,
}
