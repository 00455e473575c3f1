"""What the shop sold, for admins: once, as a live feed, as a spreadsheet. Per event and in all.

SQL is asked once in a few seconds by each process, however many look; who waits in line is in memory anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import ReservationStatus
from app.http.accounts.admins import require_admin
from app.http.admin.export import BOM, CSV, attachment, lines
from app.http.admin.feeds import admin_feed
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import audit_log, statistics
from app.ledger.statistics import Report, Sales
from app.room.errors import RoomUnavailable

KEPT_S = 3.0
FEED_EVERY_S = 2.0


class GradeSales(Shape, frozen=True, kw_only=True):
    grade: str
    sold: int
    revenue: int


class Figures(Shape, frozen=True, kw_only=True):
    """`revenue` is money taken and kept. `admitted` counts people let in since Redis was last made, null where there is
    no waiting room. Rates are between 0 and 1, null where nothing can be said yet.

    `conversion`: of those let in, who paid. `holdExpiryRate`: of holds that ended, those that ran out.
    """

    seats_sold: int
    revenue: int
    refunded: int
    reservations: dict[str, int]
    grades: list[GradeSales]
    admitted: int | None
    paid_from_line: int
    conversion: float | None
    hold_expiry_rate: float | None
    waiting: int
    on_waitlist: int


class EventFigures(Figures, frozen=True, kw_only=True):
    event_id: str
    title: str


class Stats(Shape, frozen=True, kw_only=True):
    updated_at: datetime
    totals: Figures
    events: list[EventFigures]


class StatsAnswer(Shape, frozen=True, kw_only=True):
    stats: Stats


async def stats_of(state: State) -> Stats:
    """Never older than `KEPT_S`."""

    async def load() -> Stats:
        return await _made(state, await statistics.read(state["db"], state["clock"].now()))

    found: Stats = await state["cache"].get("desk:stats", ("desk:stats",), KEPT_S, load)
    return found


async def _made(state: State, report: Report) -> Stats:
    views = state["rooms"].views
    try:
        let_in = {**report.admitted, **await state["room_control"].let_in()}
    except RoomUnavailable:
        let_in = {}  # what SQL knows can be told without
    told = []
    for event_id, title in report.events:
        waiting = views[event_id].waiting if event_id in views else 0
        figures = _figures(report.sales.get(event_id, Sales()), let_in.get(event_id), waiting)
        told.append(EventFigures(event_id=event_id, title=title, **msgspec.structs.asdict(figures)))
    everybody = sum(view.waiting for view in views.values())
    totals = _figures(report.total, sum(let_in.values()) if let_in else None, everybody)
    return Stats(updated_at=state["clock"].now(), totals=totals, events=told)


def _figures(sales: Sales, admitted: int | None, waiting: int) -> Figures:
    counts = {status.value: sales.reservations.get(status.value, 0) for status in ReservationStatus}
    ended = sum(count for status, count in counts.items() if status != ReservationStatus.pending)
    known = admitted is not None and admitted >= max(1, sales.from_line)  # Redis may have been made anew meanwhile
    return Figures(
        seats_sold=sum(count for count, _ in sales.grades.values()),
        revenue=sum(amount for _, amount in sales.grades.values()),
        refunded=sales.refunded,
        reservations=counts,
        grades=[GradeSales(grade=name, sold=sold, revenue=paid) for name, (sold, paid) in sorted(sales.grades.items())],
        admitted=admitted,
        paid_from_line=sales.from_line,
        conversion=round(sales.from_line / admitted, 4) if known and admitted else None,
        hold_expiry_rate=round(counts[ReservationStatus.expired] / ended, 4) if ended else None,
        waiting=waiting,
        on_waitlist=sales.on_waitlist,
    )


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(StatsAnswer(stats=await stats_of(request.state)))


async def feed(request: Request[State]) -> Response:
    """Server-Sent Events: `stats` every two seconds."""
    return await admin_feed(request, "stats", FEED_EVERY_S, lambda: stats_of(request.state))


async def sales_csv(request: Request[State]) -> Response:
    """A line for each event and grade. Who took it is kept in the audit log."""
    admin = await require_admin(request)
    await audit_log.record(
        request.state["db"],
        who=admin.email,
        action="sales.export",
        subject="sales.csv",
        event_id=None,
        change={},
        now=request.state["clock"].now(),
    )
    stats = await stats_of(request.state)

    async def body() -> AsyncIterator[str]:
        yield BOM + lines([("event", "title", "grade", "sold", "revenue")])
        for event in stats.events:
            yield lines((event.event_id, event.title, one.grade, one.sold, one.revenue) for one in event.grades)

    return attachment("sales.csv", body())


routes = [
    ApiRoute(
        "GET",
        "/api/admin/dashboard/stats",
        show,
        summary="What was sold, per event and in all",
        who=Who.admin,
        answers={200: StatsAnswer},
    ),
    ApiRoute(
        "GET",
        "/api/admin/dashboard/stats/stream",
        feed,
        summary="The same, as it changes",
        who=Who.admin,
        answers={200: "text/event-stream"},
    ),
    ApiRoute(
        "GET",
        "/api/admin/export/sales.csv",
        sales_csv,
        summary="Sales by event and grade for a spreadsheet",
        who=Who.admin,
        answers={200: CSV},
    ),
]
