"""The script by which pages of a site follow their own requests into the waiting room, at an address that stays."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.kit.static_files import FILES

BRIEFLY = "public, max-age=300"  # sites embed it without a version
_FILE = FILES["js/requests.js"]


async def show(request: Request[Any]) -> Response:
    headers = {"Cache-Control": BRIEFLY, "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(_FILE.body, media_type=_FILE.media_type, headers=headers)


routes = [Route("/connect/requests.js", show)]
