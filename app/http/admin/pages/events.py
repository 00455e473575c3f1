"""An admin's pages of events: the list, the forms that make and edit one, and cancelling it. Plain forms, no script.

A form is turned into what the API takes and goes the API's way, so both refuse the same things. Times are typed and
shown by the clock of the event's own zone; one that was not touched is not sent, so it stays the moment it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from zoneinfo import available_timezones

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.domain.line import Door, Opening
from app.domain.local_time import local_text
from app.domain.reservation import SEATS_PER_BUYER
from app.domain.sale import status_of
from app.http.accounts.credentials import session_of
from app.http.accounts.tokens import Session
from app.http.admin import events as admin_events
from app.http.admin.pages.forms import wrong_of
from app.http.admin.pages.gate import LOGIN, AdminPage, admin_route
from app.http.events.cache import known_event
from app.http.events.shapes import GRADES_MAX, EventEdit, EventWanted
from app.http.events.view import event_view
from app.http.kit.csrf import FIELD, check_csrf
from app.http.kit.fields import misfit_of
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import Texts, lang_of, texts_for
from app.http.kit.menu import Link
from app.http.kit.paging import offset_of
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line.lookup import room_of
from app.http.state import State
from app.ledger import events
from app.ledger.events import PAGE_MAX, Event, Search

LIST = "/admin/events"
SPARE_ROWS = 3  # empty lines for more grades
TIMES = (("event_date", "eventDate"), ("opens", "saleOpensAt"), ("closes", "saleClosesAt"))
_BLANK_ROOM = {"admission": "room", "rate": "10", "burst": "10", "max_active": "100", "door": Door.open.value}
_BLANK_ROOM |= {"opening": Opening.draw.value, "lobby_minutes": "0"}
BLANK = {"time_zone": "Asia/Seoul", "seats_per_buyer": str(SEATS_PER_BUYER), "single_seats": "allowed", **_BLANK_ROOM}
T = TypeVar("T")


async def list_page(request: Request[State], _: Session) -> Response:
    """Every event, a page at a time; `?q=` searches as everybody's list does."""
    text, offset = request.query_params.get("q", "").strip()[:100], offset_of(request)
    now = request.state["clock"].now()
    found, total = await events.search(request.state["db"], Search(text=text, offset=offset), now)
    lang = lang_of(request)
    rows = [event_view(event, room_of(request.state, event), None, now, lang) for event in found]
    more = offset + PAGE_MAX if offset + PAGE_MAX < total else None
    return page(request, "admin/events.html", {"rows": rows, "q": text, "total": total, "more": more, "wide": True})


async def new_page(request: Request[State], _: Session) -> Response:
    return _form(request, None, BLANK)


async def create(request: Request[State], admin: Session) -> Response:
    form = await read_form(request)
    try:
        sent = {**_words(form), **_room(form), "admission": first(form, "admission") or "room"}
        sent |= {name: first(form, field) for field, name in TIMES if first(form, field)}
        made = await admin_events.create(request.state, admin.email, _converted(sent, EventWanted, form))
    except Problem as problem:
        return _form(request, None, _given(form), problem)
    return see_other(f"{LIST}/{made.id}/edit?done=made")


async def edit_page(request: Request[State], _: Session) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    return _form(request, event, values_of(event))


async def edit(request: Request[State], admin: Session) -> Response:
    form, event_id = await read_form(request), request.path_params["event_id"]
    event = await known_event(request.state, event_id)
    try:
        wanted = _converted({**_words(form, event), **_times(form, event)}, EventEdit, form)
        version = int(first(form, "version")) if first(form, "version").isdecimal() else None
        await admin_events.edit(request.state, admin.email, event_id, wanted, version)
    except Problem as problem:
        return _form(request, event, _given(form), problem)
    return see_other(f"{LIST}/{event_id}/edit?done=saved")


async def cancel_page(request: Request[State], _: Session) -> Response:
    return await _cancelling(request)


async def _cancelling(request: Request[State], refused: Problem | None = None) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    shown = event_view(event, room_of(request.state, event), None, request.state["clock"].now(), lang_of(request))
    words = "" if refused is None else problem_words(texts_for(request), refused)
    status = 200 if refused is None else refused.status
    return page(request, "admin/event_cancel.html", {"event": shown, "notice_text": words}, status=status)


