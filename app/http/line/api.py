"""The waiting room's API: join, position, stream, status. What comes at a turn is in turns.py.

Join, position and stream are what a sale is made of. A position and a stream touch no datastore; a join shares one
Redis call with everyone who joins meanwhile. fast.py answers the plainest joins and positions with the same functions.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.control.sale_schedule import CANCELLED
from app.domain.line import RoomState
from app.domain.ticket import Ticket, holder_text
from app.domain.wish import Wish, pack_wish
from app.door.invitations import BadInvitation
from app.http.accounts.credentials import HOLDER_COOKIE, Joining, require_ticket, ticket_cookie, who_joins
from app.http.accounts.guest_merge import has_guest_place, merge_guest_into_line
from app.http.accounts.owners import is_holder
from app.http.kit.answers import json_answer
from app.http.kit.api import SESSION_REFUSALS, ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.cookies import COOKIE_LIFE_S, set_cookie
from app.http.kit.problems import Problem
from app.http.kit.shapes import Joined as JoinedShape
from app.http.kit.shapes import LineStatus, Position
from app.http.line.door import (
    CAPTCHA,
    REFUSED_AFTER_S,
    REFUSED_LATE,
    SOLVED,
    WAITED,
    Shown,
    challenge_problem,
    host_of,
    invited_by,
    show_at_door,
    show_captcha,
)
from app.http.line.lookup import view_of
from app.http.line.position import BEFORE_TURN, position_members, tell_nothing
from app.http.line.streams import STREAM_HEADERS
from app.http.shop.rules import check_wish
from app.http.state import State
from app.room.answers import Joined, JoinStatus, RoomStatus
from app.room.joiner import JoinUnavailable
from app.room.view import LineView

SHORT_RETRY_S = 30  # memory comes free as lines end, not within a second


class JoinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wish: Wish | None = None


_join_decoder = msgspec.json.Decoder(JoinBody)
_NO_BODY = JoinBody()
PROVEN = {SOLVED: "solved", WAITED: "waited", CAPTCHA: "captcha"}


class JoinAnswer(NamedTuple):
    """`cookies` are Set-Cookie headers; `body` is the JSON answer."""

    created: bool
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
) -> Arrival:
    """Ask for a number with everyone else who asks now. `host`: their address. The event can grant the wish. `made_in`:
    the view's when it was looked at whether their ticket brings a place back. `proof`: the id of one that was checked
    already.

    Raises Problem if it is known that there is no number.
    """
    invited, names = invited_by(state, headers, view)
    who = who_joins(state["browsers"], state["tokens"], headers) if invited is None else Joining(invited)
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
        joining = state["joiner"].join(view.event_id, view.epoch, *person, made_in)
    except JoinUnavailable as error:
        raise _unavailable(error) from None
    return Arrival(view, who.holder, names, wish is not None, shown, joining)


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
    return JoinAnswer(created=joined.status is JoinStatus.joined, body=body, cookies=cookies)


async def join_line(
    state: State, headers: list[tuple[bytes, bytes]], host: str, event_id: str, wish: Wish | None
) -> JoinAnswer:
    """Give whoever asks their place, once: an account takes over a place its browser has here, and keeps one.

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
        arrival = request_number(state, headers, host, view, wish, made_in, proof)
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


async def join(scope: Scope, receive: Receive, send: Send) -> None:
    """201 for a new place, 200 for one that was there already."""
    body = await read_body(receive)
    wish = decode(body, _join_decoder).wish if body else _NO_BODY.wish
    answer = await join_line(scope["state"], scope["headers"], host_of(scope), scope["path_params"]["event_id"], wish)
    await _send_json(send, 201 if answer.created else 200, json_headers(answer.body, answer.cookies), answer.body)


