"""An admin's pages of the rooms: log in, the rooms, one room with its controls.

Admins only. Every change goes through the admin API, from the page's script.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Door, RoomState
from app.http.accounts.sessions import log_in
from app.http.accounts.tokens import Session
from app.http.admin.pages.gate import LOGIN, admin_route
from app.http.admin.pages.view import change_words, is_full, number_cells, opening_words, stamp
from app.http.events.cache import known_event
from app.http.events.view import event_view
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.menu import Link
from app.http.kit.paging import offset_of
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line.lookup import room_of
from app.http.state import State
from app.ledger import reservation_search
from app.room.view import LineView

ROOMS_PER_PAGE = 20
ORIGIN_ZONE = "UTC"
ORIGIN_DOORS = ["open", "challenge", "invited"]  # the others ask for an account of the shop


async def login_page(request: Request[State]) -> Response:
    return page(request, "admin/login.html", {"email": ""})


async def login(request: Request[State]) -> Response:
    """A session for an admin; anyone else is refused here, before they see a page they cannot use."""
    form = await read_form(request)
    email = first(form, "email").strip()
    try:
        entered = await log_in(request, email, first(form, "password"))
        if entered.user.role != "admin":
            raise Problem("admin_only")
    except Problem as problem:
        notice = problem_words(texts_for(request), problem)
        context = {"email": email, "notice_text": notice}
        return page(request, "admin/login.html", context, status=problem.status)
    response = see_other("/admin")
    response.raw_headers.extend(entered.cookies)
    return response


async def _numbers(state: State, event_id: str) -> dict[str, Any]:
    """The room's sample as the API shows it."""
    sample: dict[str, Any] = msgspec.to_builtins(await state["room_control"].sample(event_id))
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in sample.items()
    }


async def rooms_page(request: Request[State], _: Session) -> Response:
    """The rooms, a page at a time: those in which something happens, then those to come, then those that are closed."""
    start, views = offset_of(request), sorted(request.state["rooms"].views.values(), key=_urgency)
    shown = [view.event_id for view in views[start : start + ROOMS_PER_PAGE]]
    lang, known = lang_of(request), request.state["origins"].rooms
    titles = await reservation_search.titles(request.state["db"], shown, lang)
    titles |= {room_id: known[room_id].name_in(lang) for room_id in shown if room_id in known}
    rooms = [
        {"event_id": event_id, "title": titles[event_id], "numbers": await _numbers(request.state, event_id)}
        for event_id in shown
        if event_id in titles
    ]
    more = start + ROOMS_PER_PAGE if start + ROOMS_PER_PAGE < len(views) else None
    return page(request, "admin/rooms.html", {"rooms": rooms, "more": more}, script={}, words=("line.room.",))


def _urgency(view: LineView) -> tuple[int, int, str]:
    group = {RoomState.scheduled: 1, RoomState.closed: 2}.get(view.state, 0)
    return group, view.opens_ms, view.event_id


@dataclass(frozen=True, slots=True)
class Titled:
    """What a room is of: an event, or an origin. Its times are shown by the clock of `zone`."""

    event_id: str
    title: str
    zone: str
    origin_id: str | None = None


async def _titled(request: Request[State], room_id: str) -> Titled:
    """Raises Problem 404."""
    lang, room = lang_of(request), request.state["origins"].rooms.get(room_id)
    if room is not None:
        return Titled(room_id, room.name_in(lang), ORIGIN_ZONE, room.origin.id)
    event = await known_event(request.state, room_id)
    shown = event_view(event, room_of(request.state, event), None, request.state["clock"].now(), lang)
    return Titled(room_id, shown.title, shown.zone)


async def room_page(request: Request[State], _: Session) -> Response:
    event_id = request.path_params["event_id"]
    shown = await _titled(request, event_id)
    if await request.state["rooms"].find(event_id) is None:
        raise Problem("event_unknown.no_room", event_id=event_id)
    t = texts_for(request)
    numbers = await _numbers(request.state, event_id)
    past = await request.state["room_control"].history(event_id)
    changes = [
        {
            "at": stamp(datetime.fromisoformat(change["at"]), shown.zone),
            "who": change["who"],
            "what": change_words(t, change["change"]),
        }
        for change in await request.state["room_control"].changes(event_id)
    ]
    context = {
        "section": "/admin",
        "event": shown,
        "doors": [door.value for door in Door] if shown.origin_id is None else ORIGIN_DOORS,
        "numbers": numbers,
        "cells": number_cells(t, numbers),
        "full": is_full(numbers),
        "opening": opening_words(t, numbers, request.state["clock"].now()),
        "changes": changes,
    }
    script = {"eventId": event_id, "zone": shown.zone, "numbers": numbers, "past": msgspec.to_builtins(past)}
    return page(request, "admin/room.html", context, script=script, words=("line.room.", "admin.room.", "admin.live."))


routes = [
    admin_route("/admin", rooms_page, menu=Link(10, "admin.rooms")),
    page_route(LOGIN, login_page),
    page_route(LOGIN, login, "POST"),
    admin_route("/admin/events/{event_id}", room_page),
]
