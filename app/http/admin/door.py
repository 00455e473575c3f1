"""An admin's API of a room's door: which addresses take the most places, and whether more join than planned."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.shapes import Shape
from app.http.line.lookup import view_of
from app.http.state import State
from app.room.door_counts import read_door


class AddressShown(Shape, frozen=True, kw_only=True):
    """`took`: new places within the window that TIKETI_PLACES_WINDOW_S sets; `asked`: how often work was asked for."""

    network: str
    took: int
    asked: int


class DoorShown(Shape, frozen=True, kw_only=True):
    """`addresses`: those with the most first. `pressed`: more join than planned, so everybody is asked for work."""

    pressed: bool
    addresses: list[AddressShown]


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    view = await view_of(request.state, request.path_params["event_id"])
    now_ms = int(request.state["clock"].seconds() * 1000)
    now = await read_door(request.state["scripts"], view.event_id, view.epoch, now_ms)
    addresses = [AddressShown(network=each.network, took=each.took, asked=each.asked) for each in now.addresses]
    return json_answer(DoorShown(pressed=now.pressed, addresses=addresses))


routes = [
    ApiRoute(
        "GET",
        "/api/admin/events/{event_id}/door",
        show,
        summary="Which addresses take and ask for the most places of a room now.",
        who=Who.admin,
        answers={200: DoorShown},
    )
]
