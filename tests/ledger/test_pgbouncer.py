"""PostgreSQL behind PgBouncer, in both of its useful modes: seats are sold, and every wait has its limit."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select, text

from app.lane.commands import OutcomeStatus
from app.ledger.connection_limits import ConnectionLimits
from app.ledger.database import Database, open_database
from tests.lane.world import hold, make_world
from tests.postgres import Postgres, as_somebody
from tests.waiting import wait_until

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
PORT = 6432  # of its socket, in a folder of its own
SERVER_CONNECTIONS = {"transaction": 3, "session": 40}  # fewer than we open, or as many as there can be
STATEMENT_S = 7.0

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer on PATH")


def configured(folder: Path, postgres: Postgres, name: str, mode: str) -> Path:
    """The configuration of a PgBouncer before this database, which listens in the folder."""
    folder.chmod(0o777)  # it runs as the one whom the server runs as
    conf = folder / "pgbouncer.ini"
    conf.write_text(
        f"[databases]\n{name} = host={postgres.folder} user=tiketi\n"
        f"[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {folder}\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {SERVER_CONNECTIONS[mode]}\n"
    )
    return conf


@pytest.fixture(params=["transaction", "session"])
async def behind(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Database]:
    """An empty database that is reached through a PgBouncer of the test's own."""
    url = await postgres.create()
    name = url.split("@/")[1].split("?")[0]
    with tempfile.TemporaryDirectory(prefix="tiketi-pgb-") as folder:
        conf = configured(Path(folder), postgres, name, request.param)
        process = subprocess.Popen(  # noqa: ASYNC220  # killed, not awaited
            [PGBOUNCER or "", str(conf)], stderr=subprocess.DEVNULL, **as_somebody()
        )

        async def listens() -> bool:
            assert process.poll() is None, "PgBouncer ended"
            return (Path(folder) / f".s.PGSQL.{PORT}").exists()

        try:
            await wait_until(listens, description="PgBouncer listens")
            limits = ConnectionLimits(statement_s=STATEMENT_S)
            address = f"postgresql://tiketi@/{name}?host={folder}&port={PORT}&pooler=pgbouncer"
            db = open_database(address, limits)
            await db.create_all()
            yield db
            await db.close()
        finally:
            process.kill()
            process.wait()
    await postgres.drop(url)


async def test_seats_are_sold_once(behind: Database, redis: Redis) -> None:
    await behind.require_tables()
    shop = await make_world(redis, behind)
    outcomes = await shop.do(*(hold(f"buyer-{n}", [3]) for n in range(20)))
    assert sorted(outcome.status for outcome in outcomes).count(OutcomeStatus.held) == 1


async def test_more_transactions_at_once_than_it_has_connections_all_come_through(behind: Database) -> None:
    async def read(number: int) -> int:
        async with behind.read() as tx:
            return int(await tx.scalar(select(func.length("x" * number))) or 0)

    async def write(number: int) -> int:
        async with behind.write(f"about:{number}") as tx:
            return int(await tx.scalar(select(func.length("x" * number))) or 0)

    for _ in range(3):
        found = await asyncio.gather(*(work(number) for number in range(30) for work in (read, write)))
        assert found == [number for number in range(30) for _ in range(2)]


async def test_every_transaction_has_its_limits_and_leaves_none_behind(behind: Database) -> None:
    async with behind.read() as tx:
        assert await tx.scalar(text("SHOW statement_timeout")) == f"{STATEMENT_S:.0f}s"
        assert await tx.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        assert await tx.scalar(text("SHOW timezone")) == "UTC"
    assert await behind.run(lambda tx: tx.execute(text("SHOW lock_timeout")).scalar()) == "5s"
    assert await behind.look(lambda tx: tx.execute(text("SHOW jit")).scalar()) == "off"
