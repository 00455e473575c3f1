"""Runs child processes and keeps them running: the supervisor's hands.

A child lives in its own session, so Ctrl-C in the terminal reaches only the supervisor, and dies with the
supervisor however that ends. One that ends by itself is started again, at growing intervals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run. `command[0]` is an absolute path; `fds` stay open in it; `log` takes its output, if given."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] | None = None
    fds: tuple[int, ...] = ()
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How long before a restart, which length of life ends a series of quick deaths, how long a stop may take."""

    first_s: float = 0.1
    longest_s: float = 5.0
    steady_s: float = 10.0
    stop_grace_s: float = 10.0


async def spawn(spec: Spec) -> Process:
    """Start the process. Raises OSError if the system refuses one more."""
    output = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if spec.log else None
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid()), *spec.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=spec.environ,
            pass_fds=spec.fds,
            start_new_session=True,
        )
    finally:
        if output is not None:
            os.close(output)


class Child:
    """One process that is kept running from `start` to `stop`. `endings` counts the times it ended by itself."""

    def __init__(self, spec: Spec, say: Say, restart_policy: RestartPolicy) -> None:
        self.spec = spec
        self.endings = 0
        self._say = say
        self._restart_policy = restart_policy
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """Ask it to end, wait for the grace period, then end it."""
        await self._let_go()
        process = self._process
        if process is None or process.returncode is not None:
            return
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._restart_policy.stop_grace_s)
        except TimeoutError:
            self._say(f"{self.name} did not stop within {self._restart_policy.stop_grace_s:g} s and was killed.")
            _signal(process, signal.SIGKILL)
            await process.wait()

    def kill(self) -> None:
        if self._keeper:
            self._keeper.cancel()
        if self._process and self._process.returncode is None:
            _signal(self._process, signal.SIGKILL)

    async def _let_go(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        wait_s = self._restart_policy.first_s
        while True:
            began_s = clock()
            how = await self._live()
            self.endings += 1
            if clock() - began_s >= self._restart_policy.steady_s:
                wait_s = self._restart_policy.first_s
            self._say(f"{self.name} {how}. Starting it again in {wait_s:g} s.")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._restart_policy.longest_s)

    async def _live(self) -> str:
        try:
            self._process = await spawn(self.spec)
        except OSError as error:
            return f"could not be started: {error.strerror}"
        if self.endings:
            self._say(f"{self.name} is back (pid {self._process.pid}).")
        return how_it_ended(await self._process.wait())


def how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _signal(process: Process, number: signal.Signals) -> None:
    """Signal the child and what it started: it leads its own process group."""
    with suppress(ProcessLookupError):  # it ended this very moment
        os.killpg(process.pid, number)
