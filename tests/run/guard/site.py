"""Servers for the proxy's tests, in the event loop of the test: a site, and the proxy before it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.waiting import wait_until


@asynccontextmanager
async def serving(app: ASGIApp, **more: Any) -> AsyncIterator[str]:
    """Its address while it serves."""
    listening = socket.create_server(("127.0.0.1", 0))
    plain = {"server_header": False, "date_header": False, "proxy_headers": False, "log_config": None}
    config = uvicorn.Config(app, http="h11", ws="wsproto", lifespan="auto", **{**plain, **more})
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listening]))

    async def started() -> bool:
        return server.started

    await wait_until(started, description="the server serves")
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await running


class Site:
    """What requests it saw, and what it answers: the parts of `body` as they are put into it, None ends it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, list[tuple[bytes, bytes]]]] = []
        self.received: list[bytes] = []
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain")]
        self.body: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answers_first = False
        self.left = asyncio.Event()  # a client went before the end

    def answer(self, *parts: bytes) -> None:
        for part in parts:
            self.body.put_nowait(part)
        self.body.put_nowait(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._talk(scope, receive, send)
        elif scope["type"] == "http":
            target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
            self.seen.append((scope["method"], target.decode(), scope["headers"]))
            while not self.answers_first and (message := await receive()):
                self.received.append(message["body"])
                if not message["more_body"]:
                    break
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            sending = asyncio.create_task(self._send(send))
            leaving = asyncio.create_task(self._leaves(receive))
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        while (part := await self.body.get()) is not None:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _leaves(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Says back what it hears, and who it was told to be; `bye` closes it."""
        self.seen.append(("WEBSOCKET", scope["path"], scope["headers"]))
        await receive()
        if scope["path"] == "/closed":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        while True:
            message: Message = await receive()
            if message["type"] == "websocket.disconnect":
                self.left.set()
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
                return
            await send({"type": "websocket.send", **{name: message.get(name) for name in ("text", "bytes")}})
