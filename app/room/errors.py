"""Turns every failure of Redis into one exception for users of a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError


class RoomUnavailable(Exception):
    """The line in Redis cannot be reached. The call may have had its effect; repeating it is safe.

    `kind` names the failure and may be shown to anybody; the whole text is for the log.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


@contextmanager
def as_room_unavailable() -> Iterator[None]:
    """Raise RoomUnavailable for any failure of Redis, network error or timeout inside the block."""
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise RoomUnavailable(type(error).__name__, str(error)) from error
