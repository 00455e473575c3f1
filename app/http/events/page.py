"""The shop window: every event with its poster, and the search through them. A plain form, no script."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.domain.sale import SaleStatus
from app.http.events.cache import cached_list, supplies
from app.http.events.view import event_view
from app.http.kit.brand import Brand
from app.http.kit.i18n import lang_of
from app.http.kit.render import page
from app.http.kit.routing import page_route
from app.http.line.lookup import room_of
from app.http.origins.branding import brand_of_customer
from app.http.origins.connector import come, is_from_connector
from app.http.state import State
from app.ledger import events
from app.ledger.events import PAGE_MAX, Search

QUERY_CHARS_MAX = 100
OFFSET_DIGITS_MAX = 5


def search_of(request: Request[State]) -> Search:
    """What the address asks for; what it cannot mean is not asked for."""
    asked = request.query_params
    text, status, at = asked.get("q", "").strip()[:QUERY_CHARS_MAX], asked.get("status", ""), asked.get("from", "")
    return Search(
        text=text,
        status=SaleStatus(status) if status in list(SaleStatus) else None,
        offset=int(at) if at.isascii() and at.isdecimal() and len(at) <= OFFSET_DIGITS_MAX else 0,
    )


async def index(request: Request[State]) -> Response:
    """Everything from memory, as nearly everybody asks for it; a search asks the store. Whom a connector sends here is
    on the way to a waiting room of another shop."""
    if is_from_connector(request):
        return await come(request)
    state, wanted = request.state, search_of(request)
    now, lang = state["clock"].now(), lang_of(request)
    if wanted == Search():
        cached = await cached_list(state)
        listed, total = cached.listed, cached.total
    else:
        listed, total = await events.search(state["db"], wanted, now)
    supply = await supplies(state, listed)
    asked = {"q": wanted.text, "status": wanted.status.value if wanted.status else ""}
    end = wanted.offset + PAGE_MAX
    context = {
        "events": [event_view(event, room_of(state, event), None, now, lang, supply[event.id]) for event in listed],
        "statuses": [status.value for status in SaleStatus],
        "searched": any(asked.values()),
        "next_url": f"/?{urlencode({**asked, 'from': end})}" if end < total else "",
        **asked,
    }
    return page(request, "events/index.html", context)


def brand(request: Request[State]) -> Brand | None:
    return brand_of_customer(request) if is_from_connector(request) else None


routes = [page_route("/", index, brand=brand)]
