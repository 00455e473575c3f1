"""Everyone's clock in the hands of a fault test, and a room that is as busy as a sale."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from app.room import scripts
from tests.room.room import BURST, RATE, Clock, Room
from workers import admitter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Everyone's clock, workers' and Redis's."""
    clock = Clock()
    monkeypatch.setattr(scripts, "_now", lambda now_ms: clock.redis_ms if now_ms is None else now_ms)
    monkeypatch.setattr(admitter, "time", SimpleNamespace(monotonic=lambda: clock.steady_ms / 1000))
    return clock


@pytest.fixture
async def room(redis: Redis, ledger: Database) -> Room:
    return await Room(redis, ledger).make(rate_per_s=RATE, burst=BURST, max_active=10_000, bound=10_000)
