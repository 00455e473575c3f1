"""The page that tells every step of one number, for "I lost my place". A plain form, no script; admins only."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.tokens import Session
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.view import stamp
from app.http.admin.trace import DIGITS_MAX, trace_of
from app.http.admin.trace_words import gap_words, rows, standing_words
from app.http.events.cache import known_event
from app.http.events.view import event_view
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.line.lookup import room_of
from app.http.state import State


async def look_up(request: Request[State], _: Session) -> Response:
    """From the form to the number's own address."""
    number = request.query_params.get("number", "").strip()[:DIGITS_MAX]
    event_id = quote(request.path_params["event_id"], safe="")
    return see_other(f"/admin/events/{event_id}/places/{quote(number or '0', safe='')}")


async def trace_page(request: Request[State], _: Session) -> Response:
    """The steps; for a number that nobody has, the form again, with why."""
    event, number = await known_event(request.state, request.path_params["event_id"]), request.path_params["number"]
    t, lang = texts_for(request), lang_of(request)
    shown = event_view(event, room_of(request.state, event), None, request.state["clock"].now(), lang)
    context = {"section": "/admin", "event": shown, "number": number[:DIGITS_MAX], "trace": None}
    try:
        found = await trace_of(request.state, event.id, number)
    except Problem as problem:
        context["notice_text"] = problem_words(t, problem)
        return page(request, "admin/trace.html", context, status=problem.status)
    show = partial(stamp, zone=shown.zone)
    method_name = partial(request.state["providers"].method_name, language=lang)
    context |= {
        "trace": found,
        "standing": standing_words(t, found, show),
        "rows": rows(t, found, show, method_name),
        "gaps": [gap_words(t, gap, show) for gap in found.gaps],
    }
    return page(request, "admin/trace.html", context)


routes = [
    admin_route("/admin/events/{event_id}/places", look_up),
    admin_route("/admin/events/{event_id}/places/{number}", trace_page),
]
