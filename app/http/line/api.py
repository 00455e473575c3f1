"""The waiting room's API: join, position, stream, status. What comes at a turn is in turns.py.

Join, position and stream are what a sale is made of. A position and a stream touch no datastore; a join shares one
Redis call with everyone who joins meanwhile. fast.py answers the plainest joins and positions with the same functions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.domain.line import RoomState
from app.domain.ticket import Ticket
from app.domain.wish import Wish
from app.door.invitations import BadInvitation
from app.http.accounts.credentials import require_ticket
from app.http.accounts.owners import is_holder
from app.http.kit.answers import json_answer
from app.http.kit.api import SESSION_REFUSALS, ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Joined as JoinedShape
from app.http.kit.shapes import LineStatus, Position
from app.http.line.door import (
    host_of,
)
from app.http.line.joining import join_line
from app.http.line.lookup import view_of
from app.http.line.position import BEFORE_TURN, position_members, tell_nothing
from app.http.line.streams import STREAM_HEADERS
from app.http.state import State
from app.room.view import LineView


class JoinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wish: Wish | None = None


_join_decoder = msgspec.json.Decoder(JoinBody)
_NO_BODY = JoinBody()


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
