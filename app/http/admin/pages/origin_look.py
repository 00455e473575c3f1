"""How a site's waiting pages look, for admins: its logo, and each state of the pages in either language and any width.

A state is drawn by the templates and scripts that visitors get, from a place that nobody has: nothing is joined, no
ticket is made, and the page's policy lets it ask for nothing and send nothing. Only our own page may frame it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.control import origins as control
from app.http.accounts.tokens import Session
from app.http.admin.origins import control_of, refusing
from app.http.admin.pages.gate import admin_route
from app.http.kit.brand import Brand
from app.http.kit.csrf import FIELD, check_csrf
from app.http.kit.forms import read_form
from app.http.kit.headers import content_security_policy
from app.http.kit.i18n import LANGS, lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import error_page, problem_words
from app.http.kit.uploads import read_upload
from app.http.line.shown import Frame, show_wait
from app.http.line.view import no_place_view, wait_view
from app.http.origins.branding import brand_of, logo_url
from app.http.origins.wait import ZONE
from app.http.state import State
from app.origins.directory import KnownOrigin
from app.origins.logos import SENT_BYTES_MAX

LIST = "/admin/origins"
WIDTHS = (320, 390, 768, 1280)
HEIGHT = 760
OURS = ("'self'",)
PLACE: Mapping[str, Any] = {"state": "waiting", "room": "open", "number": 4812, "ahead": 312, "pollAfterMs": 5000}
SOON_S, LATER_S = 60, 600
PLACES: Mapping[str, Mapping[str, Any]] = {
    "waiting": {"etaSeconds": {"low": 540, "high": 780}},
    "near": {"ahead": 0, "etaSeconds": {"low": 0, "high": 20}},
    "turn": {"state": "admitted", "ahead": 0},
    "paused": {"room": "paused"},
    "full": {"full": True},
    "recovering": {"room": "recovering"},
    "claimed": {"state": "claimed"},
    "lapsed": {"state": "lapsed"},
    "left": {"state": "left"},
    "closed": {"room": "closed"},
    "noscript": {"etaSeconds": {"low": 540, "high": 780}},
}
PROBLEMS = {"away": "line_unavailable", "missing": "not_found"}
STATES = ("scheduled", "lobby", *PLACES, "none", "refused", *PROBLEMS)


async def look_page(request: Request[State], _: Session) -> Response:
    return await _show(request)


async def _show(request: Request[State], refused: Problem | None = None) -> Response:
    with refusing():
        origin = await control.found(request.state["db"], request.path_params["origin_id"])
    asked = request.query_params
    width = next((each for each in WIDTHS if str(each) == asked.get("width")), WIDTHS[0])
    context = {
        "section": f"{LIST}/{origin.id}",
        "origin": origin,
        "logo": origin.logo,
        "logo_url": logo_url(origin.logo["name"]) if origin.logo else "",
        "states": STATES,
        "state": asked["state"] if asked.get("state") in STATES else "waiting",
        "langs": LANGS,
        "language": asked["language"] if asked.get("language") in LANGS else lang_of(request),
        "widths": WIDTHS,
        "width": width,
        "height": HEIGHT,
        "wide": True,
        "notice_text": "" if refused is None else problem_words(texts_for(request), refused),
    }
    response = page(request, "admin/origin_look.html", context, status=200 if refused is None else refused.status)
    response.headers["Content-Security-Policy"] = content_security_policy(has_frames=True)
    return response


async def send_logo(request: Request[State], admin: Session) -> Response:
    origin_id = request.path_params["origin_id"]
    try:
        sent = await read_upload(request, SENT_BYTES_MAX, frozenset())
        check_csrf(request, sent.fields.get(FIELD, ""))
        with refusing():
            await control_of(request.state).put_logo(admin.email, origin_id, sent.data)
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        return await _show(request, problem)
    await request.state["origins"].load()
    return see_other(f"{LIST}/{origin_id}/look")


async def remove_logo(request: Request[State], admin: Session) -> Response:
    await read_form(request)
    origin_id = request.path_params["origin_id"]
    with refusing():
        await control_of(request.state).remove_logo(admin.email, origin_id)
    await request.state["origins"].load()
    return see_other(f"{LIST}/{origin_id}/look")


def _known(request: Request[State]) -> KnownOrigin:
    """Raises Problem 404."""
    origin = request.state["origins"].origins.get(request.path_params["origin_id"])
    if origin is None:
        raise Problem("origin_unknown", origin_id=request.path_params["origin_id"])
    return origin


def _brand(request: Request[State]) -> Brand | None:
    origin = request.state["origins"].origins.get(request.path_params["origin_id"])
    return None if origin is None else brand_of(origin, framed_by=OURS)


async def state_page(request: Request[State], _: Session) -> Response:
    """One state, as it is drawn for visitors."""
    origin, state = _known(request), request.path_params["state"]
    if state not in STATES or request.path_params["lang"] not in LANGS:
        raise Problem("not_found")
    response = _drawn(request, origin, state)
    policy = content_security_policy(framed_by=OURS, is_inert=True)
    if state == "noscript":
        policy = f"sandbox allow-same-origin; {policy}"
    response.headers["Content-Security-Policy"] = policy
    return response


def _drawn(request: Request[State], origin: KnownOrigin, state: str) -> Response:
    if state in PROBLEMS:
        return error_page(request, Problem(PROBLEMS[state]))
    if state == "refused":
        return page(request, "origins/refused.html", {"again": ""})
    frame = Frame(
        room_id=origin.id,
        title=origin.name,
        zone=ZONE,
        base=request.url.path,
        here=request.url.path,
        onward=request.url.path,
        text=origin.text_in(lang_of(request)),
    )
    t, now = texts_for(request), request.state["clock"].now()
    if state in ("scheduled", "none"):
        is_ahead = state == "scheduled"
        opens_at = now + timedelta(seconds=LATER_S) if is_ahead else None
        view = no_place_view(t, "scheduled" if is_ahead else "open", opens_at)
        return show_wait(request, frame, replace(view, refresh_s=0), None, is_preview=True)
    position = _position(state, now)
    view = wait_view(t, position, ZONE)
    if state != "noscript":
        view = replace(view, refresh_s=0)
    return show_wait(request, frame, view, None, position, is_preview=True)


def _position(state: str, now: datetime) -> dict[str, Any]:
    """A place as the API answers it."""
    later = (now + timedelta(seconds=LATER_S)).isoformat()
    if state == "lobby":
        return {"state": "lobby", "room": "lobby", "entry": 1, "entries": 4812, "opensAt": later, "pollAfterMs": 5000}
    position = {**PLACE, "etaSeconds": None, **PLACES[state]}
    if state == "turn":
        position["claimBefore"] = (now + timedelta(seconds=SOON_S)).isoformat()
    return position


routes = [
    admin_route("/admin/origins/{origin_id}/look", look_page),
    admin_route("/admin/origins/{origin_id}/look/logo", send_logo, "POST", "checked_by_page"),
    admin_route("/admin/origins/{origin_id}/look/logo/remove", remove_logo, "POST"),
    admin_route("/admin/origins/{origin_id}/look/{lang}/{state}", state_page, brand=_brand),
]
