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

from app.domain.line import ACCOUNT_DOORS, Door, Opening, Place, RoomState
from app.domain.reservation import ReservationStatus
from app.domain.ticket import is_account, is_invited
from app.domain.wish import Wish
from app.http.accounts.owners import remember_browser
from app.http.events.cache import known_event
from app.http.events.shown import shown_event
from app.http.events.view import event_view
from app.http.kit.forms import first, read_form, wish_of
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line import turns as turn
from app.http.line.door import ASKS_TO_WAIT, host_of, is_invited_here, show_invitation
from app.http.line.in_app import is_in_app
from app.http.line.joining import join_line
from app.http.line.lookup import place_of, room_of, ticket_of, view_of, wish_of_place
from app.http.line.position import BEFORE_TURN, encode_position
from app.http.line.shown import ask_to_wait, frame_of, show_check, show_wait, with_captcha
from app.http.line.view import no_place_view, wait_view, wish_words
from app.http.shop import rules as shop
from app.http.shop.shown import own_of
from app.http.state import State
from app.http.waitlist.entry import why_no_entry

log = structlog.get_logger()
SHOWN_AGAIN = frozenset(
    {"room_not_open", "room_closed", "login_required", "invitation_required"}
)  # the event page says why


async def event_page(request: Request[State]) -> Response:
    return await _event(request)


async def _event(request: Request[State], refused: Problem | None = None) -> Response:
    event = await shown_event(request)
    line = request.state["rooms"].views.get(event.event_id)
    place = place_of(request, line)
    own = [] if place in BEFORE_TURN else await own_of(request, event)
    held = next((one for one in own if place is Place.claimed and one.status is ReservationStatus.pending), None)
    barred = why_no_entry(request, event.event_id)
    context = {
        "event": event,
        "accounts_only": line is not None and line.door in ACCOUNT_DOORS,
        "invited_only": line is not None and line.door is Door.invited,
        "is_invited": line is not None and is_invited_here(request.state, request.scope["headers"], line),
        "invitation_wrong": problem_words(texts_for(request), refused) if refused else "",
        "in_app": is_in_app(request.scope["headers"]),
        "verified_only": line is not None and line.door is Door.verified,
        "place": place or "",
        "held": held,
        "own": [one for one in own if one is not held],
        "barred": "" if barred is None else problem_words(texts_for(request), barred),
        "seats_max": request.state["settings"].seats_per_buyer_max,
        "draw_s": request.state["settings"].opening_draw_s,
        "drawn": line is not None and line.opening is Opening.draw,
    }
    version = (await known_event(request.state, event.event_id)).version
    script = {"eventId": event.event_id, "version": version, "status": event.status, "room": event.room}
    response = page(
        request,
        "line/event.html",
        context,
        script=script,
        words=("events.join.", "events.soldout", "kit.error."),
        status=200 if refused is None else refused.status,
    )
    remember_browser(request, response)
    return with_captcha(request, response)


async def show(request: Request[State]) -> Response:
    """Take an invitation that was pasted, or that the script found behind the link's #; it is in no address."""
    event_id, text = request.path_params["event_id"], first(await read_form(request), "invitation")
    line = await view_of(request.state, event_id)
    token = "".join(text.rpartition("invitation=")[2].split())  # of a whole link, or one that a letter has broken
    try:
        _, proof = show_invitation(request.state, line, token)
    except Problem as problem:
        return await _event(request, problem)
    return _with_cookies(see_other(f"/events/{event_id}"), [proof])


async def wait_page(request: Request[State]) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    line = await request.state["rooms"].find(event.id)
    if line is None:
        return see_other(f"/events/{event.id}")
    t, lang = texts_for(request), lang_of(request)
    seats = request.state["seats"].get(event.id)  # in memory, while it is sold
    left = None if seats is None else seats.left()
    shown = event_view(event, room_of(request.state, event), left, request.state["clock"].now(), lang)
    ticket = ticket_of(request, line)
    position: dict[str, Any] | None = None
    wish = ""
    view = no_place_view(t, shown.room)
    if ticket is not None:
        if line.place(ticket.number) is Place.left or line.state is RoomState.closed:
            bought = await shop.reservation_of(request.state, event.id, ticket.epoch, ticket.number)
            if bought is not None:  # paying ends the place in line as leaving does
                told = "?said=pass_spent" if bought["status"] == ReservationStatus.confirmed else ""
                return see_other(f"/reservations/{bought['id']}{told}")
        request.state["presence"].see(line, ticket.number, ticket.holder, wishes=ticket.wish)
        position = msgspec.json.decode(encode_position(line, ticket.number, request.state["reservation_member"]))
        view = wait_view(t, position, shown.zone)
        wish = wish_words(t, await wish_of_place(request.state, line, ticket.number))
    can_move = ticket is not None and not (is_account(ticket.holder) or is_invited(ticket.holder))
    return show_wait(request, frame_of(shown), view, line, position, wish, can_move=can_move)


async def join(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    wish = wish_of(await read_form(request))
    try:
        answer = await join_line(request.state, request.scope["headers"], host_of(request.scope), event_id, wish)
    except Problem as problem:
        if problem.code in ASKS_TO_WAIT:
            return await ask_to_wait(request, event_id, f"/events/{event_id}", _fields_of(wish))
        if problem.code in SHOWN_AGAIN:
            return see_other(f"/events/{event_id}")
        raise
    return _with_cookies(see_other(f"/events/{event_id}/wait"), answer.cookies)


def _fields_of(wish: Wish | None) -> list[tuple[str, str]]:
    """The fields of the form that say this wish."""
    if wish is None:
        return []
    adjacent = [("adjacent", "required" if wish.is_required else "preferred")] if wish.adjacent else []
    return [("quantity", str(wish.quantity)), *(("grade", grade) for grade in wish.grades), *adjacent]


async def check_page(request: Request[State]) -> Response:
    """Where a browser without scripts waits for its place; one with them works for it instead."""
    form: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        form.setdefault(name, []).append(value)
    wish = wish_of(form)
    return await show_check(request, frame_of(await shown_event(request)), _fields_of(wish), wish)


async def claim(request: Request[State]) -> Response:
    """Enter: to the reservation if seats are held already, else to the map. No turn: back to the place in line."""
    event_id = request.path_params["event_id"]
    try:
        answer = await turn.claim_turn(request.state, request.scope["headers"], event_id)
    except Problem as problem:
        if problem.status in (401, 403, 409, 410):
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
    page_route("/events/{event_id}/check", check_page),
    page_route("/events/{event_id}/wait", wait_page),
    page_route("/events/{event_id}/invitation", show, "POST"),
    page_route("/events/{event_id}/join", join, "POST"),
    page_route("/events/{event_id}/claim", claim, "POST"),
    page_route("/events/{event_id}/leave", leave, "POST"),
]
