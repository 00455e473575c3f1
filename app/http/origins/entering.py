"""How a visitor of a site comes into its room, and when they are let in. For the waiting page and for connectors.

Touches a datastore as a join does; a place that is known costs none until its turn is taken up.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from app.domain.line import Place
from app.domain.passing import AdmissionPass
from app.domain.ticket import Ticket, holder_text
from app.http.accounts.owners import own_ticket
from app.http.kit.cookies import Headers
from app.http.kit.problems import Problem
from app.http.line.joining import join_line
from app.http.line.lookup import view_of
from app.http.line.turns import admission_of, claim_place
from app.http.state import State
from app.metrics.sites import SiteError
from app.origins.directory import KnownRoom
from app.room.joiner import JoinUnavailable
from app.room.person import StraightIn
from app.room.view import LineView

log = structlog.get_logger()
ENDED = (Place.left, Place.lapsed)
LET_IN_WAIT_S = 0.7  # proxies give up a check after a second, and then some let everybody in


class Standing(NamedTuple):
    """Where somebody stands who has a place: `place` as this process knows it."""

    ticket: Ticket
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """`admission`: they were let in, without a line if `straight`. `cookies`: what their browser keeps from now on."""

    ticket: Ticket
    admission: AdmissionPass | None
    straight: bool
    cookies: list[tuple[bytes, bytes]]


def standing_of(state: State, headers: Headers, view: LineView | None) -> Standing | None:
    """The place of who asks in this line, ended ones too; None if they show no ticket of theirs for it."""
    if view is None:
        return None
    try:
        ticket = own_ticket(state, list(headers), view)
    except Problem:
        return None  # to a page, a ticket of no use is no ticket
    return Standing(ticket, view.position(ticket.number).place)


async def enter(state: State, headers: list[tuple[bytes, bytes]], host: str, room: KnownRoom) -> Entered:
    """Join, and be let in at once if nobody waits and rate and capacity are free: joined, admitted and claimed in one
    step. `host`: their address. Raises Problem when the room takes nobody."""
    straight = StraightIn(room.visit_s)
    joined = await join_line(state, headers, host, room.id, None, straight)
    admission = None
    view = await view_of(state, room.id)
    if straight.expires_ms:
        admission = admission_of(state, joined.ticket, straight.expires_ms, room.visit_s)
    elif view.position(joined.ticket.number).place in (Place.admitted, Place.claimed):
        admission = await claim_place(state, view, joined.ticket)
    is_straight = bool(straight.expires_ms)
    return Entered(ticket=joined.ticket, admission=admission, straight=is_straight, cookies=joined.cookies)


async def let_straight_in(state: State, room: KnownRoom, view: LineView, host: str) -> AdmissionPass | None:
    """Let in somebody whom nobody has seen before, whose browser will keep the pass alone, or give them nothing."""
    holder, straight = state["browsers"].new().holder, StraightIn(room.visit_s, or_nothing=True)
    network = state["entrance"].addresses.counted(host)
    try:
        asked = state["joiner"].join(
            room.id, view.epoch, holder_text(holder), "", network, made_in=view.made_in, straight=straight
        )
        async with asyncio.timeout(LET_IN_WAIT_S):
            _, joined = await asked
    except (JoinUnavailable, TimeoutError) as error:
        state["meters"].sites.failed(room.origin.id, room.id, SiteError.not_let_in)
        log.warning("not_let_in_at_once", event_id=room.id, error=str(error) or "late")
        return None
    if not straight.expires_ms:
        return None
    ticket = Ticket(room.id, view.epoch, joined.number, holder, int(state["clock"].seconds()))
    return admission_of(state, ticket, straight.expires_ms, room.visit_s)
