"""Does to a running system what a plan says, and notes from when until when it was not itself.

Every fault mends what it did, and whatever was killed is waited for, whoever starts it again.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from loadtest import records
from loadtest.faults.network import Network
from loadtest.faults.plan import COPY_S, Fault, Kind
from loadtest.faults.redis import Server
from loadtest.system import System, SystemFailed

BACK_MAX_S = 120.0  # a process that is not ready so long after it ended does not come back
LOOK_S = 0.1
ANSWER_S = 1.0
LOCK_WAIT_S = 5.0
NOTHING = 1  # byte of memory, of which Redis then has used too much
NOWHERE = ("127.0.0.1", "1")  # no Redis is there to be replicated
NO_BYTE = (0, resource.RLIM_INFINITY)
ANY_SIZE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@dataclass(slots=True)
class Scene:
    """The system that is disturbed. `catch_up` reads the logs to their end before Redis loses them. `disturbed`: the
    times, in Unix ms, at which it was."""

    system: System
    server: Server
    network: Network
    log: Path
    catch_up: Callable[[], Awaitable[None]]
    disturbed: list[tuple[float, float]] = field(default_factory=list)
    killed: int = 0

    def pid_of(self, name: str) -> int | None:
        """Of a process that the supervisor runs now."""
        return processes(self.system.pid).get(name)

    def ready(self, name: str) -> int:
        """How often a worker has said that it is ready."""
        marks = (f'"process":"{name}"', '"worker_ready"')
        lines = self.log.read_text(errors="replace").replace('": "', '":"').splitlines()
        return sum(all(mark in line for mark in marks) for line in lines)

    def answers(self) -> bool:
        """Whether the web process is ready for people."""
        try:
            with urllib.request.urlopen(f"{self.system.url}/readyz", timeout=ANSWER_S) as response:  # noqa: S310
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


async def inflict(scene: Scene, faults: Sequence[Fault], opening_ms: float) -> None:
    """All faults at their times. Raises an ExceptionGroup of SystemFailed."""
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(_one(scene, fault, opening_ms))


async def _one(scene: Scene, fault: Fault, opening_ms: float) -> None:
    if fault.kind is Kind.redis_older:
        await _sleep_until(opening_ms + (fault.at_s - COPY_S) * 1000)
        await asyncio.to_thread(scene.server.copy_data)
    await _sleep_until(opening_ms + fault.at_s * 1000)
    began_ms = records.now_ms()
    async with HOW[fault.kind](scene, fault):
        await asyncio.sleep(fault.for_s)
    scene.disturbed.append((began_ms, records.now_ms()))


async def _sleep_until(at_ms: float) -> None:
    await asyncio.sleep(max(0.0, at_ms - records.now_ms()) / 1000)


@asynccontextmanager
async def _ended(scene: Scene, fault: Fault, number: signal.Signals) -> AsyncIterator[None]:
    """Redis stays away for as long as the fault lasts; any other process is started again by the supervisor."""
    if fault.target == "redis":
        await scene.server.end(number)
        yield
        await scene.server.start()
        return
    pid = scene.pid_of(fault.target)
    ready = scene.ready(fault.target)
    scene.killed += number is signal.SIGKILL and pid is not None
    if pid is not None:
        _signal(pid, number)
    yield
    await _until(lambda: scene.pid_of(fault.target) not in (None, pid), f"{fault.target} is started again")
    if fault.target.startswith("web"):
        await _until(scene.answers, f"{fault.target} is ready again")
    else:
        await _until(lambda: scene.ready(fault.target) > ready, f"{fault.target} is ready again")


def _killed(scene: Scene, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _ended(scene, fault, signal.SIGKILL)


def _stopped(scene: Scene, fault: Fault) -> AbstractAsyncContextManager[None]:
    return _ended(scene, fault, signal.SIGTERM)


@asynccontextmanager
async def _paused(scene: Scene, fault: Fault) -> AsyncIterator[None]:
    pid = scene.server.pid if fault.target == "redis" else scene.pid_of(fault.target)
    if pid is None:  # another fault ended it
        yield
        return
    _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pid, signal.SIGCONT)


@asynccontextmanager
async def _with_other_data(scene: Scene, fault: Fault) -> AsyncIterator[None]:
    """What it did last was seen by us: a verdict needs to know what is lost."""
    scene.network.cut()
    try:
        await scene.catch_up()
        await scene.server.end()
        await asyncio.to_thread(
            scene.server.take_copy if fault.kind is Kind.redis_older else scene.server.lose_data,
        )
    finally:
        scene.network.mend()
    yield
    await scene.server.start()


@asynccontextmanager
async def _flushed(scene: Scene, _: Fault) -> AsyncIterator[None]:
    scene.network.cut()
    try:
        await scene.catch_up()
        async with scene.server.client() as client:
            await client.flushall()
    finally:
        scene.network.mend()
    yield


@asynccontextmanager
async def _full_memory(scene: Scene, _: Fault) -> AsyncIterator[None]:
    async with scene.server.client() as client:
        await client.config_set("maxmemory", NOTHING)
        yield
        await client.config_set("maxmemory", 0)


@asynccontextmanager
async def _read_only(scene: Scene, _: Fault) -> AsyncIterator[None]:
    async with scene.server.client() as client:
        await client.replicaof(*NOWHERE)
        yield
        await client.replicaof("NO", "ONE")


@asynccontextmanager
async def _answers_lost(scene: Scene, _: Fault) -> AsyncIterator[None]:
    scene.network.lose_answers()
    yield
    scene.network.mend()


@asynccontextmanager
async def _network_cut(scene: Scene, _: Fault) -> AsyncIterator[None]:
    scene.network.cut()
    yield
    scene.network.mend()


@asynccontextmanager
async def _full_disk(scene: Scene, _: Fault) -> AsyncIterator[None]:
    """No file of any of its processes may grow. Redis, which must have all on disk that it answers, ends of it."""
    pids = [scene.server.pid, *processes(scene.system.pid).values()]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, NO_BYTE)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):  # it ended of it
            resource.prlimit(pid, resource.RLIMIT_FSIZE, ANY_SIZE)
    if not scene.server.is_running:
        await scene.server.start()


@asynccontextmanager
async def _slow_database(scene: Scene, fault: Fault) -> AsyncIterator[None]:
    lock = asyncio.create_task(asyncio.to_thread(_hold_lock, scene.system.settings.data_dir / "tiketi.db", fault.for_s))
    yield
    await lock


def _hold_lock(path: Path, for_s: float) -> None:
    with closing(sqlite3.connect(path, LOCK_WAIT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(for_s)
        connection.execute("ROLLBACK")


HOW = {
    Kind.kill: _killed,
    Kind.stop: _stopped,
    Kind.pause: _paused,
    Kind.redis_emptied: _with_other_data,
    Kind.redis_flushed: _flushed,
    Kind.redis_older: _with_other_data,
    Kind.redis_full: _full_memory,
    Kind.redis_read_only: _read_only,
    Kind.replies_lost: _answers_lost,
    Kind.network_cut: _network_cut,
    Kind.disk_full: _full_disk,
    Kind.database_slow: _slow_database,
}


def processes(supervisor: int) -> dict[str, int]:
    """The processes that a supervisor runs now, by the names they were given."""
    found: dict[str, int] = {}
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"--name" in words:
            found[words[words.index(b"--name") + 1].decode()] = int(pid)
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended this very moment
        os.kill(pid, number)


async def _until(is_so: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(BACK_MAX_S):
            while not await asyncio.to_thread(is_so):  # noqa: ASYNC110  # what is waited for is another process
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise SystemFailed(f"waited {BACK_MAX_S:g} s in vain until {what}") from None
