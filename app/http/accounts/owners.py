"""To whom a reservation belongs: to an account with everything it took over, else to the browser it was made in.

A ticket or a pass proves its place in line, and what was reserved for that place. The name in it proves nothing more
about an account: an account's name in the line is no secret, and a ticket outlives a log-out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import Reservation
from app.domain.ticket import (
    HOLDER_BYTES,
    BadTicket,
    account_holder,
    holder_bytes,
    holder_text,
    is_account,
    ticket_event,
)
from app.http.accounts.credentials import (
    BUYER_COOKIE_LIFE_S,
    HOLDER_COOKIE,
    PASS_PREFIX,
    TICKET_PREFIX,
    presented_pass,
    presented_ticket,
    session_if_any,
)
from app.http.accounts.tokens import AdmissionPass, pass_event
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, cookie_names, header, set_cookie
from app.http.state import State
from app.ledger import users
from app.ledger.reservations import Standing

COOKIES_READ_MAX = 100  # each may carry a signature to check


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
    shown = _places(state, headers, reservation.event_id)
    if (reservation.event_id, reservation.epoch, reservation.number) in [place for _, place in shown]:
        return True
    return reservation.holder in await _names(state, headers, shown)


async def owned_by(request: Request[State]) -> tuple[list[str], list[Standing]]:
    """Every name under which whoever asks may have reserved something, and every place in line they prove.

    A reservation of either is theirs, as `owns` says of one. Raises Problem 401 for a bad Bearer token.
    """
    state, headers = request.state, request.scope["headers"]
    shown = [place for event_id in _events_shown(headers) for place in _places(state, headers, event_id)]
    return await _names(state, headers, shown), [place for _, place in shown]


async def _names(state: State, headers: Headers, shown: list[tuple[str, Standing]]) -> list[str]:
    """The names of who asks, with those of the browsers whose places are shown."""
    browsers = {browser_of(headers)}
    for holder, _ in shown:
        known = holder_bytes(holder)
        browsers.add(holder if known is not None and not is_account(known) else None)
    return await _owned(state, headers, [browser for browser in browsers if browser is not None])


def kept_id(state: State, headers: Headers, reservations: Iterable[Reservation]) -> list[tuple[bytes, bytes]]:
    """The cookie with which a browser keeps its id from now on, if one of these is its own: without the id nobody could
    show the tickets at the door.
    """
    browser = browser_of(headers)
    if browser is None or all(reservation.holder != browser for reservation in reservations):
        return []
    secure = state["settings"].secure_cookies
    return [set_cookie(HOLDER_COOKIE, browser, life_s=BUYER_COOKIE_LIFE_S, secure=secure)]


def _events_shown(headers: Headers) -> set[str]:
    """The events whose ticket or pass seems to be shown, by a header or by cookies. Nothing is checked yet."""
    ticket, admission = header(headers, b"x-queue-ticket"), header(headers, b"x-admission-pass")
    named = {ticket_event(ticket or b""), pass_event((admission or b"").decode("latin-1"))}
    for name in cookie_names(headers)[:COOKIES_READ_MAX]:
        for prefix in (TICKET_PREFIX, PASS_PREFIX):
            if name.startswith(prefix):
                named.add(name.removeprefix(prefix).decode("latin-1"))
    return named - {""}


def _places(state: State, headers: Headers, event_id: str) -> list[tuple[str, Standing]]:
    """Holder and place of the ticket and the pass that are shown for an event."""
    found: list[tuple[str, Standing]] = []
    token = presented_ticket(headers, event_id)
    ticket = state["tickets"].read(token, event_id) if token else BadTicket.invalid
    if not isinstance(ticket, BadTicket):
        found.append((holder_text(ticket.holder), (event_id, ticket.epoch, ticket.number)))
    shown = presented_pass(headers, event_id)
    admission = state["tokens"].read_pass(shown.decode("latin-1"), event_id) if shown else None
    if isinstance(admission, AdmissionPass):
        found.append((admission.holder, (event_id, admission.epoch, admission.number)))
    return found


def remember_browser(request: Request[State], response: Response) -> None:
    """Give a browser its random id: a reservation needs an owner, and who joins twice because the first answer was lost
    is to be one person.
    """
    if buyer_of(request.state, request.scope["headers"]) is None:
        name = holder_text(os.urandom(HOLDER_BYTES))
        secure = request.state["settings"].secure_cookies
        response.raw_headers.append(set_cookie(HOLDER_COOKIE, name, life_s=COOKIE_LIFE_S, secure=secure))
