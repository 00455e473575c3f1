"""What SQL says of accounts is learned although nobody told it, and although reading it fails now and then."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from app.http.accounts import shut_out as module
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.shut_out import LATE, ShutOut
from app.http.kit.clock import Clock
from app.ledger.errors import StoreAway
from app.limits.revocations import RevocationLog
from tests.waiting import wait_until


async def test_what_changed_while_sql_was_away_is_learned_once_it_is_back(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_EVERY_S", 0.001)
    began_s = time.time()
    clock = Clock()
    revoked = RevokedSessions(RevocationLog(redis, 3600), clock)
    asked: list[datetime] = []
    is_away = True

    async def read(since: datetime) -> dict[str, datetime]:
        asked.append(since)
        if len(asked) > 1 and is_away:
            raise StoreAway("gone")
        return {"ann": datetime.now(UTC)} if len(asked) > 1 else {}

    shut_out = ShutOut(read, revoked, clock)
    await shut_out.load()
    loaded_at = clock.now()
    clock.seconds = lambda: time.time() + 7200  # so long it is away
    running = asyncio.create_task(shut_out.run())

    async def has_failed() -> bool:
        return len(asked) > 3

    async def is_over() -> bool:
        return revoked.is_over("any", "ann", began_s)

    try:
        await wait_until(has_failed, description="reading fails several times")
        assert not await is_over()
        is_away = False
        await wait_until(is_over, description="it is learned")
        assert max(asked[1:4]) <= loaded_at - LATE, "nothing since the last time that worked is left out"
        assert asked[0] <= loaded_at - timedelta(seconds=3600)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
