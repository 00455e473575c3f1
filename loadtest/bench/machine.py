"""The machine under the bench: which core runs what, and what a process used of it. Linux only."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
SPARE_FILES = 500  # files a process opens beside its streams

ALL_CORES = os.sched_getaffinity(0)
SERVER_CORE = {min(ALL_CORES)}
CLIENT_CORE = {max(ALL_CORES)}  # the client's and Redis's; the server's own if there is no other


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Run this thread, and the processes and threads it starts meanwhile, on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Processor time used so far by a process, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def others_s() -> float:
    """Processor time the machine has spent on programs that are neither this one nor, by now, ended children of it."""
    user, nice, system, _idle, _wait, irq, soft_irq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft_irq) * TICK_S - sum(os.times()[:4])


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def child_named(parent: int, name: str) -> int | None:
    """The process started by `parent` with `name` on its command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                started_by = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it ended while we looked
            if started_by == parent and name.encode() in command.split(b"\0"):
                return int(folder.name)
    return None


def open_files_max() -> int:
    """Raise this process's limit as far as it may go; how many connections that leaves for one process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_FILES
