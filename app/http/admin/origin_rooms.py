"""An admin's API of the rooms of origins: make, list, change. How a room is now, and its message and state, are at
`/api/admin/events/{id}/admission`, as of every room. Admins only.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from app.control.rooms import RefusedChange, RoomChange, UnknownRoom
from app.control.sale_schedule import sync_room_with_sale
from app.domain.line import Door
from app.domain.local_time import BadTime, moment_of
from app.http.accounts.admins import require_admin
from app.http.admin.origins import BODY_BYTES_MAX, check_target, found, refusal
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.origins.shapes import (
    OriginRoomDetail,
    OriginRoomEdit,
    OriginRoomList,
    OriginRoomWanted,
    config_of,
    room_shown,
)
from app.http.state import State
from app.ledger import origins, room_windows
from app.ledger.events import AdminAction
from app.ledger.origins import NotMade, OriginRoom
from app.room.errors import RoomUnavailable

log = structlog.get_logger()
_wanted_decoder = msgspec.json.Decoder(OriginRoomWanted)
_edit_decoder = msgspec.json.Decoder(OriginRoomEdit)
_SETTINGS = ("opening", "lobby_minutes", "door", "rate_per_second", "burst", "max_active")  # of the line itself


def _moment(field: str, text: str) -> Any:
    try:
        return moment_of(text, "UTC")
    except BadTime as error:
        raise Problem(error.code, where=field, why=error, field=field) from None


async def _found(state: State, room_id: str) -> OriginRoom:
    for row in await origins.listed_rooms(state["db"]):
        if row.id == room_id:
            return row
    raise Problem("room_unknown", room_id=room_id)


async def _follow(state: State, room_id: str) -> None:
    """Let everyone know of the room as it is now. Is Redis away, the keeper does its part once it is back."""
    await state["origins"].load()
    window = await room_windows.get(state["db"], room_id)
    assert window is not None, "rooms are never deleted"
    try:
        await sync_room_with_sale(state["scripts"], state["db"], window, state["clock"].now())
        await state["rooms"].reload(room_id)
    except RoomUnavailable as error:
        log.warning("room_not_told", event_id=room_id, error=repr(error))


async def create(request: Request[State]) -> Response:
    admin = await require_admin(request)
    state = request.state
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _wanted_decoder)
    now = state["clock"].now()
    origin = await found(state, wanted.origin)
    opens_at = now.replace(microsecond=0) if wanted.opens_at is None else _moment("opensAt", wanted.opens_at)
    closes_at = None if wanted.closes_at is None else _moment("closesAt", wanted.closes_at)
    if closes_at is not None and closes_at <= opens_at:
        raise refusal(NotMade.window_empty, wanted.id)
    made = OriginRoom(
        id=wanted.id,
        origin_id=wanted.origin,
        name=wanted.name.strip(),
        translations=msgspec.to_builtins(wanted.translations),
        opens_at=opens_at,
        closes_at=closes_at,
        mode=wanted.mode,
        pass_s=wanted.pass_seconds,
        pass_algorithm=wanted.pass_algorithm,
        target_url=None if wanted.target_url is None else check_target(wanted.target_url, origin.hosts),
        version=1,
        created_at=now,
        config=config_of(wanted),
    )
    by = AdminAction(admin.email, "origin_room.create", msgspec.to_builtins(wanted))
    if refused := await origins.create_room(state["db"], made, by, now):
        raise refusal(refused, wanted.origin if refused is NotMade.unknown_origin else wanted.id)
    await _follow(state, wanted.id)
    return json_answer(OriginRoomDetail(room=room_shown(await _found(state, wanted.id))), 201)


async def index(request: Request[State]) -> Response:
    await require_admin(request)
    listed = [room_shown(row) for row in await origins.listed_rooms(request.state["db"])]
    return json_answer(OriginRoomList(rooms=listed))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    row = await _found(request.state, request.path_params["room_id"])
    return json_answer(OriginRoomDetail(room=room_shown(row)))


async def edit(request: Request[State]) -> Response:
    """What the room is first, then how its line moves: each with its own entry in the audit log."""
    admin = await require_admin(request)
    state, room_id = request.state, request.path_params["room_id"]
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _edit_decoder)
    before = await _found(state, room_id)
    values = await _values(state, before, wanted)
    version = before.version if wanted.version is UNSET else wanted.version
    by = AdminAction(admin.email, "origin_room.edit", msgspec.to_builtins(wanted))
    if refused := await origins.edit_room(state["db"], room_id, values, by, state["clock"].now(), version):
        raise refusal(refused, room_id)
    await _follow(state, room_id)
    settings = {name: getattr(wanted, name) for name in _SETTINGS if getattr(wanted, name) is not UNSET}
    if settings:
        await _set(state, admin.email, room_id, settings)
    return json_answer(OriginRoomDetail(room=room_shown(await _found(state, room_id))))


async def _values(state: State, before: OriginRoom, wanted: OriginRoomEdit) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if wanted.name is not UNSET:
        values["name"] = wanted.name.strip()
    if wanted.translations is not UNSET:
        values["translations"] = msgspec.to_builtins(wanted.translations)
    if wanted.opens_at is not UNSET:
        values["opens_at"] = _moment("opensAt", wanted.opens_at)
    if wanted.closes_at is not UNSET:
        values["closes_at"] = None if wanted.closes_at is None else _moment("closesAt", wanted.closes_at)
    if wanted.mode is not UNSET:
        values["mode"] = wanted.mode.value
    if wanted.pass_seconds is not UNSET:
        values["pass_s"] = wanted.pass_seconds
    if wanted.pass_algorithm is not UNSET:
        values["pass_algorithm"] = wanted.pass_algorithm.value
    if wanted.target_url is not UNSET:
        hosts = (await found(state, before.origin_id)).hosts
        values["target_url"] = None if wanted.target_url is None else check_target(wanted.target_url, hosts)
    return values


async def _set(state: State, who: str, room_id: str, settings: dict[str, Any]) -> None:
    if "door" in settings:
        settings["door"] = Door(settings["door"])
    try:
        await state["room_control"].change(room_id, who, RoomChange(**settings))
        await state["rooms"].reload(room_id)
    except UnknownRoom:
        raise Problem("line_unavailable.new") from None
    except RefusedChange as error:
        raise Problem("change_refused", why=str(error).capitalize()) from None


_WRONG = ("target_foreign", "room_window_empty", "time_invalid")

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
]
