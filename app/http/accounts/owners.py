"""To whom a place in line and a reservation belong: to an account by its session, with the browsers it took over, else
to the browser they were made in, by its secret.

A ticket or a pass that somebody else shows opens nothing: it may have been found, copied or sold.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from app.domain.passing import AdmissionPass
from app.domain.reservation import Reservation
from app.domain.ticket import Ticket, account_holder, holder_bytes, holder_text, is_account, is_invited
from app.http.accounts import credentials
from app.http.accounts.credentials import (
    BUYER_COOKIE_LIFE_S,
    HOLDER_COOKIE,
    require_pass,
    require_ticket,
    session_if_any,
    visitor_of,
)
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, set_cookie
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger import users
from app.room.view import LineView


def browser_of(state: State, headers: Headers) -> str | None:
    """The holder id of the browser that asks, if it has one of our secrets."""
    known = credentials.browser_of(state["browsers"], headers)
    return None if known is None else holder_text(known)


async def holders_of(request: Request[State]) -> list[str]:
    """Every holder id under which who asks may have reserved something. Raises Problem 401 for a bad Bearer token."""
    return await owned(request.state, request.scope["headers"])


def buyer_of(state: State, headers: Headers) -> str | None:
    """Whose a reservation made now without a place in line is: the account's, else the browser's.

    Raises Problem 401 for a bad Bearer token.
    """
    session = session_if_any(state["tokens"], headers)
    return browser_of(state, headers) if session is None else users.own_holder(session.user_id)


async def owned(state: State, headers: Headers) -> list[str]:
    """The account's ids, those of invitations, and that of this browser unless another account took it over."""
    session = session_if_any(state["tokens"], headers)
    user_id = None if session is None else session.user_id
    found = [holder_text(each) for each in credentials.all_invited(state["entrance"].invited, headers)]
    if user_id is not None:
        found += [users.own_holder(user_id), *await users.holders_of_user(state["db"], user_id)]
    browser = browser_of(state, headers)
    if browser is None or browser in found:
        return found
    is_free = await users.holder_owner(state["db"], browser) in (None, user_id)
    return [*found, browser] if is_free else found


async def owns(state: State, headers: Headers, reservation: Reservation) -> bool:
    """Whether it belongs to who asks. Raises Problem 401 for a bad Bearer token."""
    return reservation.holder in await owned(state, headers)


def is_holder(state: State, headers: Headers, holder: bytes) -> bool:
    """Whether whoever asks is this holder: the account is logged in, or it is this browser. From memory."""
    if is_account(holder):
        session = visitor_of(state["tokens"], headers)
        return session is not None and account_holder(session.user_id) == holder
    if is_invited(holder):
        return holder in credentials.all_invited(state["entrance"].invited, headers)
    return credentials.browser_of(state["browsers"], headers) == holder


def own_ticket(state: State, headers: Headers, view: LineView) -> Ticket:
    """The ticket for this room's running line, shown by the holder it was made for. Raises Problem, 401 or 403."""
    ticket = require_ticket(state["tickets"], headers, view)
    _check_holder(state, headers, ticket.holder)
    return ticket


def own_pass(state: State, headers: Headers, event_id: str) -> AdmissionPass:
    """The pass for this event, shown by the holder it was made for. Raises Problem 401, 403 or 410."""
    admission = require_pass(state["passes"], headers, event_id)
    _check_holder(state, headers, holder_bytes(admission.holder) or b"")
    return admission


def _check_holder(state: State, headers: Headers, holder: bytes) -> None:
    if is_holder(state, headers, holder):
        return
    session_if_any(state["tokens"], headers)  # says why a Bearer token is no good
    raise Problem("holder_other.account" if is_account(holder) else "holder_other")


def kept_id(state: State, headers: Headers, reservations: Iterable[Reservation]) -> list[tuple[bytes, bytes]]:
    """The cookie with which a browser keeps its secret from now on, if one of these is its own: without it nobody could
    show the tickets at the door.
    """
    shown, browser = cookie(headers, HOLDER_COOKIE), browser_of(state, headers)
    if shown is None or browser is None or all(reservation.holder != browser for reservation in reservations):
        return []
    secure = state["settings"].secure_cookies
    return [set_cookie(HOLDER_COOKIE, shown.decode(), life_s=BUYER_COOKIE_LIFE_S, secure=secure)]


def new_browser(state: State) -> tuple[str, tuple[bytes, bytes]]:
    """The holder id of a browser nobody has seen, and the cookie that makes it this one."""
    made = state["browsers"].new()
    secure = state["settings"].secure_cookies
    return holder_text(made.holder), set_cookie(HOLDER_COOKIE, made.cookie, life_s=COOKIE_LIFE_S, secure=secure)


def remember_browser(request: Request[State], response: Response) -> None:
    """Give a browser its secret: a reservation needs an owner, and who joins twice because the first answer was lost is
    to be one person.
    """
    if buyer_of(request.state, request.scope["headers"]) is None:
        response.raw_headers.append(new_browser(request.state)[1])
