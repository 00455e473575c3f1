"""Loads our Lua commands: one file, one command, called by hash, after the functions of prelude.lua, and of further
files of functions, that it calls.

Only those: Redis makes every function anew at each call, which a short command would feel.

redis-py sends EVALSHA and falls back to EVAL once after a Redis restart. Scripts read the clock themselves; a caller
passes a time only in tests.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol, cast

from redis.asyncio import Redis

PRELUDE = Path(__file__).with_name("prelude.lua")
FUNCTION = re.compile(r"^local function (\w+)\(", re.MULTILINE)

Args = list[str | bytes | int | float]


class Script(Protocol):
    """One loaded command. `client` runs it on that connection or inside that pipeline."""

    async def __call__(self, keys: list[str], args: Args | list[Any] = ..., client: Any = ...) -> Any: ...


def load(redis: Redis, path: Path, *functions: Path) -> Script:
    """The command in a file; `functions` are files of what it calls besides the prelude."""
    return cast(Script, redis.register_script(with_functions(path.read_text(), PRELUDE, *functions).encode()))


def with_functions(command: str, *files: Path) -> str:
    """The command after the functions of these files that it calls, and those that these call."""
    source = command
    for part in reversed([part for path in files for part in path.read_text().split("\n\n")]):
        defined = FUNCTION.search(part)
        if defined and re.search(rf"\b{defined[1]}\(", source):
            source = f"{part}\n{source}"
    return source
