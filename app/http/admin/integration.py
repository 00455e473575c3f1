"""An admin's API of how a site is put behind a room: what goes into its proxy or its code, filled in. Admins only."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.origins.connector_config import guarded_rooms
from app.http.state import State
from app.origins.connector.integration import unsaid
from app.origins.connector.unsaid import How, Unsaid
from app.origins.directory import KnownRoom
from app.origins.snippets import UPSTREAM, UPSTREAM_USUAL, Fail, Site, Snippet, snippets
from app.origins.wanted import Id

Upstream = Annotated[str, msgspec.Meta(max_length=300, pattern=UPSTREAM)]


class IntegrationQuery(Shape, frozen=True, kw_only=True):
    """`room`: by default the origin's first; `upstream`: where the proxy finds the site itself."""

    room: Id | None = None
    upstream: Upstream = UPSTREAM_USUAL


class SnippetShown(Shape, frozen=True, kw_only=True):
    """`file`: what it is part of. `fail`: what becomes of visitors while Tiketi is away, where that can be chosen."""

    name: str
    file: str
    fail: Fail | None
    text: str


class NotForConnectors(Shape, frozen=True, kw_only=True):
    """A rule of a room (`rule`: its place, from 0) that connectors are not told as it is, and `parts` of it why."""

    room: str
    rule: int
    how: How
    parts: list[str]


class Integration(Shape, frozen=True, kw_only=True):
    """`room`: None, and no snippets, of an origin that has none. `notForConnectors`: of an origin with a customerId."""

    origin: str
    room: str | None
    snippets: list[SnippetShown]
    not_for_connectors: list[NotForConnectors]


def room_of(state: State, origin_id: str, room_id: str | None) -> KnownRoom | None:
    """This room of the origin, or its first one. Raises Problem 404."""
    if origin_id not in state["origins"].origins:
        raise Problem("origin_unknown", origin_id=origin_id)
    rooms = [room for room in state["origins"].rooms.values() if room.origin.id == origin_id]
    if room_id is None:
        return min(rooms, key=lambda room: room.id, default=None)
    found = next((room for room in rooms if room.id == room_id), None)
    if found is None:
        raise Problem("room_unknown", room_id=room_id)
    return found


def snippets_of(state: State, room: KnownRoom, upstream: str) -> list[Snippet]:
    """Everything that can be shown of how to put a site behind this room."""
    host = min(room.origin.hosts, key=lambda each: (each.startswith("http:"), each))
    site = Site(
        tiketi=state["settings"].buyers_url,
        host=host,
        room=room.id,
        name=room.name,
        target=room.target_url,
        upstream=upstream,
        customer=room.origin.customer_id,
    )
    return list(snippets(site))


def unsaid_of(state: State, room: KnownRoom | None) -> list[Unsaid]:
    """What the connectors of this room's origin are not told as its rules say it; nothing, if it has none."""
    if room is None or room.origin.customer_id is None:
        return []
    return unsaid(sorted(room.origin.hosts), guarded_rooms(state, room.origin.id))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    query, origin_id = query_of(request, IntegrationQuery), request.path_params["origin_id"]
    room = room_of(request.state, origin_id, query.room)
    found = [] if room is None else snippets_of(request.state, room, query.upstream)
    shown = [SnippetShown(name=each.name, file=each.file, fail=each.fail, text=each.text) for each in found]
    lost = [
        NotForConnectors(room=each.room, rule=each.rule, how=each.how, parts=list(each.parts))
        for each in unsaid_of(request.state, room)
    ]
    room_id = None if room is None else room.id
    return json_answer(Integration(origin=origin_id, room=room_id, snippets=shown, not_for_connectors=lost))


routes = [
    ApiRoute(
        "GET",
        "/api/admin/origins/{origin_id}/integration",
        show,
        summary="What goes into an origin's proxy or code to put it behind a room of it.",
        who=Who.admin,
        query=IntegrationQuery,
        answers={200: Integration},
        refusals=("room_unknown",),
    ),
]
