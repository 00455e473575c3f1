"""A room before an ASGI application: Starlette, FastAPI, Django, Quart, Litestar, …

    app = WaitingRoom(app, tiketi="https://tickets.example", room="sale")

The application finds whose visit a request is in `scope["tiketi"]` (a Visit, or None) and in `X-Tiketi-*` headers. With
the response header `Tiketi-Visit: end` it ends the visit. Arguments are those of Gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from app.connect.answers import Answer
from app.connect.asked import Asked, is_ambiguous_target
from app.connect.gate import END_HEADER, OURS, Arrival, Gate
from app.connect.keys import Renewal
from app.connect.passes import Visit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY_VIOLATION = 1008


class WaitingRoom:
    def __init__(self, app: App, **settings: Any) -> None:
        self._app = app
        self.gate = Gate(**settings)
        self._renewing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        arrival = arrival_of(scope)
        await self._renew(self.gate.renewal(arrival))
        decided = self.gate.decide(arrival)
        if isinstance(decided, Answer):
            await _answer(decided, scope, receive, send)
            if decided.ended is not None:
                await asyncio.to_thread(self.gate.visits.end, decided.ended)
            return
        told = [(name.encode(), value.encode()) for name, value in decided.headers()]
        headers = [pair for pair in scope["headers"] if not _is_ours(pair[0])]
        onward = {**scope, "headers": [*headers, *told], "tiketi": decided.visit}
        if decided.visit is None:
            await self._app(onward, receive, send)
        else:
            await self._visited(decided.visit, onward, receive, send)

    async def _renew(self, renewal: Renewal) -> None:
        """One question at a time; who needs no answer does not wait for it."""
        if renewal is Renewal.none:
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(asyncio.to_thread(self.gate.keys.renew), name="tiketi keys")
        if renewal is Renewal.now:
            await asyncio.shield(self._renewing)

    async def _visited(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        has_ended = False

        async def watched(message: Message) -> None:
            nonlocal has_ended
            if message["type"] == "http.response.start" and _ends(message):
                has_ended = True
                self.gate.passes.end(visit)
                cookie = self.gate.forgotten(scope.get("scheme", "http")).encode()
                kept = [pair for pair in message["headers"] if pair[0].lower() != END_HEADER.encode()]
                message = {**message, "headers": [*kept, (b"set-cookie", cookie)]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if has_ended:  # the visitor has the answer already
                await asyncio.to_thread(self.gate.visits.end, visit)


def arrival_of(scope: Scope) -> Arrival:
    headers, query = scope["headers"], scope.get("query_string", b"").decode("latin-1")
    host = next((value.decode("latin-1") for name, value in headers if name.lower() == b"host"), "")
    scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    target = raw.decode("latin-1").partition("?")[0]
    asked = Asked(scope.get("method", "GET"), host, scope["path"], query, headers, scheme)
    asked.is_ambiguous |= is_ambiguous_target(target)
    return Arrival(asked, scheme, host, f"{target}?{query}" if query else target)


def _is_ours(name: bytes) -> bool:
    """Also with underscores, which some frameworks read as hyphens."""
    return name.lower().replace(b"_", b"-").startswith(OURS.encode())


def _ends(message: Message) -> bool:
    pairs = message.get("headers", ())
    return any(name.lower() == END_HEADER.encode() and value.strip().lower() == b"end" for name, value in pairs)


async def _answer(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
        return
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else answer.body})
