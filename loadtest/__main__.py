"""`make swarm`: send a crowd to a system, record what happens, and print the verdict.

Exit codes: 0 clean, 1 an invariant is broken, 2 it could not be judged, or a variable or the system cannot be used.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from config.settings import PLAIN_NAMES, Settings, SettingsError, load
from loadtest import audit, records
from loadtest.options import Options, OptionsError, own_room, read
from loadtest.plan import plan
from loadtest.recorder import NoStores, Recorder, recording
from loadtest.records import Joined, Run
from loadtest.system import System, SystemFailed, ask, open_at, own_system

RUNS = Path("runs")
LINE_EVERY_S = 5.0  # progress, where there is no terminal to write one line on
AFTER_S = 20.0  # how long the last people get after DURATION to finish what they are doing
COUNTS = ("joined", "waiting", "admitted", "reserved", "paid", "errors")


class CrowdFailed(Exception):
    """The crowd's own process ended with a code that is not 0; what it said is above."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # both stop what was started
    try:
        options = read(os.environ)
        return asyncio.run(swarm(options, os.environ))
    except (OptionsError, SettingsError) as error:
        print(f"swarm: {error}", file=sys.stderr)
    except SystemFailed as error:
        print(f"swarm: the system under test cannot be used: {error}", file=sys.stderr)
    except CrowdFailed as error:
        print(f"swarm: the crowd's process ended with code {error}; what it said is above", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


async def swarm(options: Options, environ: Mapping[str, str]) -> int:
    """One run, from an empty folder to its verdict."""
    started = datetime.now(UTC)
    folder = RUNS / started.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        if options.host:
            system = running_system(options, environ)
        else:
            print("Starting a system of its own…", flush=True)
            room = own_room(options)
            system = await stack.enter_async_context(own_system(environ, room, options.event_id, folder / "system.log"))
            print(
                f"{system.url}: {room.rate_per_s:g} people per second, burst {room.burst}, capacity {room.max_active}"
            )
        run = describe(options, system, started)
        if run.accounts:
            print("Everybody makes an account first…", flush=True)
        records.write_one(folder / records.RUN, run)
        _write_plan(options, folder)
        recorder = await _try_recording(stack, system.settings, options.event_id, folder)
        run = await _send(run, folder, recorder)
        records.write_one(folder / records.RUN, msgspec.structs.replace(run, stores_read=recorder is not None))
    print(flush=True)
    return audit.show(folder)


def running_system(options: Options, environ: Mapping[str, str]) -> System:
    """HOST, and the stores it most likely has: those that the environment names, else those in the data folder."""
    ask("GET", f"{options.host}/api/queue/{options.event_id}/status")
    kept = {name: value for name, value in environ.items() if name not in PLAIN_NAMES or name.endswith("_URL")}
    return System(options.host, load(kept))


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
        presence_window_s=system.settings.presence_window_s,
        presence_flush_s=system.settings.presence_flush_s,
        opening_draw_s=0.0 if options.host else system.settings.opening_draw_s,
    )


def _write_plan(options: Options, folder: Path) -> None:
    writer = records.Writer(folder / records.PLAN)
    for visit in plan(options):
        writer.add(visit)
    writer.close()


async def _try_recording(stack: AsyncExitStack, settings: Settings, event_id: str, folder: Path) -> Recorder | None:
    try:
        return await stack.enter_async_context(recording(settings, event_id, folder))
    except NoStores as error:
        print(f"The stores behind HOST cannot be read here ({error}): only what the crowd saw can be judged.")
        return None


async def _send(run: Run, folder: Path, recorder: Recorder | None) -> Run:
    """Run the crowd beside the recorder. Answers the run with its times."""
    following = asyncio.create_task(recorder.run()) if recorder else None
    try:
        run = await _crowd(run, folder)
        run = msgspec.structs.replace(run, ended_ms=records.now_ms())
        if recorder is not None and run.own:
            await recorder.rest(AFTER_S)
    finally:
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    if recorder is not None:
        crowd = records.read_lines(folder / records.CROWD, records.CrowdLine)
        await recorder.finish(dict.fromkeys(line.holder for line in crowd if isinstance(line, Joined)))
    return run


async def _crowd(run: Run, folder: Path) -> Run:
    """The crowd's process, its counts shown as they come. Ctrl-C ends the crowd, not the verdict."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "loadtest.crowd", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, process.terminate)
    stopping = None
    progress = Progress()
    try:
        async for line in process.stdout:
            counts: dict[str, float] = msgspec.json.decode(line)
            if opening_ms := counts.pop("opening_ms", 0.0):
                run = msgspec.structs.replace(run, opening_ms=opening_ms)
                if run.own:
                    await asyncio.to_thread(open_at, run.host, run.event_id, opening_ms)
                stopping = loop.call_later(run.duration_s + AFTER_S, process.terminate)
            progress.show(counts)
        if await process.wait() != 0:
            raise CrowdFailed(process.returncode)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if stopping is not None:
            stopping.cancel()
        if process.returncode is None:
            process.terminate()
    progress.end()
    return run


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


if __name__ == "__main__":
    sys.exit(main())
