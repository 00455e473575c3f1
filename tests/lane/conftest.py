"""The lane's own fixture."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from tests.lane.world import World, make_world


@pytest.fixture
async def world(redis: Redis, ledger: Database) -> World:
    return await make_world(redis, ledger)
