"""`tiketi prune` says what it would delete, asks, deletes it and says so; a sale that goes on loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select

from app.audit import invariants
from app.connections import utc_now
from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel, OutcomeStatus
from app.ledger import events, reservations, retention
from app.ledger.database import Database
from app.ledger.retention import Keep
from app.ledger.tables.reservations import reservations as table
from app.run.prune import keep_of
from config.settings import Settings, SettingsError
from loadtest.past_sales import Size, Sold, When, fill
from tests.lane.audit import broken
from tests.lane.world import EVENT, confirm, hold, make_world
from workers.pruner import prune_history

OLD = Size(sold=(Sold(when=When.past, events=3, seats=60, reservations=60),), audit_entries=7)
KEPT = {"TIKETI_KEEP_SALES_DAYS": "1", "TIKETI_KEEP_AUDIT_DAYS": "100"}


@pytest.fixture
async def filled(ledger: Database) -> Database:
    await fill(ledger, OLD, utc_now())
    return ledger


async def total(db: Database) -> int:
    async with db.read() as tx:
        return await tx.scalar(select(func.count()).select_from(table)) or 0


def tiketi_prune(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    where = {"DATABASE_URL": f"sqlite+aiosqlite:///{folder}/tiketi.db", "TIKETI_DATA_DIR": str(folder), **KEPT}
    command = [sys.executable, "-P", "-m", "app.cli", "prune", *args]
    environ = {**os.environ, **where}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.slow
async def test_it_counts_asks_deletes_and_says_what_it_deleted(filled: Database, tmp_path: Path) -> None:
    words = "54 unpaid holds and 0 waiting list entries of 3 ended sales, and 7 audit log entries"
    said = tiketi_prune(tmp_path, "--dry-run")
    assert (said.returncode, said.stdout) == (0, f"{words}: would be deleted.\n"), said.stderr
    said = tiketi_prune(tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[0] == f"tiketi: This deletes for ever {words}."
    assert await total(filled) == 180
    said = tiketi_prune(tmp_path, "--yes", "--json")
    told = {"dryRun": False, "sales": 3, "holds": 54, "waitlistEntries": 0, "auditEntries": 7}
    assert (said.returncode, json.loads(said.stdout)) == (0, told), said.stderr
    assert await total(filled) == 126
    said = tiketi_prune(tmp_path)
    assert said.stdout.startswith("0 unpaid holds"), "there is nothing to ask about"


async def test_the_nightly_round_deletes_the_same(filled: Database) -> None:
    settings = Settings(keep_sales_days=1, keep_audit_days=100)
    ctx = {"db": filled, "settings": settings, "clock": SimpleNamespace(now=utc_now)}
    assert await prune_history(ctx) == 54 + 7
    assert await prune_history(ctx) == 0
    assert await total(filled) == 126


def test_the_settings_say_for_how_long_and_0_is_for_ever() -> None:
    assert keep_of(Settings(keep_sales_days=0, keep_audit_days=0)) == Keep(sales=None, audit=None)
    wanted = Keep(sales=timedelta(days=2), audit=timedelta(days=40))
    assert keep_of(Settings(keep_sales_days=2, keep_audit_days=40)) == wanted
    with pytest.raises(SettingsError, match="TIKETI_KEEP_AUDIT_DAYS=1 is shorter than TIKETI_SESSION_S"):
        Settings(keep_audit_days=1, session_s=2 * 86_400)


async def test_a_prune_in_the_middle_of_a_sale_loses_nothing(redis: Redis, filled: Database) -> None:
    world = await make_world(redis, filled)
    keep = Keep(sales=timedelta(0), audit=timedelta(0))
    gave_up = (await world.do(hold("h0", [0], holder="h")))[0].reservation
    assert gave_up is not None
    await world.do(Cancel(id="c0", reservation_id=gave_up.id, holder="h"))

    async def sell() -> None:
        for number in range(8):
            (held,) = await world.do(hold(f"hold-{number}", [number], holder=f"h{number}"))
            assert held.reservation is not None
            if number % 2:
                done = await world.do(confirm(f"pay-{number}", held.reservation.id, holder=f"h{number}"))
                assert [each.status for each in done] == [OutcomeStatus.confirmed]

    async def prune() -> None:
        async for _ in retention.prune(filled, keep, world.time.now()):
            assert await events.get(filled, EVENT) is not None

    await asyncio.gather(sell(), prune())
    kept = await reservations.get(filled, gave_up.id)
    assert kept is not None
    assert kept.status is ReservationStatus.cancelled
    found = await by_status(filled)
    assert found == {"cancelled": 1, "confirmed": 4, "pending": 4}
    assert await broken(filled) == []


async def test_every_invariant_holds_afterwards(redis: Redis, filled: Database) -> None:
    before = await invariants.check(redis, filled, "past-0")
    async for _ in retention.prune(filled, Keep(sales=timedelta(0), audit=timedelta(0)), utc_now()):
        pass
    assert await invariants.check(redis, filled, "past-0") == before


async def by_status(db: Database) -> dict[str, int]:
    query = select(table.c.status, func.count()).where(table.c.event_id == EVENT).group_by(table.c.status)
    async with db.read() as tx:
        return {status: count for status, count in await tx.execute(query)}  # noqa: C416  # rows are not pairs to mypy
