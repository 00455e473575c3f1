"""What a failure of Redis is for whoever uses the lane: one exception, made in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError


class LaneUnavailable(Exception):
    """The lane cannot be reached, or did not answer in time. A command that was sent may be carried out all the same;
    sending it again with the same id is safe and gives the same answer."""


class LaneFull(LaneUnavailable):
    """As many commands wait in this lane as may: nothing was sent."""


@contextmanager
def as_lane_unavailable() -> Iterator[None]:
    """Raise a failure of Redis, of the network or of a time limit inside as LaneUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise LaneUnavailable(f"{type(error).__name__}: {error}") from error
