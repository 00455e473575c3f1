"""An admin's pages of the rooms of origins: the form that makes or changes one, with rules that are tried on addresses
before they are saved, and deleting one. How its line is now has the page of every room, `/admin/events/{room}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.connect.asked import Asked
from app.connect.presets import PRESETS, preset
from app.connect.rules import Rules
from app.control import origins as control
from app.control.origin_rooms import check_rules
from app.http.accounts.tokens import Session
from app.http.admin.origin_rooms import rooms_of
from app.http.admin.origins import refusing
from app.http.admin.pages.forms import converted, given, refusal_words, version_of
from app.http.admin.pages.gate import admin_route
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.origins.shapes import room_shown
from app.http.state import State
from app.ledger.origins import Origin, OriginRoom
from app.origins.wanted import OriginRoomEdit, OriginRoomWanted

LIST = "/admin/origins"
SAMPLES_MAX = 50
TEXTS = {  # the form's field → the API's
    "name": "name",
    "mode": "mode",
    "opening": "opening",
    "door": "door",
    "rate": "ratePerSecond",
    "burst": "burst",
    "max_active": "maxActive",
    "lobby": "lobbyMinutes",
    "pass_s": "passSeconds",
    "pass_algorithm": "passAlgorithm",
}
OPTIONAL = {"opens": "opensAt", "closes": "closesAt", "target_url": "targetUrl"}
BLANK = {
    "mode": "always",
    "opening": "draw",
    "door": "open",
    "rate": "10",
    "burst": "10",
    "max_active": "100",
    "lobby": "0",
    "pass_s": "600",
    "pass_algorithm": "EdDSA",
    "rules": "[]",
}
FIELDS = (*TEXTS, *OPTIONAL, "id", "ko", "en", "rules", "preset", "samples", "version")
_INPUTS = {api: field for field, api in (TEXTS | OPTIONAL).items()}


async def new_page(request: Request[State], _: Session) -> Response:
    return _form(request, await _origin(request), None, BLANK)


async def create(request: Request[State], admin: Session) -> Response:
    form, origin = await read_form(request), await _origin(request)
    if first(form, "do") == "try":
        return _form(request, origin, None, given(form), tried=form)
    try:
        optional = {api: value for field, api in OPTIONAL.items() if (value := first(form, field).strip())}
        sent = {**_sent(form), **optional, "id": first(form, "id").strip(), "origin": origin.id}
        with refusing():
            made = await rooms_of(request.state).create(admin.email, converted(sent, OriginRoomWanted))
    except Problem as problem:
        return _form(request, origin, None, given(form), refused=problem)
    await request.state["origins"].load()
    return see_other(f"{LIST}/{origin.id}/rooms/{made.id}?done=made")


async def edit_page(request: Request[State], _: Session) -> Response:
    origin, room = await own_room(request)
    return _form(request, origin, room, _values(room))


async def edit(request: Request[State], admin: Session) -> Response:
    form, (origin, room) = await read_form(request), await own_room(request)
    if first(form, "do") == "try":
        return _form(request, origin, room, given(form), tried=form)
    try:
        sent = {**_sent(form), **_changed(form, room), "version": version_of(form)}
        with refusing():
            await rooms_of(request.state).edit(admin.email, room.id, converted(sent, OriginRoomEdit))
    except Problem as problem:
        return _form(request, origin, room, given(form), refused=problem)
    finally:
        await request.state["origins"].load()
    return see_other(f"{LIST}/{origin.id}/rooms/{room.id}?done=saved")


async def remove(request: Request[State], admin: Session) -> Response:
    origin, room = await own_room(request)
    if first(await read_form(request), "sure") != "yes":
        return see_other(f"{LIST}/{origin.id}/rooms/{room.id}")
    with refusing():
        await rooms_of(request.state).remove(admin.email, room.id)
    await request.state["origins"].load()
    return see_other(f"{LIST}/{origin.id}")


async def _origin(request: Request[State]) -> Origin:
    with refusing():
        return await control.found(request.state["db"], request.path_params["origin_id"])


async def own_room(request: Request[State]) -> tuple[Origin, OriginRoom]:
    """Raises Problem 404, also for a room of another origin."""
    origin, room_id = await _origin(request), request.path_params["room_id"]
    with refusing():
        room = await rooms_of(request.state).found(room_id)
    if room.origin_id != origin.id:
        raise Problem("room_unknown", room_id=room_id)
    return origin, room


def _sent(form: Form) -> dict[str, Any]:
    """What a form says of a room, as the API takes it. Raises Problem 422."""
    names = {lang: first(form, lang).strip() for lang in ("ko", "en") if first(form, lang).strip()}
    sent = {api: first(form, field).strip() for field, api in TEXTS.items()}
    return {**sent, "translations": names, "rules": rules_in(form)}


def rules_in(form: Form) -> list[dict[str, Any]]:
    """Those of the form, or of the preset that it names while it has none. Raises Problem 422."""
    text = first(form, "rules").strip() or "[]"
    try:
        typed = json.loads(text)
    except (ValueError, RecursionError):
        raise Problem("rules_invalid", at="rules", why="they are no JSON", field="rules") from None
    if not typed and first(form, "preset") in PRESETS:
        typed = preset(first(form, "preset"))
    with refusing():
        return check_rules(typed)


def _changed(form: Form, room: OriginRoom) -> dict[str, Any]:
    """Times and the target that were changed: what was not touched stays the moment it was."""
    known = _values(room)
    changed = {field: first(form, field).strip() for field in OPTIONAL if first(form, field).strip() != known[field]}
    sent: dict[str, Any] = {OPTIONAL[field]: value or None for field, value in changed.items()}
    return {**sent, "opensAt": changed["opens"]} if "opens" in changed else sent


def _values(room: OriginRoom) -> dict[str, str]:
    shown = room_shown(room)
    closes = "" if shown.closes_at is None else f"{shown.closes_at:%Y-%m-%dT%H:%M:%S}"
    return {
        "id": shown.id,
        "name": shown.name,
        "ko": shown.translations.get("ko", ""),
        "en": shown.translations.get("en", ""),
        "mode": shown.mode.value,
        "opening": shown.opening,
        "door": shown.door,
        "rate": f"{shown.rate_per_second:g}",
        "burst": str(shown.burst),
        "max_active": str(shown.max_active),
        "lobby": str(shown.lobby_minutes),
        "pass_s": str(shown.pass_seconds),
        "pass_algorithm": shown.pass_algorithm.value,
        "opens": f"{shown.opens_at:%Y-%m-%dT%H:%M:%S}",
        "closes": closes,
        "target_url": shown.target_url or "",
        "rules": json.dumps(shown.rules, indent=1),
        "version": str(shown.version),
    }


def _form(
    request: Request[State],
    origin: Origin,
    room: OriginRoom | None,
    values: Mapping[str, str],
    *,
    refused: Problem | None = None,
    tried: Form | None = None,
) -> Response:
    """The form with these values; after a refusal with its reason, after a trial with what the rules decide."""
    results: list[tuple[str, str, int | None]] = []
    values = {**dict.fromkeys(FIELDS, ""), **values}
    if tried is not None:
        try:
            rules = rules_in(tried)
            values = {**values, "rules": json.dumps(rules, indent=1, ensure_ascii=False)}
            results = _decided(Rules(rules), first(tried, "samples"))
        except Problem as problem:
            refused = problem
    field = "" if refused is None else str(refused.extra.get("field", ""))
    words = "" if refused is None else refusal_words(texts_for(request), refused, "admin.origin.field.")
    context = {
        "section": f"{LIST}/{origin.id}",
        "origin": origin,
        "room": room,
        "values": values,
        "presets": list(PRESETS),
        "results": results,
        "notice_text": words if refused is None or refused.code != "rules_invalid" else f"{words} {refused.detail}",
        "wrong": _INPUTS.get(field, field),
        "done": request.query_params.get("done") if refused is None and tried is None else None,
    }
    return page(request, "admin/origin_room.html", context, status=200 if refused is None else refused.status)


def _decided(rules: Rules, samples: str) -> list[tuple[str, str, int | None]]:
    """For each address, one a line with or without a method before it: it, what becomes of it, and by which rule."""
    found = []
    for line in [line.strip() for line in samples.splitlines() if line.strip()][:SAMPLES_MAX]:
        method, _, rest = line.partition(" ")
        url = rest.strip() if rest else method
        host, slash, target = url.partition("://")[2].partition("/")
        asked = Asked.at(method if rest else "GET", host, f"/{target}" if slash or host else url)
        place = rules.first(asked)
        found.append((line, rules.decide(asked).value, None if place is None else place + 1))
    return found


routes = [
    admin_route(f"{LIST}/{{origin_id}}/rooms/new", new_page),
    admin_route(f"{LIST}/{{origin_id}}/rooms", create, "POST"),
    admin_route(f"{LIST}/{{origin_id}}/rooms/{{room_id}}", edit_page),
    admin_route(f"{LIST}/{{origin_id}}/rooms/{{room_id}}", edit, "POST"),
    admin_route(f"{LIST}/{{origin_id}}/rooms/{{room_id}}/delete", remove, "POST"),
]
