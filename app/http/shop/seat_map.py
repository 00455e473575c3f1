"""Seat maps packed for the network: a version's gzip is made once, in a thread, when somebody first asks for it."""

from __future__ import annotations

import asyncio
import gzip
from weakref import WeakKeyDictionary

from app.lane.view import SeatView

LEVEL = 4  # a map of 300 kB takes some 3 ms and comes to an eighth; the highest level saves little more


class PackedMaps:
    """The gzip of each open map's newest version that was asked for packed; kept for as long as the map is open."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[SeatView, tuple[bytes, asyncio.Task[bytes]]] = WeakKeyDictionary()

    async def of(self, view: SeatView) -> bytes:
        """The packed `view.body()`. However many ask for a version, it is packed once."""
        body = view.body()
        kept = self._kept.get(view)
        if kept is None or kept[0] is not body:
            kept = (body, asyncio.create_task(asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)))
            self._kept[view] = kept
        return await asyncio.shield(kept[1])
