"""One running system per test module, which may say other SETTINGS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from config.settings import Settings
from tests.conftest import stray_keys
from tests.http.system import System, running_system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(
    request: pytest.FixtureRequest, redis_socket: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    module = vars(request.module)
    settings = Settings(
        **{
            "data_dir": tmp_path_factory.mktemp("data"),
            "redis_url": f"unix://{redis_socket}",
            "tick_ms": 50,
            "presence_flush_s": 0.2,
            "opening_draw_s": 0.0,  # a line that is opened moves at once
            "lane_wait_s": 30.0,  # a busy machine may be slow; no test is about that
            "logins_per_account_max": 1_000,
            "logins_per_address_max": 10_000,  # every buyer of a test has the same one
            "registrations_per_address_max": 10_000,
            "waitlist_per_address_max": 10_000,
            **module.get("SETTINGS", {}),
        }
    )
    async with Redis(unix_socket_path=str(redis_socket)) as redis:
        await redis.flushall()
        async with running_system(settings, redis) as running:
            yield running
            stray = await stray_keys(redis)
        await redis.flushall()
        assert not stray, f"keys neither permanent nor expiring: {stray}"


@pytest_asyncio.fixture(loop_scope="module")
async def event_id(system: System) -> str:
    """An event that no test has used."""
    return await system.event()
