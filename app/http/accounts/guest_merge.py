"""What a browser had before it logged in becomes the account's: its places in line, its turns, its reservations.

An id that another account took over stays that account's: nothing of it is taken over. The browser forgets its id then,
so that what happens in it after a log-out belongs to nobody who was here before.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from app.domain.line import RoomState
from app.domain.ticket import BadTicket, Ticket, account_holder, holder_text, is_account
from app.http.accounts.credentials import (
    HOLDER_COOKIE,
    pass_cookie,
    presented_session,
    presented_ticket,
    session_if_any,
    ticket_cookie,
)
from app.http.accounts.owners import browser_of
from app.http.accounts.tokens import AdmissionPass
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, set_cookie
from app.http.state import State
from app.ledger import users
from app.room.errors import RoomUnavailable
from app.room.scripts import GuestPlace
from app.room.view import LineView

ROOMS_MAX = 200  # looked at when somebody logs in: those this browser has a ticket for, then the newest
BROWSERS_MAX = 20  # ids that one browser may show at once; it has one, unless somebody plays with its cookies

Cookie = tuple[bytes, bytes]
log = structlog.get_logger()


async def merge_guest_into_account(state: State, headers: Headers, user_id: str) -> list[Cookie]:
    """Take over what the browser has in every line; the cookies with the account's own tickets.

    The line being away puts it off: joining the line again makes up for it.
    """
    views = [view for view in state["rooms"].views.values() if view.state is not RoomState.closed]
    shown = {view.event_id: _ticket(state, headers, view.event_id) for view in views}
    views.sort(key=lambda view: (shown[view.event_id] is not None, view.opens_ms), reverse=True)
    views = views[:ROOMS_MAX]
    browser = browser_of(headers)
    names = {browser} | {_browser_in(ticket) for ticket in shown.values()}
    ours = await _linked(state, names, user_id)
    try:
        numbers = await _merge(state, user_id, {view: _names(shown[view.event_id], browser) & ours for view in views})
    except RoomUnavailable as error:
        log.warning("guest_merge_postponed", user=user_id, error=error.kind)
        return []
    secure = state["settings"].secure_cookies
    cookies = [set_cookie(HOLDER_COOKIE, "", life_s=0, secure=secure)] if cookie(headers, HOLDER_COOKIE) else []
    for view in views:
        ticket = shown[view.event_id]
        mine = ticket is None or ticket.holder == account_holder(user_id) or _browser_in(ticket) in ours
        cookies += _place_cookies(state, headers, view, numbers.get(view.event_id, 0), ticket, user_id, mine)
    return cookies


def has_guest_place(state: State, headers: Headers, event_id: str) -> bool:
    """Whether somebody logged in shows a place of this browser that is not the account's yet."""
    if presented_session(headers) is None:
        return False
    return bool(_names(_ticket(state, headers, event_id), browser_of(headers)))


async def merge_guest_into_line(state: State, headers: Headers, view: LineView) -> None:
    """The same for one line, where log-in could not do it. Raises Problem 401 for a bad Bearer token."""
    session = session_if_any(state["tokens"], headers)
    if session is None:
        return
    names = _names(_ticket(state, headers, view.event_id), browser_of(headers))
    try:
        await _merge(state, session.user_id, {view: await _linked(state, names, session.user_id)})
    except RoomUnavailable as error:
        log.warning("guest_merge_postponed", user=session.user_id, error=error.kind)


def _ticket(state: State, headers: Headers, event_id: str) -> Ticket | None:
    token = presented_ticket(headers, event_id)
    ticket = state["tickets"].read(token, event_id) if token is not None else BadTicket.invalid
    return None if isinstance(ticket, BadTicket) else ticket


def _browser_in(ticket: Ticket | None) -> str | None:
    return None if ticket is None or is_account(ticket.holder) else holder_text(ticket.holder)


def _names(ticket: Ticket | None, browser: str | None) -> set[str]:
    """Under which names the browser may have a place in the ticket's line."""
    return {name for name in (_browser_in(ticket), browser) if name is not None}


async def _linked(state: State, names: Iterable[str | None], user_id: str) -> set[str]:
    """Those of the browser's names that are the account's from now on."""
    some = sorted(name for name in names if name is not None)[:BROWSERS_MAX]
    now = state["clock"].now()
    return {name for name in some if await users.link_holder(state["db"], name, user_id, now)}


async def _merge(state: State, user_id: str, names: dict[LineView, set[str]]) -> dict[str, int]:
    """The account's number in each line where it has one, after the browser's places have become its own."""
    places = [
        GuestPlace(view.event_id, view.epoch, name) for view, some in names.items() for name in sorted(some) or [""]
    ]
    if not places:
        return {}
    merged = await state["scripts"].merge_all(places, holder_text(account_holder(user_id)))
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
    admission = state["tokens"].read_pass(shown.decode("latin-1"), event_id) if shown else None
    if isinstance(admission, AdmissionPass) and (number or not mine) and admission.number != number:
        cookies.append(set_cookie(pass_cookie(event_id), "", life_s=0, secure=secure))
    return cookies
