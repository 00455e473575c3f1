"""Reservations and sales as CSV for a spreadsheet, read a page at a time while it is sent: any amount fits in memory.

UTF-8 with a byte order mark, because Excel takes the text for another encoding without it. No cell can be a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.http.accounts.admins import require_admin
from app.http.admin.reservations import ReservationQuery, wanted_of
from app.http.kit.api import ApiRoute, Who, query_of
from app.http.state import State
from app.ledger import audit_log, reservation_search
from app.ledger.reservation_search import ROWS_PER_PAGE_MAX

CSV = "text/csv"
BOM = "\ufeff"
ROWS_MAX = 1_000_000  # a spreadsheet takes 1,048,576
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full width
COLUMNS = (
    *("id", "event", "title", "status", "holder", "email", "seats", "places", "total", "payment"),
    *("created", "expires", "ended"),
)


def cell(value: object) -> str:
    """The value as text that no spreadsheet takes for a formula: what could be one gets an apostrophe before it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    if isinstance(value, str) and text.lstrip(" ").startswith(FORMULA):
        return "'" + text
    return text


def lines(rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([[cell(value) for value in row] for row in rows])
    return out.getvalue()


async def _reservations(state: State, wanted: reservation_search.ReservationFilter) -> AsyncIterator[str]:
    yield BOM + lines([COLUMNS])
    sent = 0
    while sent < ROWS_MAX:
        rows = await reservation_search.search(state["db"], wanted, min(ROWS_PER_PAGE_MAX, ROWS_MAX - sent))
        if rows:
            ids = [row.id for row in rows]
            places = await reservation_search.seats_of(state["db"], ids)
            methods = await reservation_search.methods_of(state["db"], ids)
            yield lines(_line(row, places.get(row.id, []), methods.get(row.id)) for row in rows)
        sent += len(rows)
        if len(rows) < ROWS_PER_PAGE_MAX:
            return
        wanted = replace(wanted, after=(rows[-1].created_at, rows[-1].id))


def _line(row: reservation_search.Row, places: list[tuple[str, str, int]], method: str | None) -> tuple[object, ...]:
    return (
        row.id,
        row.event_id,
        row.event_title,
        row.status.value,
        row.holder,
        row.email,
        row.seats,
        "; ".join(f"{section} {seat_row}-{number}" for section, seat_row, number in places),
        row.total_price,
        method,
        row.created_at,
        row.expires_at,
        row.ended_at,
    )


async def reservations_csv(request: Request[State]) -> Response:
    """What the same query finds as a list, all of it. Who took it is kept in the audit log."""
    admin = await require_admin(request)
    query = query_of(request, ReservationQuery)
    wanted = await wanted_of(request.state, query)
    await audit_log.record(
        request.state["db"],
        who=admin.email,
        action="reservations.export",
        subject="reservations.csv",
        event_id=None,
        change={name: value for name, value in msgspec.to_builtins(query).items() if value is not None},
        now=request.state["clock"].now(),
    )
    return attachment("reservations.csv", _reservations(request.state, wanted))


def attachment(name: str, body: AsyncIterator[str]) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(body, media_type="text/csv; charset=utf-8", headers=headers)


routes = [
    ApiRoute(
        "GET",
        "/api/admin/export/reservations.csv",
        reservations_csv,
        summary="Reservations for a spreadsheet",
        who=Who.admin,
        query=ReservationQuery,
        answers={200: CSV},
    )
]
