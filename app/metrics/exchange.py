"""One process's metrics, and those of its neighbours: what `/metrics` tells.

Each process of one machine writes its readings into a folder once a second; whichever of them is asked adds the files
of the others to its own numbers, so the shared port tells of all. A process that ended stops being told of within
seconds. Without a folder (one process per container) a process tells its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from app.metrics.readings import Reading, text

TELL_EVERY_S = 1.0
FRESH_S = 10.0  # a file not written for this long is of a process that ended
FACTS_WAIT_S = 3.0
NEIGHBOURS_MAX = 200
SUFFIX = ".metrics"

Source = Callable[[], Iterable[Reading]]
Facts = Callable[[], Awaitable[list[Reading]]]  # what all processes share, asked for when somebody reads

log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Reading]).decode


class Board:
    def __init__(self, process: str, folder: Path | None, sources: list[Source], facts: Facts | None = None) -> None:
        self.process = process
        self._folder = folder
        self._sources = sources
        self._facts = facts

    def own(self) -> list[Reading]:
        return [reading for source in self._sources for reading in source()]

    async def run(self) -> None:
        """Tell the neighbours once a second, until cancelled; then they are told that this process is gone."""
        if self._folder is None:
            await asyncio.Event().wait()
        folder = self._folder or Path()
        path = folder / f"{self.process}{SUFFIX}"
        try:
            while True:
                try:
                    await asyncio.to_thread(_write, path, _encode(self.own()))
                except OSError as error:  # a full disk: numbers are the last thing to stop for
                    log.warning("metrics_not_told", error=str(error))
                await asyncio.sleep(TELL_EVERY_S)
        finally:
            path.unlink(missing_ok=True)

    async def text(self) -> bytes:
        """All there is to tell, as Prometheus reads it. Slow stores are not waited for."""
        shared: list[Reading] = []
        if self._facts is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FACTS_WAIT_S):
                    shared = await self._facts()
        own = self.own()
        return await asyncio.to_thread(self.text_with, own, shared)

    def text_with(self, own: list[Reading], shared: list[Reading]) -> bytes:
        told: dict[str, Iterable[Reading]] = self._neighbours()
        told[self.process] = own
        told[""] = shared
        return text(told)

    def _neighbours(self) -> dict[str, Iterable[Reading]]:
        found: dict[str, Iterable[Reading]] = {}
        if self._folder is None:
            return found
        for path in sorted(self._folder.glob(f"*{SUFFIX}"))[:NEIGHBOURS_MAX]:
            try:
                if time.time() - path.stat().st_mtime <= FRESH_S:
                    found[path.name.removesuffix(SUFFIX)] = _decode(path.read_bytes())
            except (OSError, msgspec.MsgspecError) as error:  # it ended this moment, or is of another version
                log.debug("metrics_not_read", path=path.name, error=str(error))
        return found


def _write(path: Path, packed: bytes) -> None:
    """In one step, so that nobody reads half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(packed)
    os.replace(draft, path)
