"""What a browser had before it logged in becomes the account's: its places in line, its turns, its reservations.

An id that another account took over stays that account's: nothing of it is taken over. The browser forgets its id then,
so that what happens in it after a log-out belongs to nobody who was here before.
"""

from __future__ import annotations

import structlog

from app.domain.line import RoomState
from app.domain.passing import AdmissionPass
from app.domain.ticket import BadTicket, Ticket, account_holder, holder_text, is_invited
from app.http.accounts.credentials import (
    HOLDER_COOKIE,
    pass_cookie,
    presented_session,
    presented_ticket,
    session_if_any,
    ticket_cookie,
)
from app.http.accounts.owners import browser_of
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, set_cookie
from app.http.state import State
from app.ledger import users
from app.room.errors import RoomUnavailable
from app.room.guest_places import GuestPlace, merge
from app.room.view import LineView

ROOMS_MAX = 200  # looked at when somebody logs in: those this browser has a ticket for, then the newest

Cookie = tuple[bytes, bytes]
log = structlog.get_logger()


async def merge_guest_into_account(state: State, headers: Headers, user_id: str) -> list[Cookie]:
    """Take over what the browser has in every line; the cookies with the account's own tickets.

    Of closed rooms only those that the browser has a ticket for: a pass from there may still be good. The line being
    away puts it off: joining the line again makes up for it.
    """
    views = list(state["rooms"].views.values())
    shown = {view.event_id: _ticket(state, headers, view.event_id) for view in views}
    views = [view for view in views if view.state is not RoomState.closed or shown[view.event_id] is not None]
    views.sort(key=lambda view: (shown[view.event_id] is not None, view.opens_ms), reverse=True)
    views = views[:ROOMS_MAX]
    browser = await _linked(state, headers, user_id)
    try:
        numbers = await _merge(state, user_id, browser, views)
    except RoomUnavailable as error:
        log.warning("guest_merge_postponed", user=user_id, error=error.kind)
        return []
    secure = state["settings"].secure_cookies
    cookies = [set_cookie(HOLDER_COOKIE, "", life_s=0, secure=secure)] if cookie(headers, HOLDER_COOKIE) else []
    for view in views:
        ticket = shown[view.event_id]
        mine = ticket is None or holder_text(ticket.holder) in (users.own_holder(user_id), browser)
        mine = mine or (ticket is not None and is_invited(ticket.holder))  # nobody takes over an invitation
        cookies += _place_cookies(state, headers, view, numbers.get(view.event_id, 0), ticket, user_id, mine)
    return cookies


def has_guest_place(state: State, headers: Headers) -> bool:
    """Whether somebody logged in shows a browser's secret, whose places are not all the account's yet."""
    if presented_session(headers) is None:
        return False
    return browser_of(state, headers) is not None


async def merge_guest_into_line(state: State, headers: Headers, view: LineView) -> None:
    """The same for one line, where log-in could not do it. Raises Problem 401 for a bad Bearer token."""
    session = session_if_any(state["tokens"], headers)
    if session is None:
        return
    try:
        await _merge(state, session.user_id, await _linked(state, headers, session.user_id), [view])
    except RoomUnavailable as error:
        log.warning("guest_merge_postponed", user=session.user_id, error=error.kind)


def _ticket(state: State, headers: Headers, event_id: str) -> Ticket | None:
    token = presented_ticket(headers, event_id)
    ticket = state["tickets"].read(token, event_id) if token is not None else BadTicket.invalid
    return None if isinstance(ticket, BadTicket) else ticket


async def _linked(state: State, headers: Headers, user_id: str) -> str:
    """This browser's holder id if it is the account's from now on, else ""."""
    browser = browser_of(state, headers)
    if browser is None:
        return ""
    return browser if await users.link_holder(state["db"], browser, user_id, state["clock"].now()) else ""


async def _merge(state: State, user_id: str, browser: str, views: list[LineView]) -> dict[str, int]:
    """The account's number in each line where it has one, after the browser's places have become its own."""
    if not views:
        return {}
    places = [GuestPlace(view.event_id, view.epoch, browser) for view in views]
    merged = await merge(state["scripts"], places, users.own_holder(user_id))
    return {place.event_id: each.number for place, each in zip(places, merged, strict=True) if each.number}


def _place_cookies(
    state: State, headers: Headers, view: LineView, number: int, ticket: Ticket | None, user_id: str, mine: bool
) -> list[Cookie]:
    """The account's ticket where it has a place; else somebody else's ticket is taken away, and a pass with it."""
    secure, event_id = state["settings"].secure_cookies, view.event_id
    cookies = []
    if number:
        wish = ticket is not None and ticket.number == number and ticket.wish
        own = Ticket(event_id, view.epoch, number, account_holder(user_id), int(state["clock"].seconds()), wish)
        token = state["tickets"].sign(own)
        cookies.append(set_cookie(ticket_cookie(event_id), token, life_s=COOKIE_LIFE_S, secure=secure))
    elif not mine:
        cookies.append(set_cookie(ticket_cookie(event_id), "", life_s=0, secure=secure))
    shown = cookie(headers, pass_cookie(event_id))
    admission = state["passes"].read(shown.decode("latin-1"), event_id) if shown else None
    if isinstance(admission, AdmissionPass) and (number or not mine) and admission.number != number:
        cookies.append(set_cookie(pass_cookie(event_id), "", life_s=0, secure=secure))
    return cookies
