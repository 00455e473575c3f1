"""The posters a web process keeps in memory, so that the database is not asked for each picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cachetools import LRUCache

BYTES_MAX = 64 << 20

Load = Callable[[str, bool], Awaitable[bytes | None]]


class PosterCache:
    """The bytes of recently requested posters, `bytes_max` in all; the least recently used are dropped first.

    A poster that does not exist is not remembered, so it appears as soon as it is stored.
    """

    def __init__(self, load: Load, bytes_max: int = BYTES_MAX) -> None:
        self._load = load
        self._kept: LRUCache[tuple[str, bool], bytes] = LRUCache(bytes_max, getsizeof=len)

    @property
    def bytes_kept(self) -> int:
        """The size of all posters in memory."""
        return int(self._kept.currsize)

    async def get(self, name: str, thumb: bool) -> bytes | None:
        """A poster or its thumbnail; None if there is none."""
        key = (name, thumb)
        found = self._kept.get(key)
        if found is None:
            found = await self._load(name, thumb)
            if found is not None and len(found) <= self._kept.maxsize:
                self._kept[key] = found
        return found
