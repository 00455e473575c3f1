"""A system of the swarm's own: started on a free port with a data folder that is forgotten afterwards.

It is the same `tiketi up` that everybody runs; only its lifetimes are shorter, so that each is met within the run. Its
room is set up through the operator's API, as an operator would.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.demo import ACCOUNTS
from config.settings import PLAIN_NAMES, Settings, load
from loadtest.options import USERS_MAX, OwnRoom

START_S = 90.0
STOP_S = 30.0
CALL_S = 10.0
LINE_BYTES_MAX = 1 << 20  # of its log
AHEAD_MS = 100.0  # the sale opens so long before the first of the crowd comes, whose clocks are not exact
LOBBY_MINUTES = {"draw": 1, "first": 0}
PASSED_ON = ("WEB", "WORKERS")  # of the settings, the only ones a swarm's own system takes from outside
BANNER = re.compile(r"Admin\s+(http\S+)/admin")


class SystemFailed(Exception):
    """The system did not start or refused its set-up; the text says how."""


@dataclass(frozen=True, slots=True)
class System:
    """Where it answers, and the settings with which its stores can be opened. `pid`: of our own system's supervisor."""

    url: str
    settings: Settings
    pid: int = 0


@asynccontextmanager
async def own_system(
    environ: Mapping[str, str], room: OwnRoom, event_id: str, log: Path, more: Mapping[str, str] | None = None
) -> AsyncIterator[System]:
    """Start, set up, and stop when the block ends. `more`: variables of this system alone. Raises SystemFailed."""
    with tempfile.TemporaryDirectory(prefix="tiketi-swarm-") as folder:
        env = own_environ(environ, room, Path(folder)) | dict(more or {})
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "app.cli", "up"),
                env=env,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,  # by way of us, so that a disk that is full for it is not for its log
                limit=LINE_BYTES_MAX,
                start_new_session=True,  # Ctrl-C is ours: the verdict still wants the stores
            )
            try:
                url = await _wait_for_banner(process, output, log)
                draining = asyncio.create_task(_drain(process, output))
                await asyncio.to_thread(set_up, url, event_id, room)
                yield System(url, load(env), process.pid)
                draining.cancel()
            finally:
                await _stop(process)


def own_environ(environ: Mapping[str, str], room: OwnRoom, folder: Path) -> dict[str, str]:
    """The environment of our own system: nothing of ours, or of another Tiketi, gets into it but WEB and WORKERS."""
    ours = {*_variables(environ), "HOST", "PORT", "USERS", "RATE", "DURATION", "EVENT", "SEED", "ACCOUNTS", "ADVERSARY"}
    ours |= {"LOBBY", "ORIGIN"}
    kept = {name: value for name, value in environ.items() if name not in ours or name in PASSED_ON}
    return kept | {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "TIKETI_DATA_DIR": str(folder),
        "TIKETI_PRESENCE_WINDOW_S": str(room.presence_window_s),
        "TIKETI_PRESENCE_FLUSH_S": str(room.presence_flush_s),
        "TIKETI_CLAIM_WINDOW_S": str(room.claim_window_s),
        "TIKETI_PASS_S": str(room.pass_s),
        "TIKETI_HOLD_S": str(room.hold_s),
        "TIKETI_DEMO_SHOP": "0",
        "TIKETI_TRUSTED_PROXIES": "127.0.0.1",  # everybody of the crowd says where they are
        "TIKETI_REGISTRATIONS_PER_ADDRESS_MAX": str(USERS_MAX * 2),  # everybody has our address
        "PYTHONUNBUFFERED": "1",
    }


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Of a running system, as the environment tells; HOST and PORT there are the swarm's own."""
    return load({name: value for name, value in environ.items() if name not in PLAIN_NAMES or name.endswith("_URL")})


def _variables(environ: Mapping[str, str]) -> list[str]:
    return [name for name in environ if name.startswith("TIKETI_") or name in ("REDIS_URL", "DATABASE_URL")]


async def _wait_for_banner(process: asyncio.subprocess.Process, output: Any, log: Path) -> str:
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(START_S):
            while line := await process.stdout.readline():
                said.append(line.decode())
                output.write(line)
                if found := BANNER.search(said[-1]):
                    return found[1]
    except TimeoutError:
        raise SystemFailed(f"it was not ready within {START_S:g} s; its log is {log}") from None
    raise SystemFailed(f"it ended before it was ready:\n{''.join(said)}its log is {log}")


async def _drain(process: asyncio.subprocess.Process, output: Any) -> None:
    """Keep reading, or the supervisor would stand still once the pipe is full."""
    assert process.stdout is not None
    async for line in process.stdout:
        output.write(line)
        output.flush()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def set_up(url: str, event_id: str, room: OwnRoom) -> None:
    """Give the room its rate, burst and capacity, and say who may join. Raises SystemFailed."""
    limits = {"ratePerSecond": room.rate_per_s, "burst": room.burst, "maxActive": room.max_active}
    wanted = {**limits, "door": room.door, "opening": room.opening, "lobbyMinutes": LOBBY_MINUTES[room.opening]}
    ask("PATCH", f"{url}/api/admin/events/{event_id}/admission", wanted, admin_token(url))


def open_at(url: str, event_id: str, opening_ms: float) -> None:
    """Let the sale open just before the crowd comes, as a real one would. Raises SystemFailed."""
    opens = datetime.fromtimestamp((opening_ms - AHEAD_MS) / 1000, UTC)
    ask("PUT", f"{url}/api/admin/events/{event_id}", {"saleOpensAt": opens.isoformat()}, admin_token(url))


def admin_token(url: str) -> str:
    admin = next(account for account in ACCOUNTS if account.role == "admin")
    token: str = ask("POST", f"{url}/api/auth/login", {"email": admin.email, "password": admin.password})["token"]
    return token


def ask(method: str, url: str, body: object = None, token: str = "") -> dict[str, Any]:
    """One request with a JSON answer. Raises SystemFailed."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  # HOST was checked to be http(s)
    try:
        with urllib.request.urlopen(request, timeout=CALL_S) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except (OSError, ValueError) as error:
        raise SystemFailed(f"{method} {url} failed: {error}") from error
