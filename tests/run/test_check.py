"""`tiketi check` tells a store in which everything holds from one in which it does not, in words and by exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import redis_keys
from app.ledger.database import Database
from tests.room.room import EVENT, Room
from tests.room.server import server_in

pytestmark = pytest.mark.slow  # starts the product's own processes


def tiketi_check(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", "check", *options],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_it_says_whether_everything_holds(tmp_path: Path, ledger: Database) -> None:
    url = f"sqlite+aiosqlite:///{ledger.engines[0].url.database}"
    async with server_in(tmp_path / "redis") as server, server.client() as redis:
        room = await Room(redis, ledger).make()
        await room.crowd(3)
        where = {"REDIS_URL": server.url, "DATABASE_URL": url, "TIKETI_DATA_DIR": str(tmp_path)}
        said = tiketi_check(**where)
        assert (said.returncode, said.stdout) == (0, "Every invariant holds.\n"), said.stderr
        said = tiketi_check("--json", **where)
        assert (said.returncode, json.loads(said.stdout)) == (0, {"holds": True})
        await redis.hset(redis_keys.room(EVENT), "cursor", "9")  # type: ignore[misc]  # redis-py types it for both clients
        said = tiketi_check(**where)
        assert said.returncode == 1
        assert said.stdout.startswith(f"{EVENT}: I1 is broken: ")
        assert said.stderr == f"tiketi: Invariants are broken: {EVENT}.\n"
        told = [json.loads(line) for line in tiketi_check("--json", **where).stdout.splitlines()]
        assert {(each["eventId"], each["invariant"]) for each in told} == {(EVENT, "I1")}


def test_it_says_when_nothing_runs(tmp_path: Path) -> None:
    said = tiketi_check(TIKETI_DATA_DIR=str(tmp_path / "data"))
    assert said.returncode == 1
    assert "Is Tiketi running, with the same settings?" in said.stderr
