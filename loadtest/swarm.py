"""Sends a crowd to a system and records what happens: what `make swarm` and `make faults` have in common."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from loadtest import records
from loadtest.options import Adversary, Options
from loadtest.plan import plan
from loadtest.recorder import Recorder
from loadtest.records import Draw, Joined, Run
from loadtest.system import System, ask, open_at

LINE_EVERY_S = 5.0  # progress, where there is no terminal to write one line on
AFTER_S = 20.0  # how long the last people get after DURATION to finish what they are doing
Beside = Callable[[float], Coroutine[Any, Any, None]]  # told when the sale opens, in Unix ms
COUNTS = ("joined", "waiting", "admitted", "reserved", "paid", "errors")


class CrowdFailed(Exception):
    """The crowd's own process ended with a code that is not 0; what it said is above."""


def published_draw(run: Run) -> Draw | None:
    """The draw of the opening, as anybody may read it; None if there was none. Raises SystemFailed."""
    shown = ask("GET", f"{run.host}/api/queue/{run.event_id}/draw")
    if shown["seed"] is None:
        return None
    randomness = (shown["beacon"] or {}).get("randomness") or ""
    return msgspec.convert({**shown, "randomness": randomness}, Draw)


def describe(options: Options, system: System, started: datetime) -> Run:
    return Run(
        started=started.isoformat(timespec="seconds"),
        host=system.url,
        event_id=options.event_id,
        users=options.users,
        seed=options.seed,
        duration_s=options.duration_s,
        rate_per_s=options.rate_per_s,
        own=not options.host,
        accounts=options.accounts,
        adversary=options.adversary,
        presence_window_s=system.settings.presence_window_s,
        presence_flush_s=system.settings.presence_flush_s,
        opening_draw_s=system.settings.opening_draw_s if options.lobby else 0.0,
    )


def write_plan(options: Options, folder: Path) -> None:
    """Draw who comes, for the crowd to read."""
    writer = records.Writer(folder / records.PLAN)
    for visit in plan(options):
        writer.add(visit)
    writer.close()


async def send(
    run: Run, folder: Path, recorder: Recorder | None, beside: Beside | None = None, after_s: float = AFTER_S
) -> Run:
    """Run the crowd beside the recorder, and `beside` from the opening on. Answers the run with its times.

    The last people get `after_s` seconds after the run's duration. Raises CrowdFailed, and what `beside` raises.
    """
    following = asyncio.create_task(recorder.run()) if recorder else None
    try:
        run = await _crowd(run, folder, beside, after_s)
        run = msgspec.structs.replace(run, ended_ms=records.now_ms())
        if recorder is not None and run.own:
            await recorder.rest(after_s)
    finally:
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    if recorder is not None:
        crowd = records.read_lines(folder / records.CROWD, records.CrowdLine)
        await recorder.finish(dict.fromkeys(line.holder for line in crowd if isinstance(line, Joined)))
    return run


async def _crowd(run: Run, folder: Path, beside: Beside | None, after_s: float) -> Run:
    """The crowd's process, its counts shown as they come. Ctrl-C ends the crowd, not the verdict."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "loadtest.crowd", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, process.terminate)
    progress = Progress()
    async with AsyncExitStack() as stack:
        stack.callback(loop.remove_signal_handler, signal.SIGINT)
        stack.callback(_terminate, process)
        async for line in process.stdout:
            counts: dict[str, float] = msgspec.json.decode(line)
            if opening_ms := counts.pop("opening_ms", 0.0):
                run = msgspec.structs.replace(run, opening_ms=opening_ms)
                await _open(run, folder, beside, stack)
                stack.callback(loop.call_later(run.duration_s + after_s, process.terminate).cancel)
            progress.show(counts)
        if await process.wait() != 0:
            raise CrowdFailed(process.returncode)
    progress.end()
    return run


async def _open(run: Run, folder: Path, beside: Beside | None, stack: AsyncExitStack) -> None:
    """The sale opens, and what goes on beside the crowd begins; the stack waits for its end."""
    if run.own:
        await asyncio.to_thread(open_at, run.host, run.event_id, run.opening_ms)
    if run.adversary is Adversary.flooder:
        stack.push_async_callback(_end, await _flood(folder, run.opening_ms))
    if beside is not None:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(beside(run.opening_ms))


def _terminate(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()


async def _flood(folder: Path, opening_ms: float) -> asyncio.subprocess.Process:
    """The flooder's process, which begins at the opening."""
    command = (sys.executable, "-P", "-m", "loadtest.flooder", str(folder), str(opening_ms))
    return await asyncio.create_subprocess_exec(*command, start_new_session=True)


async def _end(flooder: asyncio.subprocess.Process) -> None:
    """It ends by itself; who broke off the run does not wait for it."""
    try:
        async with asyncio.timeout(AFTER_S):
            await flooder.wait()
    except TimeoutError:
        flooder.terminate()
        await flooder.wait()


class Progress:
    """One line, rewritten every second on a terminal; a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._shown_s = float("-inf")
        self._tty = sys.stdout.isatty()
        self._last = ""

    def show(self, counts: Mapping[str, float]) -> None:
        now_s = time.monotonic()
        told = "  ".join(f"{name} {int(counts.get(name, 0)):>5}" for name in COUNTS)
        self._last = f"{now_s - self._began_s:5.0f} s  {told}"
        if self._tty:
            print(f"\r{self._last}", end="", flush=True)
        elif now_s - self._shown_s >= LINE_EVERY_S:
            self._shown_s = now_s
            print(self._last, flush=True)

    def end(self) -> None:
        print(f"\r{self._last}" if self._tty else self._last, flush=True)
