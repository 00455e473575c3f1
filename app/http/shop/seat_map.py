"""Seat maps packed for the network: a version's gzip is made once, in a thread, when somebody first asks for it."""

from __future__ import annotations

import asyncio
import gzip

from app.lane.view import SeatView

LEVEL = 4  # a map of 300 kB takes some 3 ms and comes to an eighth; the highest level saves little more


class PackedMaps:
    """The gzip of each event's newest map that was asked for packed, one per event."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, asyncio.Task[bytes]]] = {}

    async def of(self, view: SeatView) -> bytes:
        """The packed `view.body()`. However many ask for a version, it is packed once."""
        body = view.body()
        kept = self._kept.get(view.event_id)
        if kept is None or kept[0] is not body:
            kept = (body, asyncio.create_task(asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)))
            self._kept[view.event_id] = kept
        return await asyncio.shield(kept[1])
