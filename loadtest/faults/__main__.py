"""`make faults`: disturb systems of its own while small swarms use them, each by the plan of one seed.

SEED is the first seed, RUNS how many there are. Exit codes: 0 all clean, 1 something is broken, 2 a variable cannot be
used, or a system could not be started or did not come back.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from config.settings import SettingsError
from loadtest.faults.plan import plan
from loadtest.faults.run import VERDICT, run
from loadtest.options import OptionsError
from loadtest.swarm import CrowdFailed
from loadtest.system import SystemFailed

RUNS = Path("runs")
RUNS_MAX = 10_000
CLEAN, BROKEN, FAILED = 0, 1, 2


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # both stop what was started
    try:
        first, count = _number(os.environ, "SEED", 1, 0, 2**31), _number(os.environ, "RUNS", 1, 1, RUNS_MAX)
        return every(range(first, first + count), os.environ)
    except (OptionsError, SettingsError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def every(seeds: range, environ: Mapping[str, str]) -> int:
    """Run these, one after the other, a line each; what is not clean is shown and its folder kept. The worst code."""
    base = RUNS / f"faults-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    codes: dict[int, int] = {}
    for number, seed in enumerate(seeds, 1):
        folder = base / f"seed-{seed}"
        folder.mkdir(parents=True)
        print(f"[{number}/{len(seeds)}] seed {seed}: {'; '.join(map(str, plan(seed)))}", flush=True)
        codes[seed] = one(seed, folder, environ)
        if codes[seed] == CLEAN and len(seeds) > 1:
            shutil.rmtree(folder)
    bad = [str(seed) for seed, code in codes.items() if code != CLEAN]
    print(f"{len(seeds)} runs, {len(bad)} not clean{': seeds ' + ' '.join(bad) if bad else ''}.")
    return max(codes.values())


def one(seed: int, folder: Path, environ: Mapping[str, str]) -> int:
    """One run, with its exit code."""
    began_s = time.monotonic()
    try:
        wrong = asyncio.run(run(seed, folder, environ))
    except (SystemFailed, CrowdFailed, ExceptionGroup) as failed:
        for error in _each(failed):
            print(f"seed {seed} failed: {error}; see {folder}", flush=True)
        return FAILED
    took_s = time.monotonic() - began_s
    print((folder / VERDICT).read_text())
    for line in wrong:
        print(f"  BROKEN {line}", flush=True)
    print(f"seed {seed}: {f'{len(wrong)} violations, see {folder}' if wrong else 'clean'}, {took_s:.0f} s", flush=True)
    return BROKEN if wrong else CLEAN


def _each(failed: Exception) -> Iterator[Exception]:
    """What failed, group by group. Raises what is not the system's failure."""
    if isinstance(failed, ExceptionGroup):
        for one in failed.exceptions:
            yield from _each(one)
    elif isinstance(failed, (SystemFailed, CrowdFailed)):
        yield failed
    else:
        raise failed


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise OptionsError(f"{name}={text!r} is not a number between {low} and {high}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
