"""The style sheet of an origin's waiting pages, from memory: the colours that an admin has set."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.state import State
from app.origins.look import style_of

BRIEFLY = "public, max-age=60"


async def style(request: Request[State]) -> Response:
    """Empty for an origin without colours; nobody is told whether there is one of this name."""
    origin = request.state["origins"].origins.get(request.path_params["origin_id"])
    text = "" if origin is None else style_of(origin.look)
    headers = {"cache-control": BRIEFLY, "x-content-type-options": "nosniff"}
    return Response(text, media_type="text/css", headers=headers)


routes = [Route("/look/{origin_id}.css", style, methods=["GET"])]
