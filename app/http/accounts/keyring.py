"""Keys that were added to the key file since this process began: it checks with them at once, and signs with them from
its next start on. Those that were removed it believes no longer, but for the one that it signs with itself. So
processes that start again one by one after a rotation never sign what the others do not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from config.keys import Keys, KeysError, read_keys, stamp

LOOK_S = 1.0

log = structlog.get_logger()


class Keyring:
    """Tells of the keys in the file at `path` whenever it is another one than when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen = stamp(path)
        self._learners: list[Callable[[Keys], None]] = []

    def on_change(self, learner: Callable[[Keys], None]) -> None:
        self._learners.append(learner)

    async def run(self) -> None:
        """Look every second, until cancelled. A file that is away or damaged changes nothing."""
        while True:
            await asyncio.sleep(LOOK_S)
            seen = await asyncio.to_thread(stamp, self._path)
            if seen == self.seen:
                continue
            self.seen = seen
            try:
                keys = await asyncio.to_thread(read_keys, self._path)
            except KeysError as error:
                log.warning("keys_not_read", error=str(error))
                continue
            for learn in self._learners:
                learn(keys)
            log.info("keys_learned", ticket_keys=len(keys.ticket_keys), signing_keys=len(keys.signing_keys))
