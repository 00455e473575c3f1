"""How fast people get their place: the real join against the bare framework and against one script call per join."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.processes import ask, compared, product, redis, scratch
from loadtest.bench.report import BenchError, Row, Say
from loadtest.bench.rounds import Contender, compare, spread

EVENT = "bench"
PATH = f"/api/queue/{EVENT}/join"


def measure(say: Say) -> list[Row]:
    with ExitStack() as stack:
        settings = stack.enter_context(scratch())
        stack.enter_context(redis(settings))
        asyncio.run(_make(settings))
        real = stack.enter_context(product(settings))
        status, body = ask(real.address, "POST", PATH, {})
        if status != 201:
            raise BenchError(f"nobody can join: {status} {body.decode(errors='replace')}")
        answer = body.decode()
        bare = stack.enter_context(compared(settings, "bare", "--answer", answer))
        each = stack.enter_context(compared(settings, "evalsha", "--answer", answer))
        speeds = compare(
            {
                # without a cookie everyone is new, and is given both of them
                "join": Contender(real, spread([room.request("POST", PATH)])),
                "bare route": Contender(bare, spread([room.request("POST", "/bare")])),
                "EVALSHA": Contender(each, spread([room.request("POST", "/evalsha")])),
            },
            say,
        )
    join = speeds["join"].per_s
    return [
        speeds["join"].row("join"),
        speeds["bare route"].row("  bare Starlette route, same answer"),
        speeds["EVALSHA"].row("  one EVALSHA per join"),
        Row(what="  join against bare route", value=join / speeds["bare route"].per_s, unit="×", at_least=0.8),
        Row(what="  join against EVALSHA", value=join / speeds["EVALSHA"].per_s, unit="×", at_least=2.5),
    ]


async def _make(settings: Settings) -> None:
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, EVENT)
        await room.make(scripts, "each")
