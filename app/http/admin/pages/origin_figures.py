"""What happens at a site behind rooms as a page: complete without a script, kept fresh by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.control import origins as control
from app.http.accounts.tokens import Session
from app.http.admin.origin_figures import SiteFiguresShown, figures_of
from app.http.admin.origins import refusing
from app.http.admin.pages.gate import admin_route
from app.http.admin.pages.reservations import LIST_ZONE
from app.http.admin.pages.view import duration_words, stamp
from app.http.kit.i18n import Texts, texts_for
from app.http.kit.render import page
from app.http.state import State

RATES = ("checksPerSecond", "letThroughPerSecond", "sentToRoomPerSecond")
COUNTS = ("letThrough", "sentToRoom", "waiting", "live", "ended", "expired")
TIMES = ("stayMedianSeconds", "stayP90Seconds", "insideMedianSeconds", "insideP90Seconds")
TILES = (*RATES, "live", "ended", "expired", "stayMedianSeconds", "stayP90Seconds")
COLUMNS = (*RATES, *COUNTS, *TIMES)


async def figures_page(request: Request[State], _: Session) -> Response:
    with refusing():
        origin = await control.found(request.state["db"], request.path_params["origin_id"])
    t, figures = texts_for(request), await figures_of(request.state, origin.id)
    told = msgspec.to_builtins(figures)
    context = {
        "section": f"/admin/origins/{origin.id}",
        "origin": origin,
        "wide": True,
        "zone": LIST_ZONE,
        "at": stamp(figures.updated_at, LIST_ZONE),
        "tiles": cells(t, told["totals"], TILES),
        "columns": COLUMNS,
        "rooms": [(each["room"], each["name"], cells(t, each, COLUMNS)) for each in told["rooms"]],
        "refused": [(f"admin.figures.refused.{why}", why, t.number(count)) for why, count in figures.refused.items()],
        "by_connector": [(why, t.number(count)) for why, count in sorted(figures.connector_refused.items())],
        "ahead": _ahead(t, figures),
        "warnings": [(each.warning, each.room) for each in figures.warnings],
        "errors": [
            (each.error, each.room, stamp(each.at, LIST_ZONE), t.number(each.in_last_hour)) for each in figures.errors
        ],
    }
    script = {"origin": origin.id, "zone": LIST_ZONE, "drawn": drawn(told)}
    words = ("admin.live.", "admin.room.duration.", "admin.figures.ahead")
    return page(request, "admin/origin_figures.html", context, script=script, words=words)


def cells(t: Texts, figures: Mapping[str, Any], names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(name, kind, words) of some figures, as the script writes them too."""
    return [(name, kind_of(name), words_of(t, kind_of(name), figures[name])) for name in names]


def kind_of(name: str) -> str:
    return "time" if name in TIMES else "rate" if name in RATES else "count"


def words_of(t: Texts, kind: str, value: float | None) -> str:
    if value is None:
        return "–"
    return duration_words(t, value) if kind == "time" else t.number(value, 1)


def drawn(told: Mapping[str, Any]) -> str:
    """What the page has rows for: once that is other, it is drawn anew."""
    rows = [each["room"] for each in told["rooms"]] + sorted(told["connectorRefused"])
    rows += [f"{each['warning']} {each['room']}" for each in told["warnings"]]
    return "\n".join(rows + [f"{each['error']} {each['room']}" for each in told["errors"]])


def _ahead(t: Texts, figures: SiteFiguresShown) -> str:
    ahead_s = figures.connector_ahead_seconds
    return "–" if ahead_s is None else t("admin.figures.ahead", s=round(ahead_s))


routes = [admin_route("/admin/origins/{origin_id}/figures", figures_page)]
