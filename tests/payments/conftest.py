"""The counter of each test."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from tests.lane.world import make_world
from tests.payments.counter import Counter


@pytest.fixture
async def counter(redis: Redis, ledger: Database) -> Counter:
    return Counter(await make_world(redis, ledger))
