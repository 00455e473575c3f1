"""How a place in line is given, whoever asks: the API, a page, or the fast path before both.

A join shares one Redis call with everyone who joins meanwhile.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from app.control.sale_schedule import CANCELLED
from app.domain.line import ACCOUNT_DOORS, Place, RoomState
from app.domain.ticket import BadTicket, Ticket, holder_text, is_account
from app.domain.wish import Wish, pack_wish
from app.http.accounts.credentials import (
    HOLDER_COOKIE,
    Joining,
    presented_ticket,
    require_ticket,
    ticket_cookie,
    who_joins,
)
from app.http.accounts.guest_merge import has_guest_place, merge_guest_into_line
from app.http.kit.cookies import COOKIE_LIFE_S, set_cookie
from app.http.kit.problems import Problem
from app.http.line.door import (
    CAPTCHA,
    REFUSED_AFTER_S,
    REFUSED_LATE,
    SOLVED,
    WAITED,
    Shown,
    challenge_problem,
    invited_by,
    show_at_door,
    show_captcha,
)
from app.http.line.lookup import view_of
from app.http.line.position import position_members
from app.http.shop.rules import check_wish
from app.http.state import State
from app.room.answers import Joined, JoinStatus, RoomStatus
from app.room.joiner import JoinUnavailable
from app.room.person import StraightIn
from app.room.view import LineView

SHORT_RETRY_S = 30  # memory comes free as lines end, not within a second
PROVEN = {SOLVED: "solved", WAITED: "waited", CAPTCHA: "captcha"}


class JoinAnswer(NamedTuple):
    """`cookies` are Set-Cookie headers; `body` is the JSON answer."""

    created: bool
    ticket: Ticket
    body: bytes
    cookies: list[tuple[bytes, bytes]]


Asked = asyncio.Future[tuple[RoomStatus, Joined]]


class Arrival(NamedTuple):
    """Someone who asked for a number: the future gives it. `names`: cookies that say who they are from now on."""

    view: LineView
    holder: bytes
    names: list[tuple[bytes, bytes]]
    wish: bool
    shown: Shown
    joining: Asked


def request_number(
    state: State,
    headers: list[tuple[bytes, bytes]],
    host: str,
    view: LineView,
    wish: Wish | None,
    made_in: int,
    proof: str = "",
    straight: StraightIn | None = None,
) -> Arrival:
    """Ask for a number with everyone else who asks now. `host`: their address. The event can grant the wish. `made_in`:
    the view's when it was looked at whether their ticket brings a place back. `proof`: the id of one that was checked
    already.

    Raises Problem if it is known that there is no number.
    """
    invited, names = invited_by(state, headers, view)
    who = _who_joins(state, headers, view, invited)
    if who.cookie:
        secure = state["settings"].secure_cookies
        names.append(set_cookie(HOLDER_COOKIE, who.cookie, life_s=COOKIE_LIFE_S, secure=secure))
    packed = pack_wish(wish) if wish is not None else ""
    if state["redis_memory"].is_short:
        raise Problem("line_unavailable.memory", retryAfterSeconds=SHORT_RETRY_S)
    shown = show_at_door(state, headers, host, view)
    if proof:
        shown = shown._replace(proof=proof)
    person = (holder_text(who.holder), packed, *shown, who.verified)
    try:
        joining = state["joiner"].join(view.event_id, view.epoch, *person, made_in, straight)
    except JoinUnavailable as error:
        raise _unavailable(error) from None
    return Arrival(view, who.holder, names, wish is not None, shown, joining)


def _who_joins(state: State, headers: list[tuple[bytes, bytes]], view: LineView, invited: bytes | None) -> Joining:
    """Who joins: who was invited, but where the door asks for an account it is the one that is logged in. A place that
    the invitation brought before the door was changed stays theirs, and logging in adds none.

    Raises Problem 401 for a bad Bearer token.
    """
    if invited is not None and (view.door not in ACCOUNT_DOORS or _stands(state, headers, view, invited)):
        return Joining(invited)
    who = who_joins(state["browsers"], state["tokens"], headers)
    return who if invited is None or is_account(who.holder) else Joining(invited)


def _stands(state: State, headers: list[tuple[bytes, bytes]], view: LineView, holder: bytes) -> bool:
    """Whether who asks shows the ticket of this holder's place in the line, and it has not ended."""
    token = presented_ticket(headers, view.event_id)
    ticket = BadTicket.invalid if token is None else state["tickets"].read(token, view.event_id)
    if isinstance(ticket, BadTicket) or (ticket.epoch, ticket.holder) != (view.epoch, holder):
        return False
    return view.place(ticket.number) not in (Place.left, Place.lapsed)


