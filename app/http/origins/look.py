"""The style sheet of an origin's waiting pages and its logo, from memory: as an admin has set them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.kit.problems import Problem
from app.http.state import State
from app.origins.look import style_of

FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"


async def style(request: Request[State]) -> Response:
    """Empty for an origin without colours; nobody is told whether there is one of this name."""
    origin = request.state["origins"].origins.get(request.path_params["origin_id"])
    text = "" if origin is None else style_of(origin.look)
    headers = {"cache-control": BRIEFLY, "x-content-type-options": "nosniff"}
    return Response(text, media_type="text/css", headers=headers)


async def logo(request: Request[State]) -> Response:
    """To be kept for ever: its name is its content's."""
    data = request.state["origins"].logos.get(request.path_params["name"])
    if data is None:
        raise Problem("logo_unknown")
    headers = {
        "cache-control": FOR_EVER,
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(data, media_type="image/webp", headers=headers)


routes = [
    Route("/look/{origin_id}.css", style, methods=["GET"]),
    Route("/look/{name}.webp", logo, methods=["GET"]),
]
