"""The clock of a web process: everything in app/http that needs the time reads it here, so that a test can set it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class Clock:
    """`seconds` since 1970, with fractions. A call of it costs no more than a call of `time.time`."""

    seconds: Callable[[], float] = time.time

    def now(self) -> datetime:
        """This moment, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)
