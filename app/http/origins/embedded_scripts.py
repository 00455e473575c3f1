"""The scripts that pages of a site embed, at addresses that stay: one follows the page's own requests into the waiting
room, one ends a visit."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.kit.static_files import FILES

BRIEFLY = "public, max-age=300"  # sites embed it without a version
NAMES = ("requests.js", "thanks.js")


async def show(request: Request[Any]) -> Response:
    file = FILES[f"js/{request.url.path.rpartition('/')[2]}"]
    headers = {"Cache-Control": BRIEFLY, "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(file.body, media_type=file.media_type, headers=headers)


routes = [Route(f"/connect/{name}", show) for name in NAMES]
