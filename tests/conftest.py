"""Real stores for every test: one Redis server per process of the run, one SQLite file per test.

Tests of what the database itself promises (`both_databases`) run on PostgreSQL as well, each in a database of its own
on one server per process. Nothing is shared by the processes of a run: no server, port or folder.

After each test every key it left must be on the permanent list or have a TTL (I10); then Redis is emptied.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from app.ledger.database import Database, open_database
from app.redis_keys import is_permanent
from app.run.redis_server import command, find_server, wait_until_answering
from tests.postgres import NoPostgresError, Postgres, make_template
from tests.postgres import make as make_postgres

# A machine that is busy with others stands still for longer than Hypothesis would let an example take. What decides
# over a change tries the same examples each time; everybody else goes on looking for new ones.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("patient")


IN_MEMORY = Path("/dev/shm")
IN_MEMORY_BYTES_MIN = 2 << 30


def _keeps_folders_in_memory() -> bool:
    """Whether temporary folders can be in memory, where a flush to the disk, of which stores make many, costs nothing.

    A container's /dev/shm is too small for that, and runs no programs. Whoever says TMPDIR decides.
    """
    if "TMPDIR" in os.environ or not IN_MEMORY.is_dir() or not os.access(IN_MEMORY, os.W_OK | os.X_OK):
        return False
    status = os.statvfs(IN_MEMORY)
    return not status.f_flag & os.ST_NOEXEC and status.f_bavail * status.f_frsize >= IN_MEMORY_BYTES_MIN


if _keeps_folders_in_memory():
    os.environ["TMPDIR"] = str(IN_MEMORY)  # for the programs that tests start, too
    tempfile.tempdir = None  # ask again

FOLDERS_MARKED = ("browser", "faults", "model")  # in tests/: the marker has the folder's name
WAITING = 0.5  # how much of the suite's time is spent waiting for stores and processes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More processes than cores, for what `-n auto` says: a test that waits leaves its core to another."""
    return round((os.cpu_count() or 1) / WAITING)


WHOLE_PRODUCT = {"system", "browser"}  # fixtures that start web processes, a worker and their stores


def pytest_itemcollected(item: pytest.Item) -> None:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in FOLDERS_MARKED:
        item.add_marker(folder)
    if item.path.stem.endswith("_faults"):
        item.add_marker("faults")
    if WHOLE_PRODUCT & {*getattr(item, "fixturenames", ())}:
        item.add_marker("slow")
    parameters = getattr(item, "callspec", None)
    if "postgres" in getattr(item, "fixturenames", ()) or (
        parameters is not None and parameters.params.get("sql_server") == "postgresql"
    ):
        item.add_marker("postgres")


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane's lease ends when a test takes it away, never because the machine was slow."""
    monkeypatch.setattr("app.lane.scripts.LEASE_MS", 60_000)


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """A password is hashed with the least argon2 takes: 0.1 ms of processor time instead of 180."""
    with pytest.MonkeyPatch.context() as patched:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patched.setattr("app.ledger.passwords._hasher", cheap)
        yield


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """A Redis server of our own with the shipped configuration, on a socket in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tiketi-") as folder:
        socket = Path(folder) / "redis.sock"
        server = subprocess.Popen(command(find_server(Path(folder)), Path(folder), socket), stdout=subprocess.DEVNULL)
        try:
            assert asyncio.run(wait_until_answering(socket, lambda: server.poll() is None)), "Redis did not start"
            yield socket
        finally:
            server.kill()
            server.wait()


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    """A client of an empty Redis. Fails the test if it left a key that would stay for ever."""
    async with Redis(unix_socket_path=str(redis_socket)) as client:
        yield client
        stray = await stray_keys(client)
        await client.flushall()
        await client.connection_pool.disconnect()
        assert not stray, f"keys neither permanent nor expiring: {stray}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sql_server" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("sql_server", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own, with a template that has our tables. Skips where none can be run."""
    with tempfile.TemporaryDirectory(prefix="tiketi-pg-") as folder:
        try:
            server = make_postgres(Path(folder))
        except NoPostgresError as error:
            pytest.skip(f"no PostgreSQL server can be run here: {error}")
        try:
            asyncio.run(make_template(server))
            yield server
        finally:
            server.kill()


@pytest.fixture
def sql_server(request: pytest.FixtureRequest) -> Postgres | None:
    """Where `ledger` is: the PostgreSQL server, or None for a file of SQLite's."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    found: Postgres = request.getfixturevalue("postgres")
    return found


@pytest.fixture
async def ledger(sql_server: Postgres | None, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store."""
    url = await sql_server.create() if sql_server else f"sqlite+aiosqlite:///{tmp_path / 'tiketi.db'}"
    db = open_database(url)
    await db.create_all()
    yield db
    await db.close()
    if sql_server:
        await sql_server.drop(url)


async def stray_keys(client: Redis) -> list[str]:
    found = [key.decode() for key in await client.keys("*")]
    return [key for key in found if not is_permanent(key) and await client.ttl(key) == -1]  # -2: gone meanwhile