async def cancel(request: Request[State], admin: Session) -> Response:
    event_id = request.path_params["event_id"]
    if first(await read_form(request), "sure") != "yes":
        return see_other(f"{LIST}/{event_id}/cancel")
    try:
        await admin_events.cancel(request.state, admin.email, event_id, None)
    except Problem as problem:
        return await _cancelling(request, problem)
    return see_other(f"{LIST}/{event_id}/edit?done=cancelled")


def values_of(event: Event) -> dict[str, str]:
    """The form's fields as they are for an event: times by the clock of its zone."""
    english = event.details.get("en", {})
    values = {
        "title": event.title,
        "venue": event.venue,
        "description": event.description,
        "en_title": english.get("title", ""),
        "en_venue": english.get("venue", ""),
        "en_description": english.get("description", ""),
        "time_zone": event.time_zone,
        "event_date": local_text(event.starts_at, event.time_zone),
        "opens": local_text(event.opens_at, event.time_zone),
        "closes": "" if event.closes_at is None else local_text(event.closes_at, event.time_zone),
        "admission": event.admission,
        "seats_per_buyer": str(event.seats_per_buyer or ""),
        "single_seats": event.single_seats,
        "version": str(event.version),
    }
    for row, grade in enumerate(event.grades):
        values |= {f"grade{row}": grade.name, f"price{row}": str(grade.price)}
    return values


def _given(form: Form) -> dict[str, str]:
    return {name: values[0] for name, values in form.items()}


def _words(form: Form, event: Event | None = None) -> dict[str, Any]:
    """What a form says besides its times, as the API takes it. Other languages than English stay as they are."""
    english = {name: first(form, f"en_{name}").strip() for name in ("title", "venue", "description")}
    others = {} if event is None else {lang: words for lang, words in event.details.items() if lang != "en"}
    rows = [(first(form, f"grade{row}").strip(), first(form, f"price{row}").strip()) for row in _filled(form)]
    return {
        "title": first(form, "title").strip(),
        "venue": first(form, "venue").strip(),
        "description": first(form, "description").replace("\r\n", "\n").strip(),
        "timeZone": first(form, "time_zone").strip(),
        "seatsPerBuyer": first(form, "seats_per_buyer").strip() or None,
        "singleSeats": first(form, "single_seats") or "allowed",
        "translations": {**others, "en": {name: text.replace("\r\n", "\n") for name, text in english.items() if text}},
        "ticketTypes": [{"grade": grade, "price": price} for grade, price in rows],
    }


def _filled(form: Form) -> list[int]:
    """The lines that name a grade or a price."""
    return [row for row in range(GRADES_MAX) if (first(form, f"grade{row}") + first(form, f"price{row}")).strip()]


def _room(form: Form) -> dict[str, Any]:
    fields = (
        ("rate", "ratePerSecond"),
        ("burst", "burst"),
        ("max_active", "maxActive"),
        ("lobby_minutes", "lobbyMinutes"),
    )
    given: dict[str, Any] = {name: first(form, field) for field, name in fields if first(form, field)}
    words = {"door": first(form, "door") or Door.open, "opening": first(form, "opening") or Opening.draw}
    return {"room": {**given, **words}}


def _times(form: Form, event: Event) -> dict[str, Any]:
    """The times that were changed. An empty end of the sale means: until the event begins."""
    known, zone_stays = values_of(event), first(form, "time_zone").strip() == event.time_zone
    changed: dict[str, Any] = {}
    for field, name in TIMES:
        typed = first(form, field).strip()
        if not (zone_stays and typed == known[field]):
            changed[name] = typed or (None if field == "closes" else "")
    return changed


def _converted(sent: Mapping[str, Any], kind: type[T], form: Form) -> T:
    """Raises Problem 422 with the `field` that does not fit: the API's name, or the form's for a grade or a price."""
    try:
        return msgspec.convert(sent, kind, strict=False)
    except msgspec.ValidationError as error:
        found = misfit_of(error, kind, sent, lax=True)
        wrong, limit = wrong_of(found)
        field = _field(found.place, form)
        raise Problem("payload_invalid.form", why=found.words, field=field, wrong=wrong, limit=limit) from None


def _field(place: Sequence[str | int], form: Form) -> str:
    """The form's field for a place in what the API takes."""
    match place:
        case ["ticketTypes", int(at), ("grade" | "price") as name]:
            return f"{name}{_filled(form)[at]}"
        case ["translations", "en", str(name)]:
            return f"en_{name}"
        case ["room", str(name)] | [str(name), *_]:
            return name
    return ""


