"""Which line a request is about: from memory, unless its room was made since this process last looked. And what a place
in it asked for.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request

from app.control.sale_schedule import SALE_ENDED
from app.domain.line import Place, RoomState
from app.domain.sale import SaleStatus, status_of
from app.domain.ticket import Ticket
from app.domain.wish import Wish, unpack_wish
from app.http.accounts.owners import own_ticket
from app.http.events.cache import known_event
from app.http.events.view import RoomWord
from app.http.kit.problems import Problem, stores_refused
from app.http.state import State
from app.ledger.events import Event
from app.room.errors import RoomUnavailable
from app.room.view import LineView

log = structlog.get_logger()


async def view_of(state: State, event_id: str) -> LineView:
    """The room's view. Raises Problem: 404 where there is none, 410 where it is long over, 503 where it is not made yet
    or Redis is away."""
    with stores_refused():
        view = await state["rooms"].find(event_id)
    if view is not None:
        return view
    room, now = state["origins"].rooms.get(event_id), state["clock"].now()
    if room is not None:
        raise _over() if room.is_over(now) else Problem("line_unavailable.new")
    event = await known_event(state, event_id)
    if event.admission == "open":
        raise Problem("event_unknown.without_line", event_id=event_id)
    if event.cancelled_at is not None:
        raise Problem("event_cancelled.line", room=RoomState.closed)
    if _is_over(state, event):
        raise _over()
    raise Problem("line_unavailable.new")


def _over() -> Problem:
    return Problem("room_closed", room=RoomState.closed, reason=SALE_ENDED)


async def wish_of_place(state: State, line: LineView, number: int) -> Wish | None:
    """What was asked for at the door, while it is still to come. Is Redis away, the page does without."""
    if line.place(number) is not Place.waiting:
        return None
    try:
        packed = await state["scripts"].wish(line.event_id, line.epoch, number)
    except RoomUnavailable as error:
        log.warning("wish_not_shown", event_id=line.event_id, error=error.kind)
        return None
    return unpack_wish(packed) if packed else None


def room_of(state: State, event: Event) -> RoomWord:
    """The room's state in memory; of an event whose room is not known here, that it is over or being made."""
    line = state["rooms"].views.get(event.id)
    if line is not None:
        return line.state.value
    return "closed" if _is_over(state, event) else "recovering"


def _is_over(state: State, event: Event) -> bool:
    """Whether its room may be retired."""
    return status_of(event, state["clock"].now()) in (SaleStatus.ended, SaleStatus.cancelled)


def ticket_of(request: Request[State], line: LineView | None) -> Ticket | None:
    if line is None:
        return None
    try:
        return own_ticket(request.state, request.scope["headers"], line)
    except Problem:
        return None  # to a page, a ticket of no use is no ticket: it offers to join


def place_of(request: Request[State], line: LineView | None) -> Place | None:
    """Where who asks stands; None for who does not stand in this line any more, or never did."""
    ticket = ticket_of(request, line)
    if line is None or ticket is None:
        return None
    place = line.position(ticket.number).place
    return None if place in (Place.left, Place.lapsed) else place