def joined_answer(state: State, arrival: Arrival) -> JoinAnswer:
    """The answer to an arrival whose future is done. Raises Problem when the room takes nobody."""
    view, event_id, holder = arrival.view, arrival.view.event_id, arrival.holder
    secure = state["settings"].secure_cookies
    names = arrival.names
    try:
        room_state, joined = arrival.joining.result()
    except JoinUnavailable as error:
        problem = _unavailable(error)
        problem.cookies = names  # the answer may just be late: who tries again is the same
        raise problem from None
    if joined.status not in (JoinStatus.joined, JoinStatus.already):
        raise _refusal(state, arrival, room_state, joined)
    if joined.status is JoinStatus.joined:
        state["meters"].at_door(event_id, PROVEN.get(arrival.shown.proof[:1], "free"))
    ticket = Ticket(event_id, view.epoch, joined.number, holder, int(state["clock"].seconds()), arrival.wish)
    token = state["tickets"].sign(ticket)
    body = b'{"ticket":"%s","streamUrl":"/api/queue/%s/stream",%s}' % (
        token.encode(),
        event_id.encode(),
        position_members(view, joined.number, view.position_of_newcomer(joined.number), state["reservation_member"]),
    )
    cookies = [set_cookie(ticket_cookie(event_id), token, life_s=COOKIE_LIFE_S, secure=secure), *names]
    return JoinAnswer(
        created=joined.status is JoinStatus.joined,
        ticket=ticket,
        body=body,
        cookies=cookies,
    )


async def join_line(
    state: State,
    headers: list[tuple[bytes, bytes]],
    host: str,
    event_id: str,
    wish: Wish | None,
    straight: StraightIn | None = None,
) -> JoinAnswer:
    """Give whoever asks their place, once: an account takes over a place its browser has here, and keeps one. With
    `straight` they go straight in if nobody waits.

    Raises Problem when the room takes nobody.
    """
    view = await view_of(state, event_id)
    if wish is not None:
        await check_wish(state, event_id, wish)
    made_in = view.made_in
    if view.unproven:
        await _take_back(state, headers, view)
    if has_guest_place(state, headers):
        await merge_guest_into_line(state, headers, view)
    try:
        proof = await show_captcha(state, headers, host, view)
        straight = straight if view.is_free else None
        arrival = request_number(state, headers, host, view, wish, made_in, proof, straight)
        await asyncio.wait([arrival.joining])
        return joined_answer(state, arrival)
    except Problem as problem:
        if problem.code in REFUSED_LATE:
            await _late()
        raise


async def _late() -> None:
    await asyncio.sleep(REFUSED_AFTER_S)


async def _take_back(state: State, headers: list[tuple[bytes, bytes]], view: LineView) -> None:
    """Give somebody who joins again the place their ticket proves, which a loss of Redis took: not one at the back."""
    try:
        ticket = require_ticket(state["tickets"], headers, view)
        if ticket.number in view.unproven:
            await state["presence"].restore(view.event_id, view.epoch, {ticket.number: holder_text(ticket.holder)})
    except Problem:
        return  # a ticket of no use proves nothing


def _unavailable(error: JoinUnavailable) -> Problem:
    return Problem("line_unavailable.joining", why=error)


def _refusal(state: State, arrival: Arrival, room: RoomStatus, joined: Joined) -> Problem:
    view = arrival.view
    match room, joined.status:
        case _, JoinStatus.stranger:
            return Problem("login_required.line")
        case _, JoinStatus.unverified:
            return Problem("verification_required")
        case _, JoinStatus.challenge:
            return challenge_problem(state, view, arrival.shown.network, joined.number)
        case _, JoinStatus.spent:
            state["meters"].at_door(view.event_id, "spent")
            return Problem("solution_spent")
        case _, JoinStatus.uninvited:
            return Problem("invitation_required")
        case _, JoinStatus.full:
            return Problem("numbers_short")
        case _, JoinStatus.unready:  # for a moment: a worker makes the seed of its draw
            return Problem("line_unavailable.new")
        case RoomState.scheduled | RoomState.paused | RoomState.recovering, _:  # of the others too: before its time
            opens = datetime.fromtimestamp(view.opens_ms / 1000, UTC).isoformat()
            return Problem("room_not_open", opens=opens, opensAt=opens, room=room)
        case RoomState.draining | RoomState.closed, _:
            return closed_problem(view, room)
        case _:
            return Problem("line_unavailable.changing")


def closed_problem(view: LineView, room_state: str) -> Problem:
    """Why a line takes nobody: its event was cancelled, its sale is over (`reason`), or an admin closed it."""
    if view.reason == CANCELLED:
        return Problem("event_cancelled.line", room=room_state)
    extra = {"reason": view.reason} if view.reason else {}
    return Problem("room_closed", room=room_state, **extra)
