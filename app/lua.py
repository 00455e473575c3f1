"""Loads our Lua commands: one file, one command, called by hash.

Every room and lane script goes through `load`; redis-py sends EVALSHA and falls back to EVAL once after
a Redis restart. Scripts read the clock themselves; a caller passes a time only in tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

from redis.asyncio import Redis

Args = list[str | bytes | int | float]


class Script(Protocol):
    """One loaded command. `client` runs it on that connection or inside that pipeline."""

    async def __call__(self, keys: list[str], args: Args | list[Any] = ..., client: Any = ...) -> Any: ...


def load(redis: Redis, path: Path) -> Script:
    return cast(Script, redis.register_script(path.read_bytes()))
