"""A shop under Node with the published connector, unchanged: installed once, with pinned versions and hashes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.waiting import WAIT_MAX_S

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".pytest_cache" / "connector_shop"
PINNED = ("package.json", "package-lock.json")
INSTALL_MAX_S = 120


@cache
def why_no_shop() -> str:
    """Why it cannot be run here, or nothing."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "there is no node or no npm on PATH"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return "" if _is_installed() else _install()


def _is_installed() -> bool:
    return (CACHE / "done").exists() and all(
        (CACHE / name).exists() and (CACHE / name).read_bytes() == (HERE / name).read_bytes() for name in PINNED
    )


def _install() -> str:
    """npm refuses what has another hash than the lock file says; no script of a package is run."""
    (CACHE / "done").unlink(missing_ok=True)
    for name in PINNED:
        shutil.copy(HERE / name, CACHE / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=INSTALL_MAX_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"npm cannot install the published connector here: {(error.stderr or b'').decode()[-300:]}"
    (CACHE / "done").touch()
    return ""


@asynccontextmanager
async def shop(**settings: Any) -> AsyncIterator[str]:
    """The URL of a shop with these settings, which shop.js names."""
    node = shutil.which("node") or "node"
    process = await asyncio.create_subprocess_exec(
        *(node, str(HERE / "shop.js"), json.dumps(settings)), cwd=CACHE, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(WAIT_MAX_S):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        await process.wait()
