"""A reader of Server-Sent Events over one connection: what an EventSource does, for a browser without one.

Uses the standard library's HTTP client, which is cooperative once gevent has patched the sockets.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

SILENCE_MAX_S = 25.0  # the server's heartbeat comes sooner, so a longer silence is a dead connection
LINE_BYTES_MAX = 64 * 1024


class StreamRefused(Exception):
    """The server answered, but not with a stream; `status` says how."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status} instead of a stream")
        self.status = status


class Message(NamedTuple):
    """One dispatched event. `id` is "" until the server sent one."""

    event: str
    data: str
    id: str


@contextmanager
def stream(base_url: str, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[Message]]:
    """The messages of one stream until the server ends it. Raises StreamRefused, OSError, HTTPException."""
    parts = urlsplit(base_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname or "", parts.port, timeout=SILENCE_MAX_S)) as connection:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        response = connection.getresponse()
        if response.status != 200:
            raise StreamRefused(response.status)
        with closing(response):
            yield messages(iter(lambda: response.readline(LINE_BYTES_MAX), b""))


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Parse an event stream as the HTML standard says; a message cut off by the end is dropped."""
    event, last_id = "", ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if data:
                yield Message(event or "message", "\n".join(data), last_id)
            event, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value
