"""An admin's API of the rooms: a room's numbers, once or as a live feed, and what may be changed of it. Admins only."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.control.rooms import RefusedChange, RoomChange, Sample, UnknownRoom
from app.http.accounts.admins import require_admin
from app.http.admin.feeds import admin_feed
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Change
from app.http.state import State

FEED_EVERY_S = 1.0

_wanted_decoder = msgspec.json.Decoder(RoomChange)


async def _sample(state: State, event_id: str) -> Sample:
    try:
        return await state["room_control"].sample(event_id)
    except UnknownRoom:
        raise Problem("event_unknown.no_room", event_id=event_id) from None


async def _shown(state: State, event_id: str) -> Response:
    body: dict[str, Any] = msgspec.to_builtins(await _sample(state, event_id))
    body["changes"] = await state["room_control"].changes(event_id)
    return json_answer(body)


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return await _shown(request.state, request.path_params["event_id"])


async def change(request: Request[State]) -> Response:
    """Felt by the next admission tick; recorded with who and when."""
    admin = await require_admin(request)
    event_id = request.path_params["event_id"]
    wanted = decode(await read_body(request.receive), _wanted_decoder)
    try:
        await request.state["room_control"].change(event_id, admin.email, wanted)
        await request.state["rooms"].reload(event_id)
    except UnknownRoom:
        raise Problem("event_unknown.no_room", event_id=event_id) from None
    except RefusedChange as error:
        raise Problem("change_refused", why=str(error).capitalize()) from None
    return await _shown(request.state, event_id)


async def feed(request: Request[State]) -> Response:
    """Server-Sent Events: one `sample` a second."""
    event_id = request.path_params["event_id"]
    return await admin_feed(request, "sample", FEED_EVERY_S, lambda: _sample(request.state, event_id))


class Shown(Sample, frozen=True, kw_only=True, rename="camel"):
    """A room with what was changed of it lately, newest first."""

    changes: list[Change]


routes = [
    ApiRoute(
        "GET",
        "/api/admin/events/{event_id}/admission",
        show,
        summary="A waiting room's numbers and settings.",
        who=Who.admin,
        answers={200: Shown},
    ),
    ApiRoute(
        "PATCH",
        "/api/admin/events/{event_id}/admission",
        change,
        summary="Change a waiting room; felt by the next tick.",
        who=Who.admin,
        body=RoomChange,
        answers={200: Shown},
        refusals=("change_refused",),
    ),
    ApiRoute(
        "GET",
        "/api/admin/events/{event_id}/admission/stream",
        feed,
        summary="The numbers once a second, as Server-Sent Events.",
        who=Who.admin,
        answers={200: "text/event-stream"},
    ),
]
