"""Remembers whom this process saw and tells Redis in packed calls, so that nobody waits behind a closed tab.

A number that was passed over while away is told at once: it goes back to the front. After a loss of Redis the same
path gives people back the places their tickets prove.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from app.domain.ticket import holder_text
from app.room.scripts import RoomScripts
from app.room.view import LineView

T = TypeVar("T")
CHUNK = 1_000  # numbers per call: under 1 ms of Redis
URGENT_GAP_S = 0.1
CALL_TIMEOUT_S = 5.0

log = structlog.get_logger()


class Presence:
    def __init__(self, scripts: RoomScripts, flush_s: float) -> None:
        self._scripts = scripts
        self._flush_s = flush_s
        self._seen: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        self._lost: defaultdict[tuple[str, int], dict[int, str]] = defaultdict(dict)
        self._urgent = asyncio.Event()
        self._open: list[Callable[[], Iterable[tuple[str, int, list[int]]]]] = []

    def add_source(self, source: Callable[[], Iterable[tuple[str, int, list[int]]]]) -> None:
        """`source` answers (event_id, epoch, numbers) of those who are here without asking: open streams."""
        self._open.append(source)

    def see(self, view: LineView, number: int, holder: bytes) -> None:
        """Note one buyer. Cheap: called on every poll. `holder` is kept only if the number was lost."""
        self._seen[view.event_id, view.epoch].add(number)
        if number <= view.cursor and number in view.skipped:
            self._urgent.set()
        if number in view.lost:
            self._lost[view.event_id, view.epoch][number] = holder_text(holder)
            self._urgent.set()

    async def run(self) -> None:
        """Tell Redis every `flush_s` seconds, sooner for those who came back, until cancelled."""
        clock = asyncio.get_running_loop().time
        streams_due_s = clock() + self._flush_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(streams_due_s):
                    await self._urgent.wait()
            if clock() >= streams_due_s:  # however urgent the others are: who streams does not ask, and is here too
                self._look_at_streams()
                streams_due_s = clock() + self._flush_s
            self._urgent.clear()
            await self.flush()
            await asyncio.sleep(URGENT_GAP_S)

    def _look_at_streams(self) -> None:
        for source in self._open:
            for event_id, epoch, numbers in source():
                self._seen[event_id, epoch].update(numbers)

    async def flush(self) -> None:
        """Tell Redis now. What could not be told is kept for the next time."""
        seen, self._seen = self._seen, defaultdict(set)
        lost, self._lost = self._lost, defaultdict(dict)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                for (event_id, epoch), people in lost.items():
                    for pairs in _chunks(list(people.items())):
                        await self._scripts.restore(event_id, epoch, pairs)
                for (event_id, epoch), numbers in seen.items():
                    for some in _chunks(list(numbers)):
                        await self._scripts.seen(event_id, epoch, some)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("presence_not_told", error=str(error), rooms=len(seen))
            for key, numbers in seen.items():
                self._seen[key] |= numbers
            for key, people in lost.items():
                self._lost[key] |= people


def _chunks(items: list[T]) -> Iterable[list[T]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
