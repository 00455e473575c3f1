"""A few simulated visitors who go to the waiting room first, so that a person who tries the demo alone sees a line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import structlog

from app.run.demo_shop.shopper import Shopper

SIZE = 10  # below the share of places that one address has free
LIFE_S = 300.0
TIMEOUT_S = 10.0

log = structlog.get_logger()


class Crowd:
    """One at a time. `shop` and `tiketi`: where they go, `claim_window_s`: of that Tiketi."""

    def __init__(self, shop: str, tiketi: str, room: str, claim_window_s: float) -> None:
        self._shop = shop
        self._tiketi = tiketi
        self._room = room
        self._claim_window_s = claim_window_s
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def left(self) -> int:
        """How many have not finished yet."""
        return len(self._tasks)

    def send(self) -> None:
        """Send them off, unless some are on their way still."""
        if self._tasks:
            return
        for place in range(1, SIZE + 1):
            task = asyncio.create_task(self._visit(place), name=f"visitor {place}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Of the application: at its end all of them end."""
        yield
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _visit(self, place: int) -> None:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            shopper = Shopper(
                client=client,
                shop=self._shop,
                tiketi=self._tiketi,
                room=self._room,
                address="",
                claim_window_s=self._claim_window_s,
                dice=random.Random(place),  # noqa: S311 - how long somebody thinks is no secret
            )
            story = await shopper.visit(asyncio.get_running_loop().time() + LIFE_S)
        log.info("demo_visitor", number=story.number, bought=story.bought, failed=story.failed)
