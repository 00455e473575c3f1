"""`tiketi seats` changes the seats of an event, whether anything runs or not."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.cache.notices import Notices
from app.connections import open_store
from app.domain.reservation import SeatStatus
from app.lane.commands import unpack_published
from app.ledger import audit_log, events
from app.run.console import ConsoleError
from app.run.database import migrate
from app.run.seat_commands import take_arguments
from app.run.seats import NOT_TOLD, change
from app.run.telling import Tell
from config.settings import Settings
from tests.lane.world import EVENT, spec


@pytest.fixture
async def settings(tmp_path: Path, redis: Redis, redis_socket: Path) -> Settings:
    made = Settings(data_dir=tmp_path / "data", redis_url=f"unix://{redis_socket}")
    await migrate(made)
    db = open_store(made)
    assert await events.create(db, spec(), datetime.now(UTC))
    await db.close()
    return made


async def run(settings: Settings, *words: str, as_json: bool = False) -> list[str]:
    parser, said = argparse.ArgumentParser(), list[str]()
    take_arguments(parser)
    await change(settings, parser.parse_args([EVENT, *words]), Tell(said.append, as_json))
    return said


async def statuses(settings: Settings) -> str:
    db = open_store(settings)
    hall = await events.seat_snapshot(db, EVENT)
    await db.close()
    assert hall is not None
    return "".join(SeatStatus(status).name[0] for status in hall.statuses)


async def test_seats_are_blocked_added_and_told_of(settings: Settings, redis: Redis) -> None:
    assert await run(settings, "block", "A", "--row", "0", "--numbers", "1-2,4") == [f"{EVENT}: 3 seats changed."]
    assert await statuses(settings) == "bbabaaaaaaaa"
    told = await Notices(redis).last()
    assert told.number == 1
    words = await run(settings, "add", "A", "--row", "0", "--numbers", "7-8", "--grade", "R", as_json=True)
    assert json.loads(words[0])["seatIds"] == ["s12", "s13"]
    assert await statuses(settings) == "bbabaaaaaaaaaa"
    (_, newest), *_ = await redis.xrevrange(redis_keys.lane_out(EVENT), count=1)
    published = unpack_published(next(iter(newest.values())))
    assert (published.reload, published.version) == (True, json.loads(words[0])["version"])
    db = open_store(settings)
    entries = await audit_log.listed(db, audit_log.AuditFilter(subject=EVENT), 5)
    await db.close()
    assert [entry.action for entry in entries] == ["seats.add", "seats.change"]
    assert all(entry.who.endswith("@cli") for entry in entries)


async def test_without_redis_it_is_done_all_the_same(settings: Settings) -> None:
    away = Settings(data_dir=settings.data_dir, redis_url="unix:///nowhere/redis.sock")
    assert await run(away, "mark", "A", "--mark", "companion") == [f"{EVENT}: 12 seats changed.", NOT_TOLD]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("block", "B"), "no such seat"),
        (("block", "A", "--numbers", "x-"), "names no seats"),
        (("regrade", "A", "--grade", "ZZ"), "no grade 'ZZ'"),
        (("add", "A", "--row", "0", "--numbers", "1", "--grade", "R"), "such a seat already"),
        (("add", "A", "--numbers", "9", "--grade", "R"), "--row and --numbers"),
        (("add", "A", "--row", "0", "--numbers", "7-9999", "--grade", "R"), "may be added at a time"),
    ],
)
async def test_what_cannot_be_meant_is_refused(settings: Settings, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConsoleError, match=why):
        await run(settings, *words)
    assert await statuses(settings) == "a" * 12


async def test_an_event_that_is_not_there_is_named(settings: Settings) -> None:
    parser = argparse.ArgumentParser()
    take_arguments(parser)
    with pytest.raises(ConsoleError, match="'nowhere'"):
        await change(settings, parser.parse_args(["nowhere", "block", "A"]), Tell(print))
