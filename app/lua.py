"""Loads our Lua commands: one file, one command, called by hash. prelude.lua goes before each of them.

redis-py sends EVALSHA and falls back to EVAL once after a Redis restart. Scripts read the clock themselves; a caller
passes a time only in tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

from redis.asyncio import Redis

PRELUDE = Path(__file__).with_name("prelude.lua")

Args = list[str | bytes | int | float]


class Script(Protocol):
    """One loaded command. `client` runs it on that connection or inside that pipeline."""

    async def __call__(self, keys: list[str], args: Args | list[Any] = ..., client: Any = ...) -> Any: ...


def load(redis: Redis, path: Path) -> Script:
    return cast(Script, redis.register_script(PRELUDE.read_bytes() + path.read_bytes()))
