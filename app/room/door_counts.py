"""Reads what addresses took and asked for at the door of a room, for its admins."""

from __future__ import annotations

from app import redis_keys
from app.room.answers import AddressCounts, DoorNow
from app.room.errors import as_room_unavailable
from app.room.scripts import RoomScripts


async def read_door(scripts: RoomScripts, event_id: str, epoch: int, now_ms: int) -> DoorNow:
    """Who took or asked for the most places within the window, and whether more join than planned.

    `now_ms` is by Redis's clock, of which a second or two does not matter. Raises RoomUnavailable.
    """
    window = now_ms // (scripts.limits.window_s * 1000)
    pipe = scripts.redis.pipeline(transaction=False)
    for what in ("took", "asked"):
        pipe.zrange(redis_keys.of_epoch(event_id, epoch, f"door:{what}:{window}"), 0, -1, withscores=True)
    pipe.exists(redis_keys.door_pressed(event_id, epoch))
    with as_room_unavailable():
        async with pipe:
            *counts, pressed = await pipe.execute()
    took, asked = map(dict, counts)
    found = [
        AddressCounts(network.decode(), int(took.get(network, 0)), int(asked.get(network, 0)))
        for network in took.keys() | asked.keys()
    ]
    found.sort(key=lambda each: (each.took + each.asked, each.network), reverse=True)
    return DoorNow(bool(pressed), found)
