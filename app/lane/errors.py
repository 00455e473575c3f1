"""Turns every failure of Redis into one exception for users of the lane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError


class LaneUnavailable(Exception):
    """The lane cannot be reached or did not answer in time. A command that was sent may still be carried out; sending
    it again with the same id is safe and gives the same outcome."""


class LaneFull(LaneUnavailable):
    """The lane has its maximum of waiting commands. Nothing was sent."""


@contextmanager
def as_lane_unavailable() -> Iterator[None]:
    """Raise LaneUnavailable for any failure of Redis, network error or timeout inside the block."""
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise LaneUnavailable(f"{type(error).__name__}: {error}") from error
