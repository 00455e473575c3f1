"""A PostgreSQL whose disk is full: nothing is sold, the line goes on, it is said once, and all is done once there is
room. The disk is one of memory, which root alone may make.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from app.audit import invariants
from app.lane.commands import OutcomeStatus, pack
from app.lane.scripts import LaneScripts
from tests.faults.test_line_processes import worker
from tests.faults.test_worker_outlives_stores import EVENT, PEOPLE, Sale, said_once_and_ended_well, sale_in
from tests.lane.world import World, wishing
from tests.postgres import Postgres, make
from tests.waiting import wait_until

DISK_MB = 128
BATCH = 100  # commands sent at once: their answers alone fill pages of a table
BATCHES_MAX = 100
LOG_MB = 32  # of the database's log, so that it needs no more room after its start


@pytest.fixture
def disk() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root makes a disk of memory")
    with tempfile.TemporaryDirectory(prefix="tiketi-disk-") as folder:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], capture_output=True, text=True
        )
        if made.returncode:
            pytest.skip(f"no disk of memory can be made here: {made.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@pytest_asyncio.fixture
async def server(disk: Path, postgres: Postgres) -> AsyncIterator[Postgres]:
    folder = disk / "server"
    folder.mkdir()
    server = await asyncio.to_thread(make, folder, **dict.fromkeys(("max_wal_size", "min_wal_size"), f"{LOG_MB}MB"))
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while left := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize:
            file.write(bytes(min(left, 1 << 20)))
    try:
        yield
    finally:
        filler.unlink()


async def ask_for_seats_until_it_fails(sale: Sale) -> list[str]:
    """The ids of the holds that were sent: some are answered, and some wait."""
    sent: list[str] = []
    for _ in range(BATCHES_MAX):
        ids = [f"h{len(sent) + at}" for at in range(BATCH)]
        await LaneScripts(sale.redis).send(EVENT, [pack(wishing(name, 1, holder=name)) for name in ids])
        sent += ids
        answered = len(await answers(sale))

        async def is_answered_or_fails(answered: int = answered) -> bool:
            return "store_fails" in sale.names() or len(await answers(sale)) >= answered + BATCH

        await wait_until(is_answered_or_fails, description="the holds are answered, or the worker says that they fail")
        if "store_fails" in sale.names():
            return sent
    raise AssertionError("the disk is not full")


async def answers(sale: Sale) -> dict[str, list[OutcomeStatus]]:
    found = await World(sale.redis, sale.db).answers(EVENT)
    return {name: [outcome.status for outcome in some] for name, some in found.items()}


async def test_while_the_disk_is_full_the_line_goes_on_and_what_was_asked_for_is_done_afterwards(
    tmp_path: Path, disk: Path, server: Postgres
) -> None:
    async with sale_in(tmp_path, await server.create("shop", "template0")) as sale:
        with worker("one", sale.environ, sale.log) as process:
            await sale.until_said("worker_ready")
            with full(disk):
                sent = await ask_for_seats_until_it_fails(sale)
                (failed,) = (line for line in sale.said() if line["name"] == "store_fails")
                assert failed["error"] == "StoreUnusable: The database cannot write its files. Is the disk full?"
                await sale.more_come_and_are_let_in(PEOPLE, 0)

            async def all_are_answered() -> bool:
                return len(await answers(sale)) == len(sent)

            await wait_until(all_are_answered, description="what waited on the lane is done")
            await sale.until_said("store_works_again")
            process.terminate()
            process.wait()
        said_once_and_ended_well(sale)
        assert await invariants.check(sale.redis, sale.db, EVENT) == []
