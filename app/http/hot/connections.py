"""What one client may take of a web process's connections, and when a connection that does not move is ended.

One `Connections` per process. Counted by the address of whoever connected, so that a script cannot take them all; the
last descriptors are kept for probes and admins. Unfinished requests and answers that nobody takes are looked at once a
second, all in one task: a request that comes in one piece costs nothing here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from app.limits.addresses import Addresses

LOOK_S = 1.0
SILENT_S = 10.0  # between two bytes of a request
REQUEST_S = 30.0  # for a whole request; its body gets more for what has come already, by BODY_BYTES_PER_S
BODY_BYTES_PER_S = 32_768  # an honest upload over a poor line is faster than this
UNTAKEN_S = 30.0  # in this time a client must take UNTAKEN_BYTES of an answer, or all of it
UNTAKEN_BYTES = 30_720
FILES_KEPT_MAX = 256  # descriptors for the stores and files, and for connections of probes and admins
SILENT_KEPT_MAX = 64  # of those connections so many from which no request has come
KEPT_FOR = ("/healthz", "/readyz", "/status", "/metrics", "/admin", "/api/admin/", "/api/auth/login", "/static/")


class Slow(Protocol):
    """A connection, as far as it is watched for being slow."""

    def end_if_slow(self, now_s: float) -> None:
        """End it if it has not moved for too long; `now_s` is the event loop's time."""

    def end_now(self) -> None:
        """End it without a word."""


@dataclass(slots=True)
class Progress:
    """Of a request that has not come whole. `began_s`, `last_s`: its first and its last bytes, by the event loop."""

    began_s: float
    last_s: float
    received: int = 0

    def add(self, now_s: float, size: int) -> None:
        self.last_s = now_s
        self.received += size

    def is_late(self, now_s: float, *, head: bool) -> bool:
        """Whether it takes longer than an honest client would: `head` while the head has not ended."""
        allowed_s = REQUEST_S if head else REQUEST_S + self.received / BODY_BYTES_PER_S
        return now_s - self.last_s > SILENT_S or now_s - self.began_s > allowed_s


class Connections:
    """`per_address`: at most so many of one address. `files_max`: this process's limit of descriptors.

    `refused` counts, by why, what was refused or ended. `ordinary_max`: so many are served whatever they ask. Of the
    others `silent` has those from which no request has come, oldest first.
    """

    def __init__(self, addresses: Addresses, per_address: int, files_max: int) -> None:
        self.open = 0
        self.refused: Counter[tuple[str, ...]] = Counter()
        self.watched: dict[Slow, None] = {}
        self.silent: dict[Slow, None] = {}
        self._addresses = addresses
        self._per_address = per_address
        self.ordinary_max = files_max - min(FILES_KEPT_MAX, files_max // 4)
        self._of_address: Counter[str] = Counter()

    def enter(self, host: str) -> str | None:
        """Count a connection from this address; what to pass to `leave`, or None if the address has its share."""
        address = "" if self._addresses.is_proxy(host) else self._addresses.counted(host)
        if address:
            if self._of_address[address] >= self._per_address:
                self.refused["address",] += 1
                return None
            self._of_address[address] += 1
        self.open += 1
        return address

    def leave(self, address: str) -> None:
        self.open -= 1
        if address:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    @property
    def is_full(self) -> bool:
        """Whether only those may be served for whom the last descriptors are kept."""
        return self.open > self.ordinary_max

    def keep_for_request(self, connection: Slow) -> None:
        """A connection on the last descriptors waits for its request; the longest silent one goes if there are many."""
        self.silent[connection] = None
        if len(self.silent) > SILENT_KEPT_MAX:
            self.refused["silent",] += 1
            next(iter(self.silent)).end_now()

    async def run(self) -> None:
        """End what does not move, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_S)
            self.look(clock())

    def look(self, now_s: float) -> None:
        for each in list(self.watched):
            each.end_if_slow(now_s)


class Shares:
    """How many of one kind of thing each address has open in this process, streams for example."""

    def __init__(self, addresses: Addresses, per_address: int) -> None:
        self._addresses = addresses
        self._per_address = per_address
        self._open: Counter[str] = Counter()

    def take(self, host: str) -> str | None:
        """Count one more; what to pass to `give`, or None if the address has its share."""
        address = self._addresses.counted(host)
        if address and self._open[address] >= self._per_address:
            return None
        if address:
            self._open[address] += 1
        return address

    def give(self, address: str) -> None:
        if address:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
