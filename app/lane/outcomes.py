"""Hands the lane's outcomes to the requests that wait for them: one future per waiting request.

The seat views resolve the futures as published batches arrive; a request that stops waiting is forgotten at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from app.lane.commands import Outcome


class Outcomes:
    """The requests of one web process that wait for an outcome, of all events together."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], list[asyncio.Future[Outcome]]] = {}

    @contextmanager
    def expected(self, event_id: str, command_id: str) -> Iterator[asyncio.Future[Outcome]]:
        """A future that gets the outcome of a command, if it is published while the block runs."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        key = (event_id, command_id)
        self._waiting.setdefault(key, []).append(future)
        try:
            yield future
        finally:
            waiting = self._waiting[key]
            waiting.remove(future)
            if not waiting:
                del self._waiting[key]
            future.cancel()

    def resolve(self, event_id: str, outcome: Outcome) -> None:
        """Resolve the futures of all requests that wait for this outcome's command."""
        for future in self._waiting.get((event_id, outcome.id), ()):
            if not future.done():
                future.set_result(outcome)

    def __len__(self) -> int:
        return len(self._waiting)
