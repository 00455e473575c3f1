"""`tiketi trace` tells every step of one number in words, or as JSON with codes; its exit code says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain.wish import Wish, pack_wish
from app.ledger.database import Database
from tests.lane.world import World
from tests.room.room import EVENT, Room
from tests.room.server import server_in

pytestmark = pytest.mark.slow  # starts the product's own processes

LET_IN = "2027-01-15 08:00:01.000Z"  # a second after the room's test begins
AWAY = "postgresql://tiketi:s3cret@127.0.0.1:1/tiketi"  # nothing listens there


def tiketi_trace(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", "trace", *args],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_it_tells_the_steps_in_words_or_as_codes(tmp_path: Path, ledger: Database) -> None:
    url = f"sqlite+aiosqlite:///{ledger.engines[0].url.database}"
    async with server_in(tmp_path / "redis") as server, server.client() as redis:
        room = await Room(redis, ledger).make()
        await room.join("ann", wish=pack_wish(Wish(quantity=2)))
        await room.seen(1)
        await room.tick()
        world = World(redis, ledger)
        world.time.at = datetime.fromtimestamp(room.clock.redis_ms / 1000, UTC)
        await world.allocator().run(EVENT)
        where = {"REDIS_URL": server.url, "DATABASE_URL": url, "TIKETI_DATA_DIR": str(tmp_path)}

        said = tiketi_trace(EVENT, "1", **where)
        assert (said.returncode, said.stderr) == (0, "")
        head, *steps = said.stdout.splitlines()
        assert head == "gig, number 1: It was let in; the turn can be claimed until 2027-01-15 08:01:01.000Z."
        assert steps[0] == f"{LET_IN}  room log  Joined the line after 2027-01-15 08:00:00.000Z and by {LET_IN}."
        held = f"{LET_IN}  database  2 seats were held for ₩200, until 2027-01-15 08:05:01.000Z"
        assert steps[3].startswith(held)

        coded = tiketi_trace(EVENT, "1", "--json", **where)
        told = json.loads(coded.stdout)
        assert (coded.returncode, told["standing"], told["epoch"], told["gaps"]) == (0, "admitted", 1, [])
        assert [step["what"] for step in told["steps"]] == ["joined", "admitted", "wish_answered", "reserved"]

        never, nobody = tiketi_trace(EVENT, "2", **where), tiketi_trace("nothing", "1", **where)
        assert (never.returncode, never.stdout) == (2, "")
        assert never.stderr == "tiketi: Number 2 of gig was never given; the last one is 1.\n"
        assert (nobody.returncode, nobody.stdout) == (2, "")
        assert nobody.stderr.startswith("tiketi: There is no waiting room for an event 'nothing'")

        no_database = tiketi_trace(EVENT, "1", **{**where, "DATABASE_URL": AWAY})
        assert no_database.returncode == 1
        assert "room log  Joined" in no_database.stdout
        assert "Missing: The database does not answer" in no_database.stdout
        assert "s3cret" not in no_database.stdout + no_database.stderr

    no_redis = tiketi_trace(EVENT, "1", "--json", **where)
    assert (no_redis.returncode, json.loads(no_redis.stdout)["gaps"]) == (1, [{"missing": "redis_away"}])
    assert [step["what"] for step in json.loads(no_redis.stdout)["steps"]] == ["reserved"]
    assert no_redis.stderr.startswith("tiketi: Steps may be missing: a store did not answer. Redis: ")


def test_it_says_when_nothing_runs_or_the_number_is_none(tmp_path: Path) -> None:
    away = {"DATABASE_URL": AWAY, "REDIS_URL": "redis://127.0.0.1:1"}
    said = tiketi_trace("gig", "1", TIKETI_DATA_DIR=str(tmp_path), **away)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("tiketi: Neither Redis at ")
    assert "s3cret" not in said.stderr
    assert tiketi_trace("gig", "ann").returncode == 2
