"""How many challenges an address is made at a time: making one costs more than asking for one.

Counted by each process for itself; bounded, with the address that asked longest ago forgotten first.
"""

from __future__ import annotations

from cachetools import LRUCache

ADDRESSES_MAX = 10_000
PER_S = 50.0
AT_ONCE_MAX = 200


class Allowance:
    def __init__(self) -> None:
        self._next_s: LRUCache[str, float] = LRUCache(ADDRESSES_MAX)

    def take(self, network: str, now_s: float) -> bool:
        """Whether one more is made now; `now_s` is from a steady clock."""
        next_s = max(self._next_s.get(network, now_s), now_s)
        if next_s - now_s > (AT_ONCE_MAX - 1) / PER_S:
            return False
        self._next_s[network] = next_s + 1 / PER_S
        return True
