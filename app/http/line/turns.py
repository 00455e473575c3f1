"""The end of a place in line: claim, when the turn has come, or leave."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.passing import AdmissionPass, PassAlgorithm
from app.domain.ticket import Ticket, holder_text
from app.http.accounts.credentials import pass_cookie
from app.http.accounts.owners import own_ticket, owns
from app.http.kit.answers import json_answer
from app.http.kit.api import HOLDER_REFUSALS, ApiRoute, Who
from app.http.kit.cookies import set_cookie
from app.http.kit.problems import Problem
from app.http.kit.shapes import Claimed, Nothing
from app.http.line.joining import closed_problem
from app.http.line.lookup import view_of
from app.http.line.position import encode_position, tell_nothing
from app.http.shop.rules import reservation_of, submit
from app.http.state import State
from app.lane.commands import ReleasePlace
from app.ledger import reservations
from app.room.answers import ClaimStatus, LeaveStatus
from app.room.view import LineView

LANE_WAIT_S = 1.0  # for an answer that takes milliseconds when all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAnswer:
    admission_pass: str
    expires_at: datetime
    reservation: dict[str, Any] | None
    cookies: list[tuple[bytes, bytes]]


async def claim_turn(state: State, headers: list[tuple[bytes, bytes]], event_id: str) -> ClaimAnswer:
    """Take the turn up; a repeat gives the same pass. Raises Problem if it is not one's turn, RoomUnavailable."""
    view = await view_of(state, event_id)
    ticket = own_ticket(state, headers, view)
    admission = await claim_place(state, view, ticket)
    token = pass_token(state, admission)
    life_s = max(1, int(admission.expires_s - state["clock"].seconds()))
    return ClaimAnswer(
        admission_pass=token,
        expires_at=datetime.fromtimestamp(admission.expires_s, UTC),
        reservation=await _held(state, ticket),
        cookies=[set_cookie(pass_cookie(event_id), token, life_s=life_s, secure=state["settings"].secure_cookies)],
    )


async def claim_place(state: State, view: LineView, ticket: Ticket) -> AdmissionPass:
    """Take up the turn of a place whose ticket was shown by its holder; a repeat gives the same pass. Raises Problem if
    it is not its turn, RoomUnavailable."""
    room, holder = state["origins"].rooms.get(view.event_id), holder_text(ticket.holder)
    pass_s = state["scripts"].timing.pass_s if room is None else room.visit_s
    place = view.event_id, ticket.epoch, ticket.number, holder
    status, expires_ms = await state["scripts"].claim(*place, made_in=view.made_in, pass_s=pass_s)
    state["meters"].claimed(view.event_id, status)
    if status is not ClaimStatus.claimed:
        raise _claim_refusal(view, ticket.number, status)
    return admission_of(state, ticket, expires_ms, pass_s)


def admission_of(state: State, ticket: Ticket, expires_ms: int, pass_s: int) -> AdmissionPass:
    """What the pass of a place says whose turn was taken up."""
    expires_s = expires_ms // 1000
    return AdmissionPass(
        event_id=ticket.event_id,
        epoch=ticket.epoch,
        number=ticket.number,
        holder=holder_text(ticket.holder),
        began_s=min(expires_s - pass_s, int(state["clock"].seconds())),  # passes may have become shorter since
        expires_s=expires_s,
    )


def pass_token(state: State, admission: AdmissionPass) -> str:
    """The pass as whoever stands behind the room verifies it."""
    room = state["origins"].rooms.get(admission.event_id)
    if room is None or room.pass_algorithm is PassAlgorithm.EdDSA:
        return state["passes"].sign(admission)
    if room.pass_algorithm is PassAlgorithm.compact:
        return state["passes"].compact.sign(admission)
    return state["passes"].sign(admission, room.origin.secrets[0][0])


async def _held(state: State, ticket: Ticket) -> dict[str, Any] | None:
    """What is reserved for this place; a wish whose answer is still on its way is waited for."""
    found = await reservation_of(state, ticket.event_id, ticket.epoch, ticket.number)
    seats = state["seats"].get(ticket.event_id)
    if found is not None or not ticket.wish or (seats and seats.answer(ticket.epoch, ticket.number)):
        return found
    await state["lane"].wake(ticket.event_id, f"claim-{ticket.epoch}-{ticket.number}")  # claiming may have sent it
    await state["lane"].outcome(ticket.event_id, f"wish:{ticket.epoch}:{ticket.number}", LANE_WAIT_S)
    return await reservation_of(state, ticket.event_id, ticket.epoch, ticket.number)


def _claim_refusal(view: LineView, number: int, status: ClaimStatus) -> Problem:
    match status:
        case ClaimStatus.lapsed:
            return Problem("turn_lapsed")
        case ClaimStatus.left if number not in view.unproven:
            return Problem("place_given_up")
        case ClaimStatus.taken:
            return Problem("place_taken_over")
        case ClaimStatus.closed | ClaimStatus.old_epoch:
            return closed_problem(view, view.state)
        case ClaimStatus.missing:
            return _lost()
        case _:
            here = msgspec.Raw(encode_position(view, number, tell_nothing))
            return Problem("not_admitted", position=here)


def _lost() -> Problem:
    return Problem("line_unavailable.restored")


async def claim(request: Request[State]) -> Response:
    answer = await claim_turn(request.state, request.scope["headers"], request.path_params["event_id"])
    body: dict[str, Any] = {"pass": answer.admission_pass, "expiresAt": answer.expires_at.isoformat()}
    if answer.reservation is not None:
        body["reservation"] = answer.reservation
    return json_answer(body, cookies=answer.cookies)


async def leave_line(state: State, headers: list[tuple[bytes, bytes]], event_id: str) -> None:
    """Give the place up for good, and the seats held for it. Idempotent. Raises Problem, RoomUnavailable."""
    view = await view_of(state, event_id)
    ticket = own_ticket(state, headers, view)
    release_id = f"leave:{ticket.epoch}:{ticket.number}:{secrets.token_hex(8)}"  # the place may come back after a loss
    with state["lane"].expected(event_id, release_id) as answer:
        holder = holder_text(ticket.holder)
        left = await state["scripts"].leave(event_id, ticket.epoch, ticket.number, holder, release_id=release_id)
        if left.lane_entry:
            await state["lane"].hurry(event_id, left.lane_entry, answer, LANE_WAIT_S)
    if left.status is LeaveStatus.missing:
        raise _lost()
    if left.status is LeaveStatus.taken:
        raise Problem("place_taken_over")
    has_ended = left.status in (LeaveStatus.already, LeaveStatus.closed)
    if has_ended and ticket.number <= view.cursor:  # what a pass holds outlives its turn
        held = await reservations.by_number(state["db"], event_id, ticket.epoch, ticket.number)
        if held is not None and not await owns(state, headers, held):
            raise Problem("place_taken_over")
        await submit(state, event_id, ReleasePlace(id=release_id, epoch=ticket.epoch, number=ticket.number))


async def leave(request: Request[State]) -> Response:
    await leave_line(request.state, request.scope["headers"], request.path_params["event_id"])
    return json_answer({})


routes = [
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/claim",
        claim,
        summary="Take my turn up; a repeat gives the same pass.",
        who=Who.ticket,
        answers={200: Claimed},
        refusals=(*HOLDER_REFUSALS, "not_admitted", "turn_lapsed", "place_given_up", "room_closed", "event_cancelled"),
    ),
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/leave",
        leave,
        summary="Give my place up for good.",
        who=Who.ticket,
        answers={200: Nothing},
        refusals=HOLDER_REFUSALS,
    ),
]
