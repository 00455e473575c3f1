"""Two real `tiketi worker` processes, one of which is killed: counted from the room log, in Redis's own time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import redis_keys
from app.audit import invariants
from app.ledger import events
from app.ledger.database import open_database
from app.room.scripts import RoomScripts
from tests.lane.world import spec
from tests.room.room import TIMING
from tests.room.server import server_in
from tests.waiting import wait_until
from workers.keeper import keep

EVENT = "gig"
PEOPLE = 120
RATE, BURST = 50, 10


@contextmanager
def worker(name: str, environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", "worker", "--name", name],
            env={**os.environ, **environ},
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_process_that_is_gone_or_stands_still_is_missed_by_nobody(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Everyone is let in once, in order, never faster than the rate: nobody twice, nobody not."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'tiketi.db'}"
    db = open_database(url)
    await db.create_all()
    room = {"state": "open", "rate_per_s": RATE, "burst": BURST, "max_active": PEOPLE}
    assert await events.create(db, replace(spec(EVENT), room=room), datetime.now(UTC))
    async with server_in(tmp_path / "redis") as server, server.client() as redis:
        scripts = RoomScripts(redis, TIMING)
        await keep(redis, scripts, db, datetime.now(UTC))
        await scripts.join(EVENT, 1, [(f"h{number}", "") for number in range(PEOPLE)])
        environ = {"REDIS_URL": server.url, "DATABASE_URL": url, "TIKETI_DATA_DIR": str(tmp_path)}

        async def let_in(people: int) -> None:
            async def they_are() -> bool:
                return int(await redis.hget(redis_keys.room(EVENT), "admitted_total") or 0) >= people  # type: ignore[misc]

            await wait_until(they_are, description=f"{people} people are let in")

        async def both_are_up() -> bool:
            return all(b"worker_ready" in (tmp_path / f"{name}.log").read_bytes() for name in ("one", "two"))

        await scripts.change(EVENT, {"state": "paused"})
        with worker("one", environ, tmp_path / "one.log") as one, worker("two", environ, tmp_path / "two.log"):
            await wait_until(both_are_up, description="both workers are ready")
            await scripts.change(EVENT, {"state": "open"})
            await let_in(PEOPLE // 3)
            one.send_signal(how)
            await let_in(PEOPLE * 2 // 3)
            one.send_signal(signal.SIGCONT)  # the one that stood still wakes up
            await let_in(PEOPLE)
        log = await redis.xrange(redis_keys.room_log(EVENT))
        admitted = b",".join(entry[b"a"] for _, entry in log if entry.get(b"a"))
        assert [int(number) for number in admitted.split(b",")] == list(range(1, PEOPLE + 1))
        assert await invariants.check(redis, db, EVENT) == []
    await db.close()
