"""Many people with an open stream each, read by one epoll: who has been told something, and when."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loadtest.bench.client import Address
from loadtest.bench.report import BenchError

AT_ONCE = 250  # streams being opened
RECEIVE_BYTES = 16_384
READY_MAX = 1_000  # sockets looked at per turn
TOLD = b"event: position"


class Crowd:
    """Open it with `crowd`. Messages of other kinds are read and not counted."""

    def __init__(self, address: Address, poll: select.epoll) -> None:
        self._address = address
        self._poll = poll
        self._sockets: dict[int, socket.socket] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def open(self, requests: Sequence[bytes], wait_s: float) -> None:
        """One stream per request; returns once each has told its first position."""
        for start in range(0, len(requests), AT_ONCE):
            opened = [self._connect(request) for request in requests[start : start + AT_ONCE]]
            silent = self.listen(set(opened), wait_s)[1]
            if silent:
                raise BenchError(f"{silent} streams did not open within {wait_s:g} s")

    def _connect(self, request: bytes) -> int:
        connection = socket.create_connection(self._address)
        connection.setblocking(False)
        connection.send(request)
        fd = connection.fileno()
        self._sockets[fd] = connection
        self._poll.register(fd, select.EPOLLIN)
        return fd

    def listen(self, awaited: set[int] | None, wait_s: float) -> tuple[float, int]:
        """Wait until each of these (all, if None) has been told a position.

        When the last one was (perf_counter), and how many never were.
        """
        left = set(self._sockets) if awaited is None else awaited
        last_s = time.perf_counter()
        gives_up_s = last_s + wait_s
        while left and time.perf_counter() < gives_up_s:
            for fd, _ in self._poll.poll(0.05, READY_MAX):
                data = self._sockets[fd].recv(RECEIVE_BYTES)
                if not data:
                    raise BenchError("the server ended a stream")
                if TOLD in data:
                    left.discard(fd)
            last_s = time.perf_counter()
        return last_s, len(left)

    def close(self) -> None:
        for connection in self._sockets.values():
            connection.close()


@contextmanager
def crowd(address: Address) -> Iterator[Crowd]:
    with select.epoll() as poll:
        people = Crowd(address, poll)
        try:
            yield people
        finally:
            people.close()
