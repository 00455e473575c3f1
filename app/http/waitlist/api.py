"""The waiting list over the API: join it when there are too few seats for a wish, see one's place, leave it.

Fair to the line: seats that come free go to the list before the line, and nobody gets onto the list past people who
stand in line: only whom the line has moved past already may join, or anybody while nobody stands in it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import ReservationStatus
from app.domain.sale import SaleStatus, status_of
from app.domain.waitlist import LIVE_STATES, ListState, fits
from app.domain.wish import Adjacent, Wish
from app.http.accounts.attempts import count_newcomer
from app.http.accounts.owners import buyer_of, holders_of, new_browser
from app.http.events.cache import known_event, seats_left
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Nothing, Shape
from app.http.shop import rules as shop
from app.http.state import State
from app.http.waitlist.entry import why_no_entry
from app.lane.commands import Cancel, OfferToWaitlist
from app.lane.errors import LaneUnavailable
from app.ledger import events, reservations, waitlist

POLL_AFTER_MS = 5000
Cookies = list[tuple[bytes, bytes]]

log = structlog.get_logger()


class WaitlistBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wish: Wish


class WishShown(Shape, frozen=True, kw_only=True):
    quantity: int
    grades: tuple[str, ...]
    adjacent: Adjacent


class WaitlistEntry(Shape, frozen=True, kw_only=True):
    """`place` counts from 1 while waiting. Once offered, `reservation_id` is held until `offer_ends_at`."""

    event_id: str
    state: ListState
    wish: WishShown
    joined_at: datetime
    place: int | None
    reservation_id: str | None
    offer_ends_at: datetime | None


class Listed(Shape, frozen=True, kw_only=True):
    entry: WaitlistEntry
    poll_after_ms: int


_body_decoder = msgspec.json.Decoder(WaitlistBody)


async def join_list(request: Request[State], event_id: str, wish: Wish) -> tuple[waitlist.Entry, bool, Cookies]:
    """(the entry, whether it is new, Set-Cookie headers of a browser nobody knew). Raises Problem."""
    state = request.state
    event = await known_event(state, event_id)
    await _check_wish(state, event, wish)
    await shop.check_limit(state, event_id, wish.quantity, await holders_of(request))
    refused = why_no_entry(request, event_id)
    if refused is not None:
        raise refused
    holder, cookies = buyer_of(state, request.scope["headers"]), []
    if holder is None:
        holder, cookie = new_browser(state)
        cookies = [cookie]
    await count_newcomer(request, event_id, holder)
    try:
        entry, new = await waitlist.join(state["db"], event_id, holder, wish, state["clock"].now())
    except waitlist.ListFull:
        raise Problem("waitlist_full") from None
    if new:  # a seat may have come free since this process looked
        await _have_served(state, event_id, entry.id)
    return entry, new, cookies


async def _have_served(state: State, event_id: str, entry_id: int) -> None:
    """Have the list looked at now. Whoever is on it stays, told or not: the workers look every second."""
    try:
        await state["lane"].send(event_id, [OfferToWaitlist(id=f"offer:{event_id}:{entry_id}")])
    except LaneUnavailable as error:
        log.warning("waitlist_not_told", event_id=event_id, error=repr(error))


async def _check_wish(state: State, event: events.Event, wish: Wish) -> None:
    if status_of(event, state["clock"].now()) is not SaleStatus.on_sale:
        raise Problem("not_on_sale")
    await shop.check_wish(state, event.id, wish)
    totals = {grade.name: grade.seats_total for grade in event.grades if grade.seats_total}
    if not fits(wish, totals):  # before its map is there as well: the list would take the hall when it comes
        raise Problem("seats_too_few", seats=totals)
    left = await seats_left(state, event)
    if fits(wish, left):
        raise Problem("seats_left", left=left)


async def own_entry(request: Request[State], event_id: str) -> waitlist.Entry:
    """The live entry of who asks, else their last one. Raises Problem 404."""
    found = await waitlist.own(request.state["db"], event_id, await holders_of(request))
    if found is None:
        raise Problem("waitlist_unknown")
    return found


async def leave_list(request: Request[State], event_id: str) -> None:
    """Leave it; the seats of an offer go to the next. A repeat changes nothing. Raises Problem 404, 409 once bought."""
    state, entry = request.state, await own_entry(request, event_id)
    if entry.state is ListState.bought:
        raise Problem("waitlist_bought")
    if entry.state not in LIVE_STATES:
        return
    await waitlist.leave(state["db"], entry.id, state["clock"].now())
    if entry.reservation_id is None:
        entry = await own_entry(request, event_id)  # offered in the very moment of leaving
    held = await reservations.get(state["db"], entry.reservation_id) if entry.reservation_id else None
    if held is not None and held.status is ReservationStatus.pending:
        giving_up = Cancel(id=f"cancel:{held.id}", reservation_id=held.id, holder=held.holder)
        await shop.submit(state, event_id, giving_up)


def listed(entry: waitlist.Entry) -> Listed:
    return Listed(entry=msgspec.convert(entry, WaitlistEntry, from_attributes=True), poll_after_ms=POLL_AFTER_MS)


async def join(request: Request[State]) -> Response:
    body = decode(await read_body(request.receive), _body_decoder)
    entry, new, cookies = await join_list(request, request.path_params["event_id"], body.wish)
    response = json_answer(listed(entry), 201 if new else 200)
    response.raw_headers.extend(cookies)
    return response


async def show(request: Request[State]) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    return json_answer(listed(await own_entry(request, event.id)))


async def leave(request: Request[State]) -> Response:
    event = await known_event(request.state, request.path_params["event_id"])
    await leave_list(request, event.id)
    return json_answer(Nothing())


_PATH = "/api/waitlist/{event_id}"
routes = [
    ApiRoute(
        "POST",
        _PATH,
        join,
        summary="Wait for seats to come free",
        who=Who.owner,
        body=WaitlistBody,
        answers={201: Listed, 200: Listed},
        refusals=(
            "not_on_sale",
            "seats_too_few",
            "seats_left",
            "line_first",
            "login_required",
            "verification_required",
            "invitation_required",
            "line_unavailable",
            "waitlist_full",
            "too_many_attempts",
            "grade_unknown",
            "too_many_seats",
            "buyer_limit",
        ),
    ),
    ApiRoute(
        "GET",
        _PATH,
        show,
        summary="One's place on the waiting list",
        who=Who.owner,
        answers={200: Listed},
        refusals=("waitlist_unknown",),
    ),
    ApiRoute(
        "DELETE",
        _PATH,
        leave,
        summary="Leave the waiting list",
        who=Who.owner,
        answers={200: Nothing},
        refusals=("waitlist_unknown", "waitlist_bought"),
    ),
    ApiRoute(
        "POST",
        f"{_PATH}/leave",
        leave,
        summary="Leave the waiting list",
        who=Who.owner,
        answers={200: Nothing},
        refusals=("waitlist_unknown", "waitlist_bought"),
    ),
]
