"""`make swarm`: send a crowd to a system, record what happens, and print the verdict.

Exit codes: 0 clean, 1 an invariant is broken, 2 it could not be judged, or a variable or the system cannot be used.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from config.settings import Settings, SettingsError
from loadtest import audit, records
from loadtest.options import Options, OptionsError, own_room, read
from loadtest.recorder import NoStores, Recorder, recording
from loadtest.shop_swarm import flood
from loadtest.swarm import CrowdFailed, describe, published_draw, send, write_plan
from loadtest.system import System, SystemFailed, ask, own_system, settings_of

RUNS = Path("runs")
STORES = (
    "For the whole verdict set REDIS_URL and DATABASE_URL, or TIKETI_DATA_DIR on the same machine, to what that system "
    "has; and TIKETI_PRESENCE_WINDOW_S and TIKETI_PRESENCE_FLUSH_S if it sets them."
)


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
    if options.origin:
        return await flood(options, environ, folder)
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
        write_plan(options, folder)
        recorder = await _try_recording(stack, system.settings, options.event_id, folder)
        run = await send(run, folder, recorder)
        run = msgspec.structs.replace(run, draw=await asyncio.to_thread(published_draw, run))
        records.write_one(folder / records.RUN, msgspec.structs.replace(run, stores_read=recorder is not None))
    print(flush=True)
    return audit.show(folder)


def running_system(options: Options, environ: Mapping[str, str]) -> System:
    """HOST, and the stores it most likely has: those that the environment names, else those in the data folder."""
    ask("GET", f"{options.host}/api/queue/{options.event_id}/status")
    return System(options.host, settings_of(environ))


async def _try_recording(stack: AsyncExitStack, settings: Settings, event_id: str, folder: Path) -> Recorder | None:
    try:
        return await stack.enter_async_context(recording(settings, event_id, folder))
    except NoStores as error:
        print(f"The stores behind HOST cannot be read here ({error}): only what the crowd saw can be judged. {STORES}")
        return None


if __name__ == "__main__":
    sys.exit(main())
