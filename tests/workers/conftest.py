"""A waiting room for each test that asks for one."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from tests.room.room import Room


@pytest.fixture
async def room(redis: Redis, ledger: Database) -> Room:
    return await Room(redis, ledger).make()
