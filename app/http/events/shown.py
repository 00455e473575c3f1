"""An event as the pages of every capability show it: in the reader's language, with its room's state and free seats."""

from __future__ import annotations

from starlette.requests import Request

from app.http.events.cache import known_event, seats_left
from app.http.events.view import EventView, event_view
from app.http.kit.i18n import lang_of
from app.http.line.lookup import room_of
from app.http.state import State


async def shown_event(request: Request[State]) -> EventView:
    """The event in the reader's language, with its room's state and what is left."""
    event = await known_event(request.state, request.path_params["event_id"])
    await request.state["rooms"].find(event.id)
    left = await seats_left(request.state, event)
    return event_view(event, room_of(request.state, event), left, request.state["clock"].now(), lang_of(request))
