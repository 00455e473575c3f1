"""An admin's API of the rooms of origins: make, list, change, delete. How a room is now, and its message and state, are
at `/api/admin/events/{id}/admission`, as of every room. Admins only.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.connect.rules import JSON_BYTES_MAX
from app.control.origin_rooms import OriginRooms
from app.http.accounts.admins import require_admin
from app.http.admin.origins import refusing
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.shapes import Nothing
from app.http.origins.shapes import OriginRoomDetail, OriginRoomList, room_shown
from app.http.state import State
from app.ledger import origins
from app.origins.wanted import OriginRoomEdit, OriginRoomWanted

BODY_BYTES_MAX = JSON_BYTES_MAX + 65_536  # the rules, and all the rest

_wanted_decoder = msgspec.json.Decoder(OriginRoomWanted)
_edit_decoder = msgspec.json.Decoder(OriginRoomEdit)


def rooms_of(state: State) -> OriginRooms:
    return OriginRooms(state["room_control"])


async def create(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _wanted_decoder)
    with refusing():
        made = await rooms_of(request.state).create(admin.email, wanted)
    await request.state["origins"].load()
    return json_answer(OriginRoomDetail(room=room_shown(made)), 201)


async def index(request: Request[State]) -> Response:
    await require_admin(request)
    listed = [room_shown(row) for row in await origins.listed_rooms(request.state["db"])]
    return json_answer(OriginRoomList(rooms=listed))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    with refusing():
        row = await rooms_of(request.state).found(request.path_params["room_id"])
    return json_answer(OriginRoomDetail(room=room_shown(row)))


async def edit(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _edit_decoder)
    try:
        with refusing():
            after = await rooms_of(request.state).edit(admin.email, request.path_params["room_id"], wanted)
    finally:
        await request.state["origins"].load()  # also if its line could not be changed after it
    return json_answer(OriginRoomDetail(room=room_shown(after)))


async def remove(request: Request[State]) -> Response:
    admin = await require_admin(request)
    with refusing():
        await rooms_of(request.state).remove(admin.email, request.path_params["room_id"])
    await request.state["origins"].load()
    return json_answer({})


_WRONG = ("target_foreign", "rules_invalid", "room_window_empty", "time_invalid")

routes = [
    ApiRoute(
        "POST",
        "/api/admin/rooms",
        create,
        summary="Make a room of an origin.",
        who=Who.admin,
        body=OriginRoomWanted,
        answers={201: OriginRoomDetail},
        refusals=("id_taken", "origin_unknown", "too_many_origins", *_WRONG),
    ),
    ApiRoute(
        "GET",
        "/api/admin/rooms",
        index,
        summary="Every room of an origin.",
        who=Who.admin,
        answers={200: OriginRoomList},
    ),
    ApiRoute(
        "GET",
        "/api/admin/rooms/{room_id}",
        show,
        summary="One room of an origin, as it is set.",
        who=Who.admin,
        answers={200: OriginRoomDetail},
    ),
    ApiRoute(
        "PUT",
        "/api/admin/rooms/{room_id}",
        edit,
        summary="Change what is sent of a room; the rest stays.",
        who=Who.admin,
        body=OriginRoomEdit,
        answers={200: OriginRoomDetail},
        refusals=("origin_changed", "change_refused", *_WRONG),
    ),
    ApiRoute(
        "DELETE",
        "/api/admin/rooms/{room_id}",
        remove,
        summary="Close a room of an origin and delete it; its id is not given again.",
        who=Who.admin,
        answers={200: Nothing},
        refusals=("change_refused",),
    ),
]
