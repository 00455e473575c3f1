"""An admin's page that makes rules of the configuration that a shop's connector had: pasted or as a file, looked at
with what the rules do not say and why, and saved only then. Plain forms."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.tokens import Session
from app.http.admin.imported_rules import imported_from
from app.http.admin.origin_rooms import rooms_of
from app.http.admin.origins import refusing
from app.http.admin.pages.forms import converted, version_of
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.origin_rooms import LIST, own_room, rules_in
from app.http.kit.csrf import FIELD, check_csrf
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import problem_words
from app.http.kit.uploads import read_upload
from app.http.state import State
from app.origins.connector.imported import CONFIG_BYTES_MAX, TEXT_CHARS_MAX, Imported
from app.origins.wanted import OriginRoomEdit


async def empty_page(request: Request[State], _: Session) -> Response:
    return await _page(request)


async def look_or_save(request: Request[State], admin: Session) -> Response:
    """At what was pasted; or save the rules that were looked at."""
    form = await read_form(request)
    origin, room = await own_room(request)
    event = first(form, "event").strip()
    if first(form, "do") != "save":
        return await _looked(request, first(form, "config").encode(), event)
    try:
        wanted = converted({"rules": rules_in(form), "version": version_of(form)}, OriginRoomEdit)
        with refusing():
            await rooms_of(request.state).edit(admin.email, room.id, wanted)
    except Problem as problem:
        return await _page(request, refused=problem, event=event)
    finally:
        await request.state["origins"].load()
    return see_other(f"{LIST}/{origin.id}/rooms/{room.id}?done=saved")


async def look_at_file(request: Request[State], _: Session) -> Response:
    try:
        sent = await read_upload(request, CONFIG_BYTES_MAX, frozenset())
        check_csrf(request, sent.fields.get(FIELD, ""))
    except Problem as problem:
        if problem.status == 403:
            raise
        return await _page(request, refused=problem)
    return await _looked(request, sent.data, sent.fields.get("event", "").strip())


async def _looked(request: Request[State], config: bytes, event: str) -> Response:
    _, room = await own_room(request)
    try:
        imported = await imported_from(config, event[:TEXT_CHARS_MAX] or room.id)
    except Problem as problem:
        return await _page(request, refused=problem, event=event)
    return await _page(request, imported=imported, event=event)


async def _page(
    request: Request[State], *, imported: Imported | None = None, refused: Problem | None = None, event: str = ""
) -> Response:
    origin, room = await own_room(request)
    rules = [] if imported is None else imported.rules
    shown = [
        (rule["action"], json.dumps({key: value for key, value in rule.items() if key != "action"}, ensure_ascii=False))
        for rule in rules
    ]
    context = {
        "section": f"{LIST}/{origin.id}",
        "origin": origin,
        "room": room,
        "event": event,
        "imported": imported,
        "shown": shown,
        "rules": json.dumps(rules, ensure_ascii=False),
        "replaced": len(room.rules),
        "notice_text": "" if refused is None else f"{problem_words(texts_for(request), refused)} {refused.detail}",
    }
    status = 200 if refused is None else refused.status
    return page(request, "admin/imported_rules.html", context, status=status)


_HERE = f"{LIST}/{{origin_id}}/rooms/{{room_id}}/import"
routes = [
    admin_route(_HERE, empty_page),
    admin_route(_HERE, look_or_save, "POST"),
    admin_route(f"{_HERE}/file", look_at_file, "POST", "checked_by_page"),
]
