"""An admin's pages of the sites behind rooms: the list, one with its rooms and what goes into its proxy, and the forms
that make, change and delete one. Plain forms; a secret is on the page that answers the form that made it, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.control import origins as control
from app.control.origins import Shown
from app.http.accounts.tokens import Session
from app.http.admin.integration import IntegrationQuery, room_of, snippets_of, unsaid_of
from app.http.admin.origins import control_of, refusing
from app.http.admin.pages.forms import converted, given, refusal_words, version_of
from app.http.admin.pages.gate import admin_route
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.menu import Link
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.state import State
from app.ledger import origins
from app.ledger.origins import Origin
from app.origins.snippets import UPSTREAM_USUAL, Fail
from app.origins.wanted import OriginEdit, OriginWanted

LIST = "/admin/origins"
FIELDS = (
    "id",
    "name",
    "hosts",
    "target_url",
    "customer_id",
    "ancestors",
    "bind_tokens",
    "version",
    "light",
    "dark",
    "text_ko",
    "text_en",
)
_INPUTS = {"targetUrl": "target_url", "customerId": "customer_id", "frameAncestors": "ancestors"}


async def list_page(request: Request[State], _: Session) -> Response:
    rows = await origins.listed(request.state["db"])
    counts = dict.fromkeys((row.id for row in rows), 0)
    for room in await origins.listed_rooms(request.state["db"]):
        counts[room.origin_id] = counts.get(room.origin_id, 0) + 1
    return page(request, "admin/origins.html", {"rows": [(row, counts[row.id]) for row in rows]})


async def new_page(request: Request[State], _: Session) -> Response:
    return _new(request, {})


def _new(request: Request[State], values: Mapping[str, str], refused: Problem | None = None) -> Response:
    context = {"values": {**dict.fromkeys(FIELDS, ""), **values}, **_refused(request, refused)}
    return page(request, "admin/origin_new.html", context, status=200 if refused is None else refused.status)


async def create(request: Request[State], admin: Session) -> Response:
    form = await read_form(request)
    try:
        wanted = converted({"id": first(form, "id").strip(), **_sent(form)}, OriginWanted)
        with refusing():
            made = await control_of(request.state).create(admin.email, wanted)
    except Problem as problem:
        return _new(request, given(form), problem)
    await request.state["origins"].load()
    return await _detail(request, made.origin, shown=made)


async def detail_page(request: Request[State], _: Session) -> Response:
    return await _detail(request, await _found(request))


async def edit(request: Request[State], admin: Session) -> Response:
    form, before = await read_form(request), await _found(request)
    try:
        wanted = converted({**_sent(form), "version": version_of(form)}, OriginEdit)
        with refusing():
            await control_of(request.state).edit(admin.email, before.id, wanted)
    except Problem as problem:
        return await _detail(request, before, values=given(form), refused=problem)
    await request.state["origins"].load()
    return see_other(f"{LIST}/{before.id}?done=saved")


async def rotate(request: Request[State], admin: Session) -> Response:
    await read_form(request)
    with refusing():
        made = await control_of(request.state).rotate(admin.email, request.path_params["origin_id"])
    await request.state["origins"].load()
    return await _detail(request, made.origin, shown=made)


async def remove(request: Request[State], admin: Session) -> Response:
    before = await _found(request)
    try:
        with refusing():
            await control_of(request.state).remove(admin.email, before.id)
    except Problem as problem:
        return await _detail(request, before, refused=problem)
    await request.state["origins"].load()
    return see_other(LIST)


async def _found(request: Request[State]) -> Origin:
    with refusing():
        return await control.found(request.state["db"], request.path_params["origin_id"])


async def _detail(
    request: Request[State],
    origin: Origin,
    *,
    values: Mapping[str, str] | None = None,
    refused: Problem | None = None,
    shown: Shown | None = None,
) -> Response:
    """One origin; after it was made or rotated with its secret and key, which no other page has."""
    state = request.state
    rooms = [room for room in await origins.listed_rooms(state["db"]) if room.origin_id == origin.id]
    chosen = request.query_params.get("room") or None
    room = room_of(state, origin.id, chosen) if origin.id in state["origins"].origins else None
    upstream, fail = request.query_params.get("upstream") or UPSTREAM_USUAL, request.query_params.get("fail")
    found = [] if room is None else snippets_of(state, room, _upstream(upstream))
    wanted = Fail.open if fail == "open" else Fail.closed
    context = {
        "section": f"{LIST}/{origin.id}",
        "origin": origin,
        "values": _values(origin) if values is None else {**dict.fromkeys(FIELDS, ""), **values},
        "rooms": [(each, state["rooms"].views.get(each.id)) for each in rooms],
        "chosen": None if room is None else room.id,
        "upstream": upstream,
        "fail": wanted.value,
        "unsaid": unsaid_of(state, room),
        "snippets": [each for each in found if each.fail in (None, wanted)],
        "shown": shown,
        "done": request.query_params.get("done") if refused is None else None,
        "wide": True,
        **_refused(request, refused),
    }
    status = 200 if refused is None else refused.status
    return page(request, "admin/origin.html", context, script={}, words=("admin.origin.copied",), status=status)


def _upstream(text: str) -> str:
    """Raises Problem 422 for what is no address: it would go into configurations."""
    return converted({"upstream": text}, IntegrationQuery).upstream


def _refused(request: Request[State], refused: Problem | None) -> dict[str, Any]:
    if refused is None:
        return {"notice_text": "", "wrong": ""}
    field = str(refused.extra.get("field", ""))
    words = refusal_words(texts_for(request), refused, "admin.origin.field.")
    return {"notice_text": words, "wrong": _INPUTS.get(field, field)}


def _sent(form: Form) -> dict[str, Any]:
    """What a form says of an origin, as the API takes it."""
    return {
        "name": first(form, "name").strip(),
        "hosts": first(form, "hosts").split(),
        "targetUrl": first(form, "target_url").strip(),
        "customerId": first(form, "customer_id").strip() or None,
        "look": _look(form),
        "frameAncestors": first(form, "ancestors").split(),
        "bindTokens": first(form, "bind_tokens") == "on",
    }


def _look(form: Form) -> dict[str, Any]:
    texts = {lang: first(form, f"text_{lang}").replace("\r\n", "\n").strip() for lang in ("ko", "en")}
    colours = {scheme: first(form, scheme).strip() for scheme in ("light", "dark")}
    look: dict[str, Any] = {name: value for name, value in colours.items() if value}
    return look | {"text": {lang: text for lang, text in texts.items() if text}}


def _values(origin: Origin) -> dict[str, str]:
    return {
        "id": origin.id,
        "name": origin.name,
        "hosts": "\n".join(origin.hosts),
        "target_url": origin.target_url,
        "customer_id": origin.customer_id or "",
        "ancestors": "\n".join(origin.frame_ancestors),
        "bind_tokens": "on" if origin.bind_tokens else "",
        "version": str(origin.version),
        **{scheme: origin.look.get(scheme, "") for scheme in ("light", "dark")},
        **{f"text_{lang}": origin.look.get("text", {}).get(lang, "") for lang in ("ko", "en")},
    }


routes = [
    admin_route(LIST, list_page, menu=Link(25, "admin.origin.list")),
    admin_route(f"{LIST}/new", new_page),
    admin_route(LIST, create, "POST"),
    admin_route(f"{LIST}/{{origin_id}}", detail_page),
    admin_route(f"{LIST}/{{origin_id}}", edit, "POST"),
    admin_route(f"{LIST}/{{origin_id}}/rotate", rotate, "POST"),
    admin_route(f"{LIST}/{{origin_id}}/delete", remove, "POST"),
]
