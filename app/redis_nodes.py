"""Which Redis server has what, for whoever sends it commands."""

from __future__ import annotations

from redis.exceptions import ReadOnlyError, ResponseError


def leads_elsewhere(error: ResponseError) -> bool:
    """Whether the server says that this is not for it: it is a replica. Scripts say so in their own way before Redis 7.
    A connection that hears it should not be used again."""
    return isinstance(error, ReadOnlyError) or "-READONLY " in str(error)
