"""To whom a reservation belongs: to an account with everything it took over, else to the browser it was made in.

A ticket or a pass proves its place in line, and what was reserved for that place. The name in it proves nothing more
about an account: an account's name in the line is no secret, and a ticket outlives a log-out.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request

from app.domain.reservation import Reservation
from app.domain.ticket import BadTicket, account_holder, holder_bytes, holder_text, is_account
from app.http.credentials import (
    BUYER_COOKIE_LIFE_S,
    HOLDER_COOKIE,
    Headers,
    cookie,
    presented_pass,
    presented_ticket,
    session_if_any,
    set_cookie,
)
from app.http.passes import AdmissionPass
from app.http.state import State
from app.ledger import users


def browser_of(headers: Headers) -> str | None:
    """The browser's own random id, which only it knows."""
    text = cookie(headers, HOLDER_COOKIE)
    known = holder_bytes(text.decode("latin-1")) if text is not None else None
    return None if known is None or is_account(known) else holder_text(known)


async def holders_of(request: Request[State]) -> list[str]:
    """Every name under which whoever asks may have reserved something. Raises Problem 401 for a bad Bearer token."""
    headers = request.scope["headers"]
    browser = browser_of(headers)
    return await _owned(request.state, headers, [browser] if browser is not None else [])


def buyer_of(state: State, headers: Headers) -> str | None:
    """Whose a reservation made now without a place in line is: the account's, else the browser's.

    Raises Problem 401 for a bad Bearer token.
    """
    session = session_if_any(state["tokens"], headers)
    return browser_of(headers) if session is None else holder_text(account_holder(session.user_id))


async def _owned(state: State, headers: Headers, browsers: list[str]) -> list[str]:
    """The account's names, and those of `browsers` that no other account took over."""
    session = session_if_any(state["tokens"], headers)
    user_id = None if session is None else session.user_id
    found: list[str] = []
    if user_id is not None:
        found = [holder_text(account_holder(user_id)), *await users.holders_of_user(state["db"], user_id)]
    for browser in browsers:
        if browser not in found and await users.holder_owner(state["db"], browser) in (None, user_id):
            found.append(browser)
    return found


async def owns(state: State, headers: Headers, reservation: Reservation) -> bool:
    """Whether it belongs to who asks. Raises Problem 401 for a bad Bearer token."""
    browsers = {browser_of(headers)}
    for holder, epoch, number in _places(state, headers, reservation.event_id):
        if reservation.number is not None and (reservation.epoch, reservation.number) == (epoch, number):
            return True
        known = holder_bytes(holder)
        browsers.add(holder if known is not None and not is_account(known) else None)
    return reservation.holder in await _owned(state, headers, [browser for browser in browsers if browser is not None])


def kept_id(state: State, headers: Headers, reservations: Iterable[Reservation]) -> list[tuple[bytes, bytes]]:
    """The cookie with which a browser keeps its id from now on, if one of these is its own: without the id nobody could
    show the tickets at the door.
    """
    browser = browser_of(headers)
    if browser is None or all(reservation.holder != browser for reservation in reservations):
        return []
    secure = state["settings"].secure_cookies
    return [set_cookie(HOLDER_COOKIE, browser, life_s=BUYER_COOKIE_LIFE_S, secure=secure)]


def _places(state: State, headers: Headers, event_id: str) -> list[tuple[str, int, int]]:
    """(holder, epoch, number) of the ticket and the pass that are shown for an event."""
    found: list[tuple[str, int, int]] = []
    token = presented_ticket(headers, event_id)
    ticket = state["tickets"].read(token, event_id) if token else BadTicket.invalid
    if not isinstance(ticket, BadTicket):
        found.append((holder_text(ticket.holder), ticket.epoch, ticket.number))
    shown = presented_pass(headers, event_id)
    admission = state["tokens"].read_pass(shown.decode("latin-1"), event_id) if shown else None
    if isinstance(admission, AdmissionPass):
        found.append((admission.holder, admission.epoch, admission.number))
    return found
