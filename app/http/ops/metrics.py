"""`GET /metrics`: the numbers of every process of this machine, for Prometheus."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.ops.readers import require_reader
from app.http.state import State


async def show(request: Request[State]) -> Response:
    await require_reader(request)
    body = await request.state["metrics"].exchange.text()
    return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})


routes = [Route("/metrics", show, methods=["GET"])]
