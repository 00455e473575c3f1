"""A closed-loop HTTP client that outruns the server it measures: one epoll, keep-alive, requests made beforehand.

Each connection asks again as soon as its answer is complete, as wrk does. Only the status and the length of an answer
are looked at, so a request costs this client a third of what it costs the fastest server here.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.bench.report import BenchError

RECEIVE_BYTES = 65_536
SILENCE_S = 5.0  # a server that says nothing for so long is broken
_length = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of load came to. `refused` answers had a status other than 2xx."""

    answers: int
    refused: int
    seconds: float

    @property
    def per_s(self) -> float:
        return self.answers / self.seconds


class _Connection:
    __slots__ = ("at", "partial", "recv", "requests", "send", "socket")

    def __init__(self, address: Address, requests: Sequence[bytes]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.recv = self.socket.recv
        self.send = self.socket.send
        self.requests = requests
        self.at = 0
        self.partial = b""


def load(address: Address, requests: Sequence[Sequence[bytes]], seconds: float) -> Load:
    """Ask for so long, over one connection per list of requests, each asking its own in turn."""
    connections = [_Connection(address, each) for each in requests]
    by_fd = {connection.socket.fileno(): connection for connection in connections}
    with select.epoll(len(connections)) as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        try:
            return _rounds(poll, by_fd, seconds)
        finally:
            for connection in connections:
                connection.socket.close()


def paced(address: Address, requests: Sequence[Sequence[bytes]], per_s: float, seconds: float) -> list[float]:
    """Ask so often for so long, whether or not answers come; each took how many ms from when it was due. Raises
    BenchError if one is refused."""
    connections = [_Connection(address, each) for each in requests]
    by_fd = {connection.socket.fileno(): connection for connection in connections}
    idle, due, took_ms = connections, dict[int, float](), list[float]()
    began_s, asked, wanted = time.perf_counter(), 0, int(per_s * seconds)
    with select.epoll(len(connections)) as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        try:
            while len(took_ms) < wanted:
                now_s = time.perf_counter()
                while idle and asked < wanted and began_s + asked / per_s <= now_s:
                    connection = idle.pop()
                    due[connection.socket.fileno()] = began_s + asked / per_s
                    asked += 1
                    _ask(connection)
                next_s = began_s + asked / per_s - now_s if idle and asked < wanted else SILENCE_S
                ready = poll.poll(max(0.0, next_s))
                if not ready and now_s - began_s > seconds + SILENCE_S:
                    raise BenchError(f"the server has said nothing for {SILENCE_S:g} s")
                for fd, _ in ready:
                    data = _answer(by_fd[fd])
                    if data:
                        took_ms.append((time.perf_counter() - due.pop(fd)) * 1000)
                        idle.append(by_fd[fd])
                        if data[9:10] != b"2":
                            raise BenchError(f"refused: {data[:200]!r}")
        finally:
            for connection in by_fd.values():
                connection.socket.close()
    return took_ms


def _answer(connection: _Connection) -> bytes:
    """What came, once it is whole."""
    data = connection.recv(RECEIVE_BYTES)
    if not data:
        raise BenchError("the server closed a connection")
    if connection.partial:
        data = connection.partial + data
    head = data.find(b"\r\n\r\n") + 4
    length = _length.search(data, 0, head) if head > 3 else None
    if length is None or len(data) < head + int(length[1]):
        connection.partial = data
        return b""
    connection.partial = b""
    return data


def _rounds(poll: select.epoll, by_fd: dict[int, _Connection], seconds: float) -> Load:
    answers = refused = 0
    for connection in by_fd.values():
        _ask(connection)
    began_s = now_s = time.perf_counter()
    ends_s = began_s + seconds
    while now_s < ends_s:
        ready = poll.poll(SILENCE_S)
        if not ready:
            raise BenchError(f"the server has said nothing for {SILENCE_S:g} s")
        for fd, _ in ready:
            connection = by_fd[fd]
            data = _answer(connection)
            if not data:
                continue
            answers += 1
            if data[9:10] != b"2":
                refused += 1
            _ask(connection)
        now_s = time.perf_counter()
    return Load(answers, refused, now_s - began_s)


def _ask(connection: _Connection) -> None:
    requests, at = connection.requests, connection.at
    connection.send(requests[at])
    connection.at = at + 1 if at + 1 < len(requests) else 0