def position_body(state: State, headers: list[tuple[bytes, bytes]], view: LineView) -> bytes:
    """The position of whoever asks, who is thereby seen to be here. Raises Problem without a good ticket.

    A ticket alone tells where it stands; what is reserved for it is told to its holder only.
    """
    ticket = require_ticket(state["tickets"], headers, view)
    state["presence"].see(view, ticket.number, ticket.holder, wishes=ticket.wish)
    state["meters"].polls += 1
    position = view.position(ticket.number)
    told = tell_nothing if position.place in BEFORE_TURN else partial(_told_to, state, headers, ticket)
    return b"{%s}" % position_members(view, ticket.number, position, told)


def _told_to(state: State, headers: list[tuple[bytes, bytes]], ticket: Ticket, *place: Any) -> bytes:
    told = state["reservation_member"](*place)
    return told if told and is_holder(state, headers, ticket.holder) else b""


async def position(scope: Scope, receive: Receive, send: Send) -> None:
    view = await view_of(scope["state"], scope["path_params"]["event_id"])
    body = position_body(scope["state"], scope["headers"], view)
    await _send_json(send, 200, json_headers(body, []), body)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    state: State = scope["state"]
    view = await view_of(state, scope["path_params"]["event_id"])
    ticket = require_ticket(state["tickets"], scope["headers"], view)
    if scope["method"] == "HEAD":  # has no end to wait for
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        await send({"type": "http.response.body"})
        return
    state["presence"].see(view, ticket.number, ticket.holder, wishes=ticket.wish)
    if not state["hub"].has_place(view, ticket.number):
        raise Problem("streams_full")
    client = scope.get("client")
    address = state["hub"].shares.take(client[0] if client else "")
    if address is None:
        raise Problem("streams_full.address")
    try:
        told = partial(_told_to, state, scope["headers"], ticket)  # asked anew each time: they may have logged out
        await state["hub"].serve(view, ticket, receive, send, reservation=told)
    finally:
        state["hub"].shares.give(address)


JSON_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


def json_headers(body: bytes, cookies: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [*JSON_HEADERS, (b"content-length", b"%d" % len(body)), *cookies]


async def _send_json(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def status(request: Request[State]) -> Response:
    """Public: how the line stands. A cache may keep it for a second."""
    view = await view_of(request.state, request.path_params["event_id"])
    body = {
        "state": view.state,
        "cursor": view.cursor,
        "waiting": view.waiting,
        "admissionRatePerSecond": view.rate_per_s if view.state in (RoomState.open, RoomState.draining) else 0,
        "updatedAt": datetime.fromtimestamp(view.updated_ms / 1000, UTC).isoformat(),
    }
    return json_answer(body, headers={"cache-control": "public, max-age=1"})


class Endpoint:
    """A raw ASGI callable as an endpoint; a bare function would be taken for a request handler."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


routes = [
    ApiRoute(
        "GET",
        "/api/queue/{event_id}/position",
        Endpoint(position),
        summary="Where I stand, from this process's memory.",
        who=Who.ticket,
        answers={200: Position},
    ),
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/join",
        Endpoint(join),
        summary="Take a place in line, once: 201 for a new one, 200 for one that was there already.",
        body=JoinBody,
        body_required=False,
        answers={201: JoinedShape, 200: JoinedShape},
        refusals=(
            "login_required",
            "verification_required",
            "invitation_required",
            *BadInvitation,
            "challenge_required",
            "challenges_short",
            "captcha_refused",
            "solution_invalid",
            "solution_expired",
            "solution_foreign",
            "solution_spent",
            *SESSION_REFUSALS,
            "room_not_open",
            "room_closed",
            "event_cancelled",
            "numbers_short",
            "grade_unknown",
            "too_many_seats",
            "buyer_limit",
        ),
    ),
    ApiRoute(
        "GET",
        "/api/queue/{event_id}/stream",
        Endpoint(stream),
        summary="My position as Server-Sent Events: position, admitted, message, closed, reconnect.",
        who=Who.ticket,
        answers={200: "text/event-stream"},
        refusals=("streams_full",),
    ),
    ApiRoute(
        "GET",
        "/api/queue/{event_id}/status",
        status,
        summary="How the line stands; cacheable for a second.",
        answers={200: LineStatus},
    ),
]
