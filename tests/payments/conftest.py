"""The shop of each test."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from tests.lane.world import make_world
from tests.payments.shop import Shop


@pytest.fixture
async def shop(redis: Redis, ledger: Database) -> Shop:
    return Shop(await make_world(redis, ledger))
