"""An admin's pages of the rooms: log in, the rooms, one room with its controls.

Admins only. Every change goes through the admin API, from the page's script.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.sessions import log_in
from app.http.accounts.tokens import Session
from app.http.admin.pages.gate import LOGIN, admin_route
from app.http.admin.pages.view import change_words, is_full, number_cells, stamp
from app.http.events.cache import known_event
from app.http.events.view import event_view
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.menu import Link
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line.lookup import room_of
from app.http.state import State
from app.ledger import events


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
    listed = [e for e in await events.listed(request.state["db"]) if e.id in request.state["rooms"].views]
    lang, now = lang_of(request), request.state["clock"].now()
    rooms = [
        {
            "event_id": event.id,
            "title": event_view(event, room_of(request.state, event.id), None, now, lang).title,
            "numbers": await _numbers(request.state, event.id),
        }
        for event in listed
    ]
    return page(request, "admin/rooms.html", {"rooms": rooms}, script={}, words=("line.room.",))


async def room_page(request: Request[State], _: Session) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    if await request.state["rooms"].find(event.id) is None:
        raise Problem("event_unknown.no_room", event_id=event.id)
    t, lang = texts_for(request), lang_of(request)
    shown = event_view(event, room_of(request.state, event.id), None, request.state["clock"].now(), lang)
    numbers = await _numbers(request.state, event.id)
    past = await request.state["room_control"].history(event.id)
    changes = [
        {
            "at": stamp(datetime.fromisoformat(change["at"]), shown.zone),
            "who": change["who"],
            "what": change_words(t, change["change"]),
        }
        for change in await request.state["room_control"].changes(event.id)
    ]
    context = {
        "section": "/admin",
        "event": shown,
        "numbers": numbers,
        "cells": number_cells(t, numbers),
        "full": is_full(numbers),
        "changes": changes,
    }
    script = {"eventId": event.id, "zone": shown.zone, "numbers": numbers, "past": msgspec.to_builtins(past)}
    return page(request, "admin/room.html", context, script=script, words=("line.room.", "admin.room.", "admin.live."))


routes = [
    admin_route("/admin", rooms_page, menu=Link(10, "admin.rooms")),
    page_route(LOGIN, login_page),
    page_route(LOGIN, login, "POST"),
    admin_route("/admin/events/{event_id}", room_page),
]
