"""The configuration that a shop's connectors load every few minutes: which requests go to which of its rooms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute
from app.http.kit.cookies import header
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.origins.connector import customer_of
from app.http.state import State
from app.origins.connector.integration import GuardedRoom, Shop, integration_of
from app.origins.directory import KnownOrigin


class Configuration(Shape, frozen=True, kw_only=True, rename="pascal"):
    """As connectors read it. `Version` grows with every change of the origin or of one of its rooms."""

    description: str
    integrations: list[dict[str, Any]]
    customer_id: str
    account_id: str
    version: int
    publish_date: str
    config_data_version: str


async def show(request: Request[State]) -> Response:
    """From memory. Raises Problem 401."""
    state = request.state
    origin = customer_of(state, request.path_params["customer"])
    key = header(request.scope["headers"], b"api-key") or b""
    if not origin.has_key(key.decode("latin-1"), state["clock"].seconds()):
        raise Problem("api_key_wrong")
    rooms = [room for room in state["origins"].rooms.values() if room.origin.id == origin.id]
    version = origin.version + sum(room.version for room in rooms)
    return json_answer(integration_of(_shop(request, origin, version), guarded_rooms(state, origin.id)))


def guarded_rooms(state: State, origin_id: str) -> list[GuardedRoom]:
    """The rooms of an origin, as far as connectors have to know them."""
    rooms = [room for room in state["origins"].rooms.values() if room.origin.id == origin_id]
    return [GuardedRoom(id=room.id, pass_s=room.pass_s, rules=room.rules.objects) for room in rooms]


def _shop(request: Request[State], origin: KnownOrigin, version: int) -> Shop:
    public = request.state["settings"].public_url or str(request.base_url)
    assert origin.customer_id is not None, "it was found by it"
    return Shop(
        customer_id=origin.customer_id,
        name=origin.name,
        hosts=sorted(origin.hosts),
        queue_domain=urlsplit(public).netloc,
        version=version,
        published_at=request.state["clock"].now(),
    )


routes = [
    ApiRoute(
        "GET",
        "/status/integrationconfig/secure/{customer}",
        show,
        summary="Which requests of a shop go to which of its rooms, as its connectors load it.",
        answers={200: Configuration},
        refusals=("api_key_wrong",),
        headers={"api-key": "The API key of the origin."},
    )
]
