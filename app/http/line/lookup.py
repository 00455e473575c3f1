"""Which line a request is about: from memory, unless its room was made since this process last looked. And what a place
in it asked for.
"""

from __future__ import annotations

import structlog

from app.domain.line import Place
from app.domain.wish import Wish, unpack_wish
from app.http.events.cache import known_event
from app.http.events.view import RoomWord
from app.http.kit.problems import Problem, stores_refused
from app.http.state import State
from app.room.errors import RoomUnavailable
from app.room.view import LineView

log = structlog.get_logger()


async def view_of(state: State, event_id: str) -> LineView:
    """The room's view. Raises Problem: 404 where there is none, 503 where it is not made yet or Redis is away."""
    with stores_refused():
        view = await state["rooms"].find(event_id)
    if view is not None:
        return view
    if (await known_event(state, event_id)).admission == "open":
        raise Problem("event_unknown.without_line", event_id=event_id)
    raise Problem("line_unavailable.new")


async def wish_of_place(state: State, line: LineView, number: int) -> Wish | None:
    """What was asked for at the door, while it is still to come. Is Redis away, the page does without."""
    if line.place(number) is not Place.waiting:
        return None
    try:
        packed = await state["scripts"].wish(line.event_id, line.epoch, number)
    except RoomUnavailable as error:
        log.warning("wish_not_shown", event_id=line.event_id, error=error.kind)
        return None
    return unpack_wish(packed) if packed else None


def room_of(state: State, event_id: str) -> RoomWord:
    """The room's state in memory; of an event that has a room which is not known here yet, that it is being made."""
    line = state["rooms"].views.get(event_id)
    return "recovering" if line is None else line.state.value
