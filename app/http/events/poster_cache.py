"""The posters a web process keeps in memory: those asked for lately, within a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

SHELF_BYTES_MAX = 64 << 20

Load = Callable[[str, bool], Awaitable[bytes | None]]


class PosterCache:
    """The bytes of posters asked for lately, SHELF_BYTES_MAX in all; the one not asked for longest makes room."""

    def __init__(self, load: Load, bytes_max: int = SHELF_BYTES_MAX) -> None:
        self._load = load
        self._bytes_max = bytes_max
        self._kept: OrderedDict[tuple[str, bool], bytes] = OrderedDict()
        self.bytes_kept = 0

    async def get(self, name: str, thumb: bool) -> bytes | None:
        key = (name, thumb)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = await self._load(name, thumb)
        if found is not None and key not in self._kept and len(found) <= self._bytes_max:
            self._kept[key] = found
            self.bytes_kept += len(found)
            while self.bytes_kept > self._bytes_max:
                self.bytes_kept -= len(self._kept.popitem(last=False)[1])
        return found