def _form(
    request: Request[State], event: Event | None, values: Mapping[str, str], refused: Problem | None = None
) -> Response:
    """The form with these values; after a refusal with its reason and its status."""
    t = texts_for(request)
    filled = sum(f"grade{row}" in values or f"price{row}" in values for row in range(GRADES_MAX))
    context = {
        "event": event,
        "status": None if event is None else status_of(event, request.state["clock"].now()).value,
        "values": {**dict.fromkeys(_FIELDS, ""), **values},
        "rows": range(min(filled + SPARE_ROWS, GRADES_MAX)),
        "zones": _ZONES,
        "zone": values.get("time_zone", ""),
        "notice_text": "" if refused is None else _why(t, refused),
        "wrong": "" if refused is None else _INPUTS.get(field := str(refused.extra.get("field")), field),
        "conflict": refused is not None and refused.code == "event_changed",
        "seatless": event is not None and not any(grade.seats_total for grade in event.grades),
        "stale": refused is not None and refused.code == "form_stale",
        "done": request.query_params.get("done") if refused is None else None,
    }
    return page(request, "admin/event_form.html", context, status=200 if refused is None else refused.status)


def _why(t: Texts, refused: Problem) -> str:
    """The refusal, with the name of the field it is about."""
    if refused.code == "form_stale":
        return t("admin.event_form.stale")
    words, field = problem_words(t, refused), str(refused.extra.get("field"))
    if wrong := refused.extra.get("wrong"):
        words = t(f"admin.event_form.wrong.{wrong}", limit=refused.extra["limit"])
    if row := _ROW.fullmatch(field):
        return f"{t(f'admin.event_form.{row[1]}', n=int(row[2]) + 1)}: {words}"
    key = _LABELS.get(field, f"admin.event_form.{field}")
    return f"{t(key)}: {words}" if t.has(key) else words


def _kept(path: str, save: AdminPage) -> Route:
    """A form that takes long to fill in: if the log-in ends meanwhile, it comes back with what was typed."""

    async def guarded(request: Request[State]) -> Response:
        form = await read_form(request)
        try:
            check_csrf(request, first(form, FIELD))
            found = session_of(request.state["tokens"], request.scope["headers"])
            if found is None and not first(form, "title"):
                return see_other(LOGIN)  # nothing to keep
            if found is None:
                raise Problem("form_stale.session")
        except Problem as problem:
            event_id = request.path_params.get("event_id")
            event = None if event_id is None else await known_event(request.state, event_id)
            return _form(request, event, _given(form), problem)
        await request.state["admins"].check(found[0])
        return await save(request, found[0])

    return page_route(path, guarded, "POST", "checked_by_page")


_FIELDS = (
    *("title", "venue", "description", "en_title", "en_venue", "en_description", "time_zone", "version"),
    *("seats_per_buyer", "single_seats"),
    *("event_date", "opens", "closes", "admission", "rate", "burst", "max_active", "door"),
    *("opening", "lobby_minutes"),
    *(f"{name}{row}" for row in range(GRADES_MAX) for name in ("grade", "price")),
)
_ROW = re.compile(r"(grade|price)(\d+)")
_INPUTS = {"timeZone": "time_zone", "eventDate": "event_date", "saleOpensAt": "opens", "saleClosesAt": "closes"} | {
    "ratePerSecond": "rate",
    "maxActive": "max_active",
    "seatsPerBuyer": "seats_per_buyer",
    "lobbyMinutes": "lobby_minutes",
}
_LABELS = {"ratePerSecond": "admin.room.rate", "burst": "admin.room.burst", "maxActive": "admin.room.capacity"}
_LABELS |= {"lobbyMinutes": "admin.room.lobby"}
_ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix")))

routes = [
    admin_route(LIST, list_page, menu=Link(20, "admin.event_form.list")),
    admin_route(f"{LIST}/new", new_page),
    _kept(LIST, create),
    admin_route(f"{LIST}/{{event_id}}/edit", edit_page),
    _kept(f"{LIST}/{{event_id}}/edit", edit),
    admin_route(f"{LIST}/{{event_id}}/cancel", cancel_page),
    admin_route(f"{LIST}/{{event_id}}/cancel", cancel, "POST"),
]
