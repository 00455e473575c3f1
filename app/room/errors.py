"""What a failure of Redis is for whoever works with a line: one exception, made in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError


class RoomUnavailable(Exception):
    """The line in Redis cannot be reached. What was asked for may have been done all the same; asking again is safe.

    `kind` names the failure for somebody outside; the text is for the log.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


@contextmanager
def as_room_unavailable() -> Iterator[None]:
    """Raise a failure of Redis, of the network or of a time limit inside as RoomUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise RoomUnavailable(type(error).__name__, str(error)) from error
