"""The live feed of an admin's page: Server-Sent Events, for as long as who asks is still an admin and there is
something to tell. The browser connects again after its end, and is told then what is wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.http.accounts.admins import require_admin
from app.http.kit.problems import STORE_ERRORS, Problem
from app.http.state import State

LIFE_S = 3600.0

Read = Callable[[], Awaitable[msgspec.Struct]]


async def admin_feed(request: Request[State], event: str, every_s: float, read: Read) -> Response:
    """What `read` gives, as messages named `event`. Raises what the first reading raises."""
    await require_admin(request)
    await read()

    async def messages() -> AsyncIterator[bytes]:
        ends_s = time.monotonic() + LIFE_S
        while time.monotonic() < ends_s:
            try:
                await require_admin(request)
                body = msgspec.json.encode(await read())
            except (Problem, *STORE_ERRORS):
                return
            yield b"event: %s\ndata: %s\n\n" % (event.encode(), body)
            await asyncio.sleep(every_s)

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(messages(), media_type="text/event-stream", headers=headers)
