"""ApacheBench and wrk: run as anybody would run them, and read what they print.

Nothing here judges. What cannot be read is an error: a figure that is missing may not look like a good one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RUN_MAX_S = 180.0
PACKAGES = {"ab": "apache2-utils", "wrk": "wrk"}


class ToolError(Exception):
    """A tool is missing, failed, or printed what we do not understand; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run of a tool. `failed` are requests without a whole answer; `refused` those not answered with 2xx."""

    requests: int
    seconds: float
    per_s: float
    mean_ms: float
    p95_ms: float
    failed: int
    refused: int
    statuses: Mapping[int, int] = field(default_factory=dict)  # only where the run was asked to tell


def require_tools() -> None:
    """Raises ToolError naming the packages of what is missing."""
    missing = [PACKAGES[name] for name in PACKAGES if shutil.which(name) is None]
    if missing:
        raise ToolError(f"{' and '.join(missing)} missing here. Install: sudo apt-get install {' '.join(missing)}")


def run_ab(url: str, requests: int, concurrency: int, options: Sequence[str] = (), *, statuses: bool = False) -> Load:
    verbose = ("-v", "3") if statuses else ()
    return read_ab(_run("ab", "-q", "-l", "-n", str(requests), "-c", str(concurrency), *verbose, *options, url))


def run_wrk(url: str, threads: int, connections: int, seconds: int, script: str, *arguments: str) -> Load:
    shape = (f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency")
    return read_wrk(_run("wrk", *shape, "-s", script, url, "--", *arguments))


def _run(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # our own commands
            command, capture_output=True, text=True, errors="replace", timeout=RUN_MAX_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{command[0]} could not be run to its end: {error}") from error
    if done.returncode != 0:
        raise ToolError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def read_ab(said: str) -> Load:
    """The summary of `ab`; with -v 3 also how often each status was answered."""
    statuses = Counter(int(code) for code in re.findall(r"^LOG: header received:\r?\nHTTP/1\.\d (\d{3})", said, re.M))
    refused = re.search(r"^Non-2xx responses:\s+(\d+)", said, re.M)
    requests = int(_number(said, r"^Complete requests:\s+(\d+)"))
    if statuses and sum(statuses.values()) != requests:
        raise ToolError(f"ab told {sum(statuses.values())} statuses of {requests} requests")
    return Load(
        requests=requests,
        seconds=_number(said, r"^Time taken for tests:\s+([\d.]+) seconds"),
        per_s=_number(said, r"^Requests per second:\s+([\d.]+)"),
        mean_ms=_number(said, r"^Time per request:\s+([\d.]+) \[ms\] \(mean\)$"),
        p95_ms=_number(said, r"^\s+95%\s+(\d+)"),
        failed=int(_number(said, r"^Failed requests:\s+(\d+)")),
        refused=int(refused[1]) if refused else 0,
        statuses=statuses,
    )


def read_wrk(said: str) -> Load:
    """The lines that mixed.lua prints at the end; wrk's own summary rounds and takes a conflict for an error."""
    statuses = {int(code): int(count) for code, count in re.findall(r"^scenario status_(\d+) (\d+)$", said, re.M)}
    requests = int(_number(said, r"^scenario requests (\d+)$"))
    seconds = _number(said, r"^scenario us (\d+)$") / 1e6
    return Load(
        requests=requests,
        seconds=seconds,
        per_s=requests / seconds,
        mean_ms=_number(said, r"^scenario mean_us ([\d.]+)$") / 1000,
        p95_ms=_number(said, r"^scenario p95_us ([\d.]+)$") / 1000,
        failed=int(_number(said, r"^scenario failed (\d+)$")),
        refused=sum(count for code, count in statuses.items() if not 200 <= code < 300),
        statuses=statuses,
    )


def _number(said: str, pattern: str) -> float:
    found = re.search(pattern, said, re.M)
    if found is None:
        raise ToolError(f"no {pattern!r} in what the tool printed:\n{said[-1000:]}")
    return float(found[1])
