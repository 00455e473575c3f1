"""Reports to Redis which numbers this web process saw, in packed calls, so that nobody waits behind a closed tab.

A number that was passed over while absent is reported at once: it goes back to the front. After a loss of Redis the
same reports give people back the positions that their tickets prove. A report is also sent when nobody was seen: if no
web process reports presence, nobody counts as absent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from app.domain.ticket import holder_text
from app.outages import REDIS, Outages
from app.room.errors import RoomUnavailable
from app.room.scripts import RoomScripts
from app.room.view import LineView

T = TypeVar("T")
People = Mapping[int, bytes]  # number → holder
Source = Callable[[], Iterable[tuple[LineView, People]]]
Served = Callable[[str, int, Sequence[int]], Awaitable[set[int]]]  # (event id, epoch, numbers) → those who bought
Owners = Callable[[Iterable[str]], Awaitable[Mapping[str, str]]]  # holders → the accounts that took them over
CHUNK = 1_000  # numbers per call: under 1 ms of Redis
URGENT_GAP_S = 0.1
NEAR = 100  # numbers behind the cursor
CALL_TIMEOUT_S = 5.0


class Presence:
    def __init__(
        self, scripts: RoomScripts, flush_s: float, served: Served, owners: Owners, outages: Outages | None = None
    ) -> None:
        self._outages = outages or Outages()
        self._scripts = scripts
        self._served = served
        self._owners = owners
        self._flush_s = flush_s
        self._seen: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        self._unproven: defaultdict[tuple[str, int], dict[int, str]] = defaultdict(dict)
        self._urgent = asyncio.Event()
        self._sources: list[Source] = []

    def add_source(self, source: Source) -> None:
        """`source` answers the lines to report on, and who is here without polling: the holders of open streams."""
        self._sources.append(source)

    def see(self, view: LineView, number: int, holder: bytes, *, wishes: bool = False) -> None:
        """Note that one buyer is here. Cheap: called on every poll. `holder` is kept only for an unproven number.

        Who `wishes` for seats gets them once seen: that is told at once near the front and in the turn.
        """
        self._seen[view.event_id, view.epoch].add(number)
        rank = view.rank_of(number) if view.drawn else number
        if rank <= view.cursor:
            if number in view.skipped or (wishes and number in view.admitted):
                self._urgent.set()
        elif wishes and rank <= view.cursor + NEAR:
            self._urgent.set()
        if number in view.unproven:
            self._unproven[view.event_id, view.epoch][number] = holder_text(holder)
            self._urgent.set()

    async def run(self) -> None:
        """Report every `flush_s` seconds, sooner for those who came back, until cancelled."""
        clock = asyncio.get_running_loop().time
        streams_due_s = clock() + self._flush_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(streams_due_s):
                    await self._urgent.wait()
            if clock() >= streams_due_s:  # also if urgent reports never pause: buyers with an open stream do not poll
                self.collect()
                streams_due_s = clock() + self._flush_s
            self._urgent.clear()
            await self.flush()
            await asyncio.sleep(URGENT_GAP_S)

    def collect(self) -> None:
        """Note everyone whom the sources know to be here."""
        for source in self._sources:
            for view, people in source():
                self._seen[view.event_id, view.epoch].update(people)
                if view.unproven:
                    for number, holder in people.items():
                        self.see(view, number, holder)

    async def flush(self) -> None:
        """Report now. What could not be reported is kept for the next time."""
        seen, self._seen = self._seen, defaultdict(set)
        unproven, self._unproven = self._unproven, defaultdict(dict)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                for (event_id, epoch), people in unproven.items():
                    for some in _chunks(list(people)):
                        await self.restore(event_id, epoch, {number: people[number] for number in some})
                for (event_id, epoch), numbers in seen.items():
                    for some in _chunks(list(numbers)) or [[]]:
                        await self._scripts.seen(event_id, epoch, some)
        except (RoomUnavailable, TimeoutError) as error:
            self._outages.failed(REDIS, "presence", error)
            for key, numbers in seen.items():
                self._seen[key] |= numbers
            for key, people in unproven.items():
                self._unproven[key] |= people
        else:
            self._outages.worked("presence")

    async def restore(self, event_id: str, epoch: int, people: Mapping[int, str]) -> None:
        """Give people (number → holder) back the positions that a loss of Redis took, except those who bought before.
        What a browser had before an account took it over goes to the account.

        Raises RoomUnavailable.
        """
        served, owners = await self._served(event_id, epoch, list(people)), await self._owners(people.values())
        pairs = [(number, "" if number in served else owners.get(holder, holder)) for number, holder in people.items()]
        await self._scripts.restore(event_id, epoch, pairs)


def _chunks(items: list[T]) -> list[list[T]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
