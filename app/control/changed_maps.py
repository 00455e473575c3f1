"""Tells running processes that an event's seats were changed by a command, as the endpoints tell each other."""

from __future__ import annotations

from app.cache.notices import Notices
from app.cache.tags import EVENTS, event_tag
from app.lane.streams import LaneStreams


async def tell_map_changed(notices: Notices, streams: LaneStreams, event_id: str, version: int) -> None:
    """Have every process forget what it remembers of the event, and read its map again. Raises RedisError, OSError and
    LaneUnavailable: then the next allocator tells of the map, and what is cached ends by itself.
    """
    await notices.tell([EVENTS, event_tag(event_id)])
    await streams.announce(event_id, version)
