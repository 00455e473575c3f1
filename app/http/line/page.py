"""The buyer's way to the door: one event, the place in line, and the forms that join, claim and leave.

Everything works without a script; what a form does, the API's own functions do. A waiting page reads the line from this
process's memory, like a poll.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Place, RoomState
from app.domain.ticket import Ticket
from app.http.accounts.credentials import require_ticket
from app.http.accounts.owners import remember_browser
from app.http.events.cache import known_event
from app.http.events.shown import shown_event
from app.http.events.view import event_view
from app.http.kit.forms import read_form, wish_of
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route
from app.http.line import api as queue
from app.http.line import turns as turn
from app.http.line.lookup import room_of, wish_of_place
from app.http.line.position import encode_position
from app.http.line.view import no_place_view, wait_view, wish_words
from app.http.shop import rules as shop
from app.http.shop.shown import own_of
from app.http.state import State
from app.room.view import LineView

log = structlog.get_logger()
SHOWN_AGAIN = frozenset({"room_not_open", "room_closed", "login_required"})  # the event page says why


async def event_page(request: Request[State]) -> Response:
    event = await shown_event(request)
    line = request.state["rooms"].views.get(event.event_id)
    in_line = _is_in_line(request, line)
    context = {
        "event": event,
        "accounts_only": line is not None and line.accounts_only,
        "in_line": in_line,
        "own": [] if in_line else await own_of(request, event),
        "seats_max": request.state["settings"].seats_per_buyer_max,
        "draw_s": request.state["settings"].opening_draw_s,
    }
    version = (await known_event(request.state, event.event_id)).version
    script = {"eventId": event.event_id, "version": version, "status": event.status, "room": event.room}
    response = page(
        request, "line/event.html", context, script=script, words=("events.join.", "events.soldout", "kit.error.")
    )
    remember_browser(request, response)
    return response


def _ticket_of(request: Request[State], line: LineView | None) -> Ticket | None:
    if line is None:
        return None
    try:
        return require_ticket(request.state["tickets"], request.scope["headers"], line)
    except Problem:
        return None  # to a page, a ticket of no use is no ticket: it offers to join


def _is_in_line(request: Request[State], line: LineView | None) -> bool:
    ticket = _ticket_of(request, line)
    return line is not None and ticket is not None and line.place(ticket.number) not in (Place.left, Place.lapsed)


async def wait_page(request: Request[State]) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    line = await request.state["rooms"].find(event.id)
    if line is None:
        return see_other(f"/events/{event.id}")
    t, lang = texts_for(request), lang_of(request)
    shown = event_view(event, room_of(request.state, event.id), None, request.state["clock"].now(), lang)
    ticket = _ticket_of(request, line)
    position: dict[str, Any] | None = None
    wish = ""
    view = no_place_view(t, shown.room)
    if ticket is not None:
        if line.place(ticket.number) is Place.left or line.state is RoomState.closed:
            bought = await shop.reservation_of(request.state, event.id, ticket.epoch, ticket.number)
            if bought is not None:  # paying ends the place in line as leaving does
                return see_other(f"/reservations/{bought['id']}")
        request.state["presence"].see(line, ticket.number, ticket.holder)
        position = msgspec.json.decode(encode_position(line, ticket.number, request.state["reservation_member"]))
        view = wait_view(t, position, shown.zone)
        wish = wish_words(t, await wish_of_place(request.state, line, ticket.number))
    script = {"eventId": event.id, "zone": shown.zone, "position": position}
    words = ("line.", "kit.error.")
    return page(request, "line/wait.html", {"event": shown, "view": view, "wish": wish}, script=script, words=words)


async def join(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    wish = wish_of(await read_form(request))
    try:
        answer = await queue.join_line(request.state, request.scope["headers"], event_id, wish)
    except Problem as problem:
        if problem.code in SHOWN_AGAIN:
            return see_other(f"/events/{event_id}")
        raise
    return _with_cookies(see_other(f"/events/{event_id}/wait"), answer.cookies)


async def claim(request: Request[State]) -> Response:
    """Enter: to the reservation if seats are held already, else to the map. No turn: back to the place in line."""
    event_id = request.path_params["event_id"]
    try:
        answer = await turn.claim_turn(request.state, request.scope["headers"], event_id)
    except Problem as problem:
        if problem.status in (401, 409, 410):
            return see_other(f"/events/{event_id}/wait")
        raise
    held = answer.reservation
    onward = f"/reservations/{held['id']}" if held else f"/events/{event_id}/seats"
    return _with_cookies(see_other(onward), answer.cookies)


async def leave(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    await turn.leave_line(request.state, request.scope["headers"], event_id)
    return see_other(f"/events/{event_id}/wait")


def _with_cookies(response: Response, cookies: list[tuple[bytes, bytes]]) -> Response:
    response.raw_headers.extend(cookies)
    return response


routes = [
    page_route("/events/{event_id}", event_page),
    page_route("/events/{event_id}/wait", wait_page),
    page_route("/events/{event_id}/join", join, "POST"),
    page_route("/events/{event_id}/claim", claim, "POST"),
    page_route("/events/{event_id}/leave", leave, "POST"),
]
