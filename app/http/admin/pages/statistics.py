"""The figures as a page: complete without a script, kept fresh by one. Every chart is a table whose rows have bars."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.tokens import Session
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.reservations import LIST_ZONE
from app.http.admin.pages.view import stamp
from app.http.admin.statistics import Figures, stats_of
from app.http.kit.i18n import Texts, texts_for
from app.http.kit.menu import Link
from app.http.kit.render import page
from app.http.state import State
from app.ledger.reservation_search import titles as titles_of

TILES = ("revenue", "seatsSold", "conversion", "holdExpiryRate", "waiting", "onWaitlist")
COLUMNS = ("revenue", "refunded", "seatsSold", "admitted", "paidFromLine", "conversion", "holdExpiryRate", "waiting")
MONEY = ("revenue", "refunded")
RATES = ("conversion", "holdExpiryRate")


async def statistics_page(request: Request[State], _: Session) -> Response:
    t, stats = texts_for(request), await stats_of(request.state)
    titles = await titles_of(request.state["db"], [event.event_id for event in stats.events], t.lang)
    grades = [(one.grade, one.sold, one.revenue) for one in stats.totals.grades]
    context = {
        "tiles": cells(t, stats.totals, TILES),
        "columns": COLUMNS,
        "rows": [(one.event_id, titles.get(one.event_id, one.title), cells(t, one, COLUMNS)) for one in stats.events],
        "grades": grades,
        "sold_most": max((sold for _, sold, _ in grades), default=0),
        "statuses": list(stats.totals.reservations.items()),
        "made_most": max(stats.totals.reservations.values(), default=0),
        "at": stamp(stats.updated_at, LIST_ZONE),
    }
    return page(request, "admin/statistics.html", context, script={"zone": LIST_ZONE}, words=("admin.live.",))


def cells(t: Texts, figures: Figures, names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(name, kind, words) of some figures, as the script writes them too."""
    values = msgspec.to_builtins(figures)
    return [(name, kind_of(name), words_of(t, kind_of(name), values[name])) for name in names]


def kind_of(name: str) -> str:
    return "money" if name in MONEY else "rate" if name in RATES else "count"


def words_of(t: Texts, kind: str, value: float | None) -> str:
    if value is None:
        return "–"
    if kind == "money":
        return t.money(int(value))
    return t.percent(value) if kind == "rate" else t.number(value)


routes = [admin_route("/admin/statistics", statistics_page, menu=Link(40, "admin.statistics.title"))]
