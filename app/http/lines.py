"""Which line a request is about: from memory, unless its room was made since this process last looked."""

from __future__ import annotations

from redis.exceptions import RedisError

from app.http.catalog import known_event
from app.http.problems import Problem
from app.http.state import State
from app.room.view import LineView


async def view_of(state: State, event_id: str) -> LineView:
    """The room's view. Raises Problem: 404 where there is none, 503 where it is not made yet or Redis is away."""
    try:
        view = await state["rooms"].find(event_id)
    except (RedisError, OSError) as error:
        raise Problem(503, "line_unavailable", f"The line cannot be reached ({type(error).__name__}).") from error
    if view is not None:
        return view
    if (await known_event(state, event_id)).admission == "open":
        raise Problem(404, "event_unknown", f"There is no waiting room for {event_id!r}: it is sold without one.")
    raise Problem(503, "line_unavailable", "The line is being made. Nothing was lost: try again.")
