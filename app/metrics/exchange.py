"""The metrics of all processes of one machine, answered by any of them.

Each process writes its readings into a shared folder once a second. The process that is scraped adds the files of the
others to its own readings, so one port shows all processes. The readings of a process that has ended disappear within
seconds. Without a folder (one process per container) a process shows only its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from app.metrics.readings import Reading, text

WRITE_EVERY_S = 1.0
FRESH_S = 10.0  # a file not written for this long is of a process that ended
SHARED_WAIT_S = 3.0
PROCESSES_MAX = 200
SUFFIX = ".metrics"

Source = Callable[[], Iterable[Reading]]
SharedReadings = Callable[[], Awaitable[list[Reading]]]  # asked for at each scrape

log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Reading]).decode


class MetricsExchange:
    """`sources` give this process's readings, `shared` those of the stores."""

    def __init__(
        self,
        process: str,
        folder: Path | None,
        sources: list[Source],
        now: Callable[[], datetime],
        shared: SharedReadings | None = None,
    ) -> None:
        self.process = process
        self._folder = folder
        self._sources = sources
        self._now = now
        self._shared = shared

    def own(self) -> list[Reading]:
        """The readings of this process."""
        return [reading for source in self._sources for reading in source()]

    async def run(self) -> None:
        """Write this process's readings once a second until cancelled, then remove them."""
        if self._folder is None:
            await asyncio.Event().wait()
        folder = self._folder or Path()
        path = folder / f"{self.process}{SUFFIX}"
        try:
            while True:
                try:
                    await asyncio.to_thread(_write, path, _encode(self.own()))
                except OSError as error:  # a full disk: numbers are the last thing to stop for
                    log.warning("metrics_not_written", error=str(error))
                await asyncio.sleep(WRITE_EVERY_S)
        finally:
            path.unlink(missing_ok=True)

    async def text(self) -> bytes:
        """The readings of all processes and of the stores in Prometheus's text format.

        Readings of stores that take longer than `SHARED_WAIT_S` are left out.
        """
        shared: list[Reading] = []
        if self._shared is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(SHARED_WAIT_S):
                    shared = await self._shared()
        own = self.own()
        return await asyncio.to_thread(self.text_with, own, shared)

    def text_with(self, own: list[Reading], shared: list[Reading]) -> bytes:
        """The given readings and those of the other processes in Prometheus's text format. Blocks on files."""
        by_process: dict[str, Iterable[Reading]] = self._of_other_processes()
        by_process[self.process] = own
        by_process[""] = shared
        return text(by_process)

    def _of_other_processes(self) -> dict[str, Iterable[Reading]]:
        found: dict[str, Iterable[Reading]] = {}
        if self._folder is None:
            return found
        for path in sorted(self._folder.glob(f"*{SUFFIX}"))[:PROCESSES_MAX]:
            try:
                if self._now().timestamp() - path.stat().st_mtime <= FRESH_S:
                    found[path.name.removesuffix(SUFFIX)] = _decode(path.read_bytes())
            except (OSError, msgspec.MsgspecError) as error:  # it ended this moment, or is of another version
                log.debug("metrics_not_read", path=path.name, error=str(error))
        return found


def _write(path: Path, packed: bytes) -> None:
    """Replaces the file in one step, so that no reader sees half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(packed)
    os.replace(draft, path)
