"""The public API of events: the list with its search, and one event with its ticket types."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.sale import SaleStatus
from app.http.events.cache import Answer, cached_event, cached_list, seats_left
from app.http.events.shapes import EventDetail, EventList, event_list
from app.http.kit.api import ApiRoute, query_of
from app.http.state import State
from app.ledger import events
from app.ledger.events import PAGE_MAX, Search

OFFSET_MAX = 100_000


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Each word of `q` must be in the title, the venue or the description, in any language."""

    q: Annotated[str, msgspec.Meta(max_length=100)] = ""
    status: SaleStatus | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = PAGE_MAX
    offset: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0


async def list_events(request: Request[State]) -> Response:
    """The first page of everything from memory; a search asks the store."""
    query, now = query_of(request, EventsQuery), request.state["clock"].now()
    if query == EventsQuery():
        return (await cached_list(request.state)).answer(now).response(request)
    wanted = Search(text=query.q, status=query.status, limit=query.limit, offset=query.offset)
    found, total = await events.search(request.state["db"], wanted, now)
    return Answer(event_list(found, total, now)).response(request)


async def show_event(request: Request[State]) -> Response:
    """From memory: what was written of the event is cached, free seats are those of the map if it is open."""
    cached = await cached_event(request.state, request.path_params["event_id"])
    left = await seats_left(request.state, cached.event)
    return cached.answer(left, request.state["clock"].now()).response(request)


routes = [
    ApiRoute(
        "GET",
        "/api/events",
        list_events,
        summary="Events, searched and in pages.",
        query=EventsQuery,
        answers={200: EventList},
    ),
    ApiRoute(
        "GET",
        "/api/events/{event_id}",
        show_event,
        summary="One event with its ticket types.",
        answers={200: EventDetail},
    ),
]
