"""The one way an ordinary endpoint answers with JSON.

Not for what is encoded once and sent again and again (a seat map, a cached event), nor for a position and a join, which
are written by hand: those hold bytes already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

NO_STORE = {"cache-control": "no-store"}


def json_answer(
    body: Any,
    status: int = 200,
    *,
    headers: Mapping[str, str] = NO_STORE,
    cookies: Iterable[tuple[bytes, bytes]] = (),
    media_type: str = "application/json",
) -> Response:
    """The body as JSON; a struct's names are spelled as its type says. No cache keeps it, unless `headers` say so.

    `cookies` are whole Set-Cookie headers, as `cookies.set_cookie` makes them.
    """
    response = Response(msgspec.json.encode(body), status, headers, media_type)
    response.raw_headers.extend(cookies)
    return response
