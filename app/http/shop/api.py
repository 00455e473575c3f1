"""The shop's API: seat maps, reserving, cancelling. Translates only; reservations.py has the rules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.seatvalues import SeatMark
from app.domain.wish import GRADES_PER_WISH_MAX, SEATS_PER_WISH_MAX, Adjacent, Wish
from app.http.accounts.admins import require_admin
from app.http.accounts.credentials import session_if_any
from app.http.accounts.owners import holders_of
from app.http.events import cache as catalog
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.kit.bodies import decode, read_body
from app.http.kit.compression import PACKED_FROM_BYTES, takes_gzip
from app.http.kit.paging import PAGE_MAX, Cursor, PageSize, cursor_of, page_start_of
from app.http.kit.problems import Problem
from app.http.kit.shapes import Message, Reservation, Shape
from app.http.shop import cancelling
from app.http.shop import rules as shop
from app.http.shop.cancelling import CancelBody, read_cancel
from app.http.shop.rules import SeatIds
from app.http.state import State
from app.ledger import reservations


class ReserveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Either `seatIds`, or a `quantity` with the grades in order of preference.

    `adjacent`: `required` takes seats side by side or none; `preferred` (or true) others too, if there are none; false
    does not look. `leaveSingle`: false refuses seats that needlessly leave a free seat alone; an event may always do.
    """

    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    seat_ids: SeatIds | None = None
    quantity: Annotated[int, msgspec.Meta(ge=1, le=SEATS_PER_WISH_MAX)] | None = None
    grades: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=40)]], msgspec.Meta(max_length=GRADES_PER_WISH_MAX)
    ] = []
    adjacent: Adjacent = True
    leave_single: bool = True


class SeatMapQuery(msgspec.Struct, frozen=True):
    since: Annotated[int, msgspec.Meta(ge=0, lt=10**18)] | None = None


class MapSeat(Shape, frozen=True, kw_only=True):
    """With `since`, only `id` and `status`; `blocked` is not on sale. `name`: what the seat says, if not its number."""

    id: str
    status: Literal["available", "held", "sold", "blocked"]
    section: str | msgspec.UnsetType = msgspec.UNSET
    row: str | msgspec.UnsetType = msgspec.UNSET
    number: int | msgspec.UnsetType = msgspec.UNSET
    grade: str | msgspec.UnsetType = msgspec.UNSET
    price: int | msgspec.UnsetType = msgspec.UNSET
    x: float | msgspec.UnsetType = msgspec.UNSET
    y: float | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    marks: list[SeatMark] | msgspec.UnsetType = msgspec.UNSET


class SeatMap(Shape, frozen=True, kw_only=True):
    """`layout` says how to draw the hall; a change `since` a version comes without it."""

    version: int
    seats: list[MapSeat]
    layout: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Held(Shape, frozen=True, kw_only=True):
    """`single_seat_ids`: free seats that the chosen ones leave alone."""

    reservation: Reservation
    expires_at: datetime
    single_seat_ids: list[str]


class Shown(Shape, frozen=True, kw_only=True):
    reservation: Reservation


class Mine(Shape, frozen=True, kw_only=True):
    """`next` is null on the last page."""

    reservations: list[Reservation]
    next: str | None


class MineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`cursor` is the `next` of the page before."""

    cursor: Cursor | None = None
    limit: PageSize = PAGE_MAX


_reserve_decoder = msgspec.json.Decoder(ReserveBody)


async def seat_map(request: Request[State]) -> Response:
    """The whole map with an ETag, or with `?since=version` only what changed after it.

    A packed map is another representation (RFC 9110, 8.8.3.3), so its ETag is another one.
    """
    view = await shop.seat_view(request.state, request.path_params["event_id"])
    since = query_of(request, SeatMapQuery).since
    headers = {"etag": view.etag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
    if since is not None:
        return Response(view.since(since), 200, headers, "application/json")
    packs = len(view.body()) >= PACKED_FROM_BYTES and takes_gzip(request.headers.get("accept-encoding", ""))
    if packs:
        headers["etag"] = f'"{view.version}-gzip"'
    if catalog.is_known(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(None, 304, headers)
    if not packs:
        return Response(view.body(), 200, headers, "application/json")
    headers["content-encoding"] = "gzip"
    return Response(await request.state["packed"].of(view), 200, headers, "application/json")


async def reserve(request: Request[State]) -> Response:
    body = decode(await read_body(request.receive), _reserve_decoder)
    wanted = _wanted(body)
    network = shop.network_that_counts(request, body.event_id)
    made, singles = await shop.reserve(request.state, request.scope["headers"], body.event_id, wanted, network)
    return json_answer({"reservation": made, "expiresAt": made["expiresAt"], "singleSeatIds": singles}, 201)


def _wanted(body: ReserveBody) -> shop.Picked | Wish:
    match body.seat_ids, body.quantity:
        case list(seat_ids), None:
            return shop.Picked(tuple(seat_ids), body.leave_single)
        case None, int(quantity):
            return Wish(quantity=quantity, grades=tuple(body.grades), adjacent=body.adjacent)
    raise Problem("payload_invalid", why="Send either seatIds or a quantity")


async def show_reservation(request: Request[State]) -> Response:
    found = await shop.own(request.state, request.scope["headers"], request.path_params["reservation_id"])
    (shown,) = await shop.with_money(request.state, [found])
    return json_answer({"reservation": shown})


async def my_reservations(request: Request[State]) -> Response:
    """Those of the account and of the browsers it took over, or of this browser. A page at a time."""
    query = query_of(request, MineQuery)
    after = page_start_of(query.cursor)
    found = await reservations.by_holders(request.state["db"], await holders_of(request), query.limit + 1, after)
    shown = found[: query.limit]
    last = cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > query.limit else None
    return json_answer({"reservations": await shop.with_money(request.state, shown), "next": last})


async def cancel(request: Request[State]) -> Response:
    """The buyer's own reservation; for an admin, anybody's."""
    wanted = await read_cancel(request)
    state, headers, name = request.state, request.scope["headers"], request.path_params["reservation_id"]
    try:
        outcome = await cancelling.as_buyer(state, headers, name, wanted)
    except Problem as problem:
        session = session_if_any(state["tokens"], headers) if problem.code == "reservation_unknown" else None
        if session is None or session.role != "admin":
            raise
        admin = await require_admin(request)
        outcome = await cancelling.as_admin(state, admin.email, name, cancelling.CANCEL, wanted)
    return json_answer({"message": cancelling.words(outcome)})


routes = [
    ApiRoute(
        "GET",
        "/api/seats/events/{event_id}",
        seat_map,
        summary="The seat map, or with `since` what changed after that version.",
        query=SeatMapQuery,
        answers={200: SeatMap, 304: None},
    ),
    ApiRoute(
        "POST",
        "/api/seats/reserve",
        reserve,
        summary="Hold seats: these ones, or the best that fit.",
        who=Who.buyer,
        body=ReserveBody,
        answers={201: Held},
        refusals=(
            "event_unknown",
            "already_holding",
            "seats_unavailable",
            "leaves_single_seat",
            "sale_ended",
            "sale_not_open",
            "reservation_over",
            "event_cancelled",
            "seat_unknown",
            "grade_unknown",
            "too_many_seats",
            "buyer_limit",
            "too_many_holds",
            "key_reused",
            "lane_busy",
        ),
        headers={"Idempotency-Key": "The same key gives the same reservation again, and is refused with other seats."},
    ),
    ApiRoute(
        "GET",
        "/api/seats/reservation/{reservation_id}",
        show_reservation,
        summary="One of my reservations.",
        who=Who.owner,
        answers={200: Shown},
    ),
    ApiRoute(
        "GET",
        "/api/reservations/my",
        my_reservations,
        summary="My reservations, newest first.",
        who=Who.owner,
        query=MineQuery,
        answers={200: Mine},
    ),
    ApiRoute(
        "GET",
        "/api/reservations/{reservation_id}",
        show_reservation,
        summary="One of my reservations.",
        who=Who.owner,
        answers={200: Shown},
    ),
    ApiRoute(
        "POST",
        "/api/reservations/{reservation_id}/cancel",
        cancel,
        summary="Give all or some of the seats back, and their money if it was paid; an admin may for everybody.",
        who=Who.owner,
        body=CancelBody,
        body_required=False,
        answers={200: Message},
        refusals=("event_begun", "reservation_over", "seat_unknown", "payment_under_way", "lane_busy"),
    ),
]
