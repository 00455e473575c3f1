"""A web process that heard everything ever published, and read the map anew when told to."""

from __future__ import annotations

from dataclasses import replace

from redis.asyncio import Redis

from app import redis_keys
from app.domain.reservation import SeatSnapshot
from app.lane.commands import unpack_published
from app.lane.view import SeatView


async def hear(redis: Redis, snapshot: SeatSnapshot) -> SeatView:
    """The view of such a listener; `snapshot` is what it reads when it must."""
    view = SeatView(replace(snapshot, version=0, statuses=bytes(len(snapshot.statuses))))
    for _, fields in await redis.xrange(redis_keys.lane_out(snapshot.event_id)):
        if not view.apply(unpack_published(fields[b"o"])):
            view.become(SeatView(snapshot))
    return view
