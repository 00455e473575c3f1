"""An admin's hand on events: make, edit, cancel. The API and the pages call the same functions; admins only.

SQL is changed first and is what counts. Everything that follows from it (the room, the seats in memory) is brought in
line at once here, and by the workers' rounds should this process end in between.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.control.sale_schedule import sync_room_with_sale
from app.http.accounts.admins import require_admin
from app.http.events.cache import changed, map_changed
from app.http.events.shapes import EventDetail, EventEdit, EventWanted, detail, edit_of, new_event, slug_of
from app.http.kit.answers import NO_STORE, json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Message
from app.http.state import State
from app.ledger import audit_log, editing, events, room_windows
from app.ledger.editing import Edited, Refused
from app.ledger.events import AdminAction
from app.room.errors import RoomUnavailable

BODY_BYTES_MAX = 65_536  # an event's words in two languages
ID_TRIES = 3

log = structlog.get_logger()
_wanted_decoder = msgspec.json.Decoder(EventWanted)
_edit_decoder = msgspec.json.Decoder(EventEdit)


async def create(state: State, who: str, wanted: EventWanted) -> events.Event:
    """Make the event with its lane and its room, and record who did. Raises Problem."""
    now = state["clock"].now()
    for _ in range(ID_TRIES):
        spec = new_event(wanted, f"{slug_of(wanted.title)}-{secrets.token_hex(4)}", now)
        _check_window(spec)
        if await events.create(state["db"], spec, now, by=AdminAction(who, "event.create", _sent(wanted))):
            made = await events.get(state["db"], spec.id)
            assert made is not None, "it was just made"
            await _follow(state, made)
            return made
    raise Problem("busy.ids")


def _check_window(spec: events.EventSpec) -> None:
    if spec.opens_at > spec.starts_at or spec.opens_at >= (spec.closes_at or spec.starts_at):
        raise _refusal(spec.id, Refused.window_empty)


async def edit(state: State, who: str, event_id: str, wanted: EventEdit, version: int | None) -> events.Event:
    """Change the event and record what was sent and what it replaced. Raises Problem; then nothing was changed."""
    known = await events.get(state["db"], event_id)
    if known is None:
        raise _refusal(event_id, Refused.unknown)
    deed = AdminAction(who, "event.edit", _sent(wanted))
    done = await editing.edit(
        state["db"], event_id, edit_of(wanted, known.time_zone, version), deed, state["clock"].now()
    )
    if isinstance(done, Refused):
        raise _refusal(event_id, done)
    await _follow(state, done.after)
    if done.map_version is not None:
        await map_changed(state, event_id, done.map_version)
    return done.after


async def cancel(state: State, who: str, event_id: str, version: int | None) -> Edited:
    """Cancel the event: nothing more is sold, and the workers give back what was. Raises Problem."""
    deed = AdminAction(who, audit_log.CANCEL_EVENT, {})
    done = await editing.cancel(state["db"], event_id, deed, state["clock"].now(), version)
    if isinstance(done, Refused):
        raise _refusal(event_id, done)
    await _follow(state, done.after)
    return done


async def _follow(state: State, event: events.Event) -> None:
    """Let everyone know of the event as it is now. Is Redis away, the keeper does the room's part once it is back."""
    await changed(state, event.id)
    if event.admission != "room":
        return
    try:
        await sync_room_with_sale(
            state["scripts"], state["db"], room_windows.of_event(event, event.id), state["clock"].now()
        )
        await state["rooms"].reload(event.id)
    except RoomUnavailable as error:
        log.warning("room_not_told", event_id=event.id, error=repr(error))


def _sent(wanted: EventWanted | EventEdit) -> dict[str, Any]:
    """What was sent, for the trail."""
    sent: dict[str, Any] = msgspec.to_builtins(wanted)
    return sent


def _refusal(event_id: str, refused: Refused) -> Problem:
    match refused:
        case Refused.unknown:
            return Problem("event_unknown", event_id=event_id)
        case Refused.changed:
            return Problem("event_changed")
        case Refused.cancelled:
            return Problem("event_cancelled.admin")
        case Refused.grade_in_use:
            return Problem("grade_in_use", field="ticketTypes")
        case Refused.admission_fixed:
            return Problem("admission_fixed")
        case Refused.sale_ends_late:
            return Problem("sale_ends_late", field="saleClosesAt")
        case Refused.window_empty:
            return Problem("sale_window_empty", field="saleOpensAt")


def _version(request: Request[State], wanted: EventEdit) -> int | None:
    """The version a change was made from: of the body, else of If-Match; None if neither says. Raises Problem."""
    if wanted.version is not msgspec.UNSET:
        return wanted.version
    tag = request.headers.get("if-match", "*").strip().removeprefix("W/").strip('"')
    if tag == "*":
        return None
    if not (tag.isascii() and tag.isdecimal() and len(tag) < 10):
        raise Problem("payload_invalid.version")
    return int(tag)


async def create_event(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _wanted_decoder)
    made = await create(request.state, admin.email, wanted)
    return _answer(request.state, made, {}, 201)  # it has no seats yet


async def edit_event(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _edit_decoder)
    event_id = request.path_params["event_id"]
    after = await edit(request.state, admin.email, event_id, wanted, _version(request, wanted))
    return _answer(request.state, after, {grade.name: grade.seats_left for grade in after.grades if grade.seats_total})


def _answer(state: State, event: events.Event, left: Mapping[str, int], status: int = 200) -> Response:
    headers = {**NO_STORE, "etag": f'"{event.version}"'}
    return json_answer(detail(event, left, state["clock"].now()), status, headers=headers)


async def cancel_event(request: Request[State]) -> Response:
    admin = await require_admin(request)
    await cancel(request.state, admin.email, request.path_params["event_id"], None)
    return json_answer(Message(message="The event is cancelled. Everyone who paid gets their money back."))


_IF_MATCH = {"If-Match": "The version of the event the change was made from."}
_WRONG_EVENT = (
    "sale_window_empty",
    "sale_ends_late",
    "grade_twice",
    "time_invalid",
    "time_skipped",
    "time_twice",
    "zone_unknown",
)

routes = [
    ApiRoute(
        "POST",
        "/api/admin/events",
        create_event,
        summary="Make an event. A time without an offset is meant in the event's time zone.",
        who=Who.admin,
        body=EventWanted,
        answers={201: EventDetail},
        refusals=(*_WRONG_EVENT, "busy"),
    ),
    ApiRoute(
        "PUT",
        "/api/admin/events/{event_id}",
        edit_event,
        summary="Change what is sent of an event; the rest stays.",
        who=Who.admin,
        body=EventEdit,
        answers={200: EventDetail},
        refusals=("event_changed", "event_cancelled.admin", "grade_in_use", "admission_fixed", *_WRONG_EVENT),
        headers=_IF_MATCH,
    ),
    ApiRoute(
        "POST",
        "/api/admin/events/{event_id}/cancel",
        cancel_event,
        summary="Cancel an event: its line closes, its reservations end, its money goes back.",
        who=Who.admin,
        answers={200: Message},
        refusals=("event_changed", "event_cancelled.admin"),
    ),
]
