"""One fault run: a small swarm against a web process and two workers that are disturbed by a seeded plan.

It ends when all faults are mended and everybody of the crowd has come to an end, with the swarm's verdict, what
`tiketi check` says, and what the system's own log says.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from app.run.check import EVERYTHING_HOLDS, BrokenError, check
from app.run.telling import Tell
from loadtest import audit, records
from loadtest.faults.inflict import Scene, inflict
from loadtest.faults.network import HOST, Network
from loadtest.faults.plan import LASTS_S, Fault, plan
from loadtest.faults.redis import Server
from loadtest.options import Adversary, Options, own_room
from loadtest.plan import Visit
from loadtest.recorder import recording
from loadtest.records import SessionEnded
from loadtest.swarm import describe, send, write_plan
from loadtest.system import own_system

USERS = 40
ARRIVALS_PER_S = 10.0  # at most
QUIET_S = 120.0  # how long everything may take to come to an end after the run's duration
RECOVERS_S = 10.0  # how long after a fault is mended what a web process saw need not have reached Redis
SYSTEM_LOG, VERDICT = "system.log", "verdict.txt"
ENDED_BADLY = re.compile(r"^\S+ (?:ended with exit code [1-9]\d*|could not be started)\b.*", re.MULTILINE)
SHOWN_CHARS = 300


async def run(seed: int, folder: Path, environ: Mapping[str, str]) -> list[str]:
    """What is wrong after this seed's run; empty is good. Everything is in `folder`, the verdict in `VERDICT`.

    Raises SystemFailed, in an ExceptionGroup from a fault, if the system did not come back.
    """
    options = Options(users=USERS, duration_s=LASTS_S, rate_per_s=ARRIVALS_PER_S, seed=seed, adversary=Adversary.none)
    faults = plan(seed)
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiketi-faults-")))
        server = await stack.enter_async_context(Server(scratch).serving())
        network = await stack.enter_async_context(Network(server.socket).serving())
        more = {
            "REDIS_URL": f"redis://{HOST}:{network.port}",
            "WEB": "1",
            "WORKERS": "2",
            "TIKETI_LOG_FORMAT": "json",
        }
        log = folder / SYSTEM_LOG
        system = await stack.enter_async_context(own_system(environ, own_room(options), options.event_id, log, more))
        run = msgspec.structs.replace(describe(options, system, datetime.now(UTC)), in_time=False)
        records.write_one(folder / records.RUN, run)
        write_plan(options, folder)
        direct = replace(system.settings, redis_url=server.url)
        recorder = await stack.enter_async_context(recording(direct, options.event_id, folder))
        scene = Scene(system, server, network, log, recorder.catch_up)
        run = await send(run, folder, recorder, lambda opening_ms: inflict(scene, faults, opening_ms), QUIET_S)
        disturbed = [(began_ms, ended_ms + RECOVERS_S * 1000) for began_ms, ended_ms in scene.disturbed]
        records.write_one(folder / records.RUN, msgspec.structs.replace(run, disturbed=disturbed))
        said: list[str] = []
        with suppress(BrokenError):  # what is broken is told
            await check(direct, Tell(said.append))
    broken = [f"tiketi check: {line}" for line in said if line != EVERYTHING_HOLDS]
    return [*verdict(folder, faults), *broken, *log_violations(log.read_text(errors="replace")), *unfinished(folder)]


def verdict(folder: Path, faults: Sequence[Fault]) -> list[str]:
    """What the swarm's verdict says is broken or cannot be judged. The whole of it is written to `VERDICT`."""
    lines = [str(fault) for fault in faults]
    code = audit.show(folder, lines.append)
    (folder / VERDICT).write_text("\n".join([*lines, ""]))
    return [] if code == audit.CLEAN else [lines[-1]]


def log_violations(text: str) -> list[str]:
    """What a log must not have: a traceback, a line of an error, a process that ended by itself."""
    found = [f"the log has a traceback: {line[:SHOWN_CHARS]}" for line in text.splitlines() if "Traceback (" in line]
    for line in text.splitlines():
        if line.startswith("{") and msgspec.json.decode(line).get("level") in ("error", "critical"):
            found.append(f"the log has an error: {line[:SHOWN_CHARS]}")
    return found + [f"a process ended by itself: {line}" for line in ENDED_BADLY.findall(text)]


def unfinished(folder: Path) -> list[str]:
    """Who of the crowd did not come to an end though everything was mended."""
    crowd = records.read_lines(folder / records.CROWD, records.CrowdLine)
    ended = {line.session for line in crowd if isinstance(line, SessionEnded)}
    visits = records.read_lines(folder / records.PLAN, Visit)
    left = [visit.session for visit in visits if visit.session not in ended]
    return [f"{len(left)} people came to no end: sessions {', '.join(map(str, left))}"] if left else []
