"""Everybody's reservations, for admins: look one up, cancel all or some of it, or give its money back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import Reservation, ReservationStatus
from app.domain.ticket import account_holder, holder_text
from app.http.accounts.admins import require_admin
from app.http.kit import shapes
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.paging import (
    PAGE,
    Cursor,
    EventId,
    Moment,
    PageSize,
    Words,
    cursor_of,
    moment_of,
    no_nul,
    page_start_of,
)
from app.http.kit.shapes import Message, Shape
from app.http.shop import cancelling
from app.http.shop import rules as shop
from app.http.shop.cancelling import CancelBody, read_cancel
from app.http.state import State
from app.ledger import reservation_search, users


class ReservationQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`id` and `holder` are beginnings, `email` is an account's; `cursor` is the `next` of the page before."""

    id: Words | None = None
    event_id: EventId | None = None
    status: ReservationStatus | None = None
    holder: Words | None = None
    email: Annotated[str, msgspec.Meta(min_length=1, max_length=254)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: Cursor | None = None
    limit: PageSize = PAGE


class ReservationRow(Shape, frozen=True, kw_only=True):
    """A reservation in a list: `seats` is how many, `email` that of the account whose it is, if it is one's."""

    id: str
    event_id: str
    event_title: str
    holder: str
    email: str | None
    status: ReservationStatus
    total_price: int
    seats: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class ReservationPage(Shape, frozen=True, kw_only=True):
    """`next` is null on the last page."""

    reservations: list[ReservationRow]
    next: str | None


class ReservationPayment(Shape, frozen=True, kw_only=True):
    method: str
    reference: str
    amount: int
    status: str
    created_at: datetime
    refunded_at: datetime | None


class AdminReservation(shapes.Reservation, frozen=True, kw_only=True):
    """`number` is the place in line it was made from."""

    holder: str
    email: str | None
    number: int | None
    created_at: datetime
    payments: list[ReservationPayment]


class ReservationDetail(Shape, frozen=True, kw_only=True):
    reservation: AdminReservation


async def wanted_of(state: State, query: ReservationQuery) -> reservation_search.ReservationFilter:
    """The query as the store is asked; an email is every name its account reserves under."""
    no_nul(query.id, query.event_id, query.holder, query.email)
    holders = None
    if query.email is not None:
        user = await users.find(state["db"], query.email)
        holders = [] if user is None else await _names_of(state, user.id)
    return reservation_search.ReservationFilter(
        id=query.id,
        event_id=query.event_id,
        status=query.status,
        holder=query.holder,
        holders=holders,
        since=moment_of(query.since),
        until=moment_of(query.until),
        after=page_start_of(query.cursor),
    )


async def _names_of(state: State, user_id: str) -> list[str]:
    return [holder_text(account_holder(user_id)), *await users.holders_of_user(state["db"], user_id)]


async def page_of(state: State, query: ReservationQuery) -> ReservationPage:
    found = await reservation_search.search(state["db"], await wanted_of(state, query), query.limit + 1)
    shown = found[: query.limit]
    rows = [msgspec.convert(row, ReservationRow, from_attributes=True) for row in shown]
    last = cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > query.limit else None
    return ReservationPage(reservations=rows, next=last)


async def detail(state: State, reservation_id: str) -> dict[str, Any]:
    """A reservation as its buyer sees it, with whose it is and its money. Raises Problem 404."""
    found = await cancelling.known(state, reservation_id)
    paid = await reservation_search.paid(state["db"], found.id)
    return {
        **(await shop.described(state, [found]))[0],
        "holder": found.holder,
        "email": await reservation_search.email_of(state["db"], found.holder),
        "number": _shown_number(state, found),
        "createdAt": found.created_at.isoformat(),
        "payments": [msgspec.convert(one, ReservationPayment, from_attributes=True) for one in paid],
    }


def _shown_number(state: State, found: Reservation) -> int | None:
    """The number that the buyer sees; in a line that was drawn it is not the one that was given."""
    line = state["rooms"].views.get(found.event_id)
    if found.number is None or line is None or line.epoch != found.epoch:
        return found.number
    return line.rank_of(found.number)


async def search(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(await page_of(request.state, query_of(request, ReservationQuery)))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer({"reservation": await detail(request.state, request.path_params["reservation_id"])})


async def cancel(request: Request[State]) -> Response:
    return await _end(request, cancelling.CANCEL)


async def refund(request: Request[State]) -> Response:
    return await _end(request, cancelling.REFUND)


async def _end(request: Request[State], action: str) -> Response:
    admin = await require_admin(request)
    wanted = await read_cancel(request)
    reservation_id = request.path_params["reservation_id"]
    became = await cancelling.as_admin(request.state, admin.email, reservation_id, action, wanted)
    return json_answer({"message": cancelling.words(became)})


_ONE = "/api/admin/reservations/{reservation_id}"
routes = [
    ApiRoute(
        "GET",
        "/api/admin/reservations",
        search,
        summary="Look for reservations",
        who=Who.admin,
        query=ReservationQuery,
        answers={200: ReservationPage},
    ),
    ApiRoute("GET", _ONE, show, summary="One reservation", who=Who.admin, answers={200: ReservationDetail}),
    *(
        ApiRoute(
            "POST",
            f"{_ONE}/{verb}",
            endpoint,
            summary=summary,
            who=Who.admin,
            body=CancelBody,
            body_required=False,
            answers={200: Message},
            refusals=("not_paid", "reservation_over", "seat_unknown", "payment_under_way", "lane_busy"),
        )
        for verb, endpoint, summary in (
            ("cancel", cancel, "Cancel for its buyer; paid money goes back"),
            ("refund", refund, "Give the money back for a paid one"),
        )
    ),
]
