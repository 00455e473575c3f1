"""Histograms that hot code adds to and app/metrics reads. They import nothing of ours, so every layer may use them.

Plain numbers, changed by one thread and read by any. Adding a value costs about as much as a function call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from typing import Generic, TypeVar

Bounds = tuple[float, ...]
Key = TypeVar("Key", bound=Hashable)

SECONDS: Bounds = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)
WAITS_S: Bounds = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
SIZES: Bounds = (1, 2, 5, 10, 25, 50, 100, 200, 400, 500)


class Histogram:
    """`counts[i]`: values up to `bounds[i]` and above the bound before; the last one: above all. `total`: their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class HistogramsByKey(Generic[Key]):
    """A histogram per key, made when first needed. Keys beyond the first `keys_max` share that of `rest`."""

    __slots__ = ("_bounds", "_keys_max", "_rest", "by_key")

    def __init__(self, bounds: Bounds, keys_max: int, rest: Key) -> None:
        self._bounds = bounds
        self._keys_max = keys_max
        self._rest = rest
        self.by_key: dict[Key, Histogram] = {}

    def add(self, key: Key, value: float) -> None:
        histogram = self.by_key.get(key)
        if histogram is None:
            if len(self.by_key) >= self._keys_max:
                key = self._rest
            histogram = self.by_key.setdefault(key, Histogram(self._bounds))
        histogram.add(value)
