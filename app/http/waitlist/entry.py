"""Who may join the waiting list of an event whose line somebody stands in. From memory."""

from __future__ import annotations

from starlette.requests import Request

from app.domain.line import ACCOUNT_DOORS, Door, RoomState
from app.domain.waitlist import may_join
from app.http.accounts.credentials import session_if_any
from app.http.accounts.owners import own_ticket
from app.http.kit.problems import Problem
from app.http.state import State


def why_no_entry(request: Request[State], event_id: str) -> Problem | None:
    """Why who asks may not join the list: somebody stands in line whom it would put them before, or only others may
    join that line. None if they may. Raises Problem 401 for a bad Bearer token.
    """
    line = request.state["rooms"].views.get(event_id)
    if line is None or line.state is RoomState.closed:
        return None
    try:
        number = own_ticket(request.state, request.scope["headers"], line).number
    except Problem:
        number = None  # a ticket of no use is none: it is said below what to do
    if number is None and line.door in ACCOUNT_DOORS:
        session = session_if_any(request.state["tokens"], request.scope["headers"])
        if session is None:
            return Problem("login_required.list")
        if line.door is Door.verified and not session.verified:
            return Problem("verification_required")
    if number is None and line.door is Door.invited:
        return Problem("invitation_required")
    if not may_join(number=number, cursor=line.cursor, people_waiting=line.waiting):
        return Problem("line_first")
    return None
