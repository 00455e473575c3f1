"""How fast a place in line is answered: the real poll against the bare framework and against asking Redis."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.processes import ask, compared, product, redis, scratch
from loadtest.bench.report import BenchError, Row, Say
from loadtest.bench.rounds import Contender, compare, spread

PEOPLE = 10_000
LEFT_EVERY = 20  # every so manieth has left
STEPS = 5  # of the cursor, so that the pace of the line is known
STEP_S = 0.6
EVENT = "bench"
PATH = f"/api/queue/{EVENT}/position"


def measure(say: Say) -> list[Row]:
    with ExitStack() as stack:
        settings = stack.enter_context(scratch())
        stack.enter_context(redis(settings))
        say(f"{PEOPLE:,} people join, some leave")
        holders = asyncio.run(_gather(settings))
        cookies = room.cookies(settings, EVENT, holders)
        real = stack.enter_context(product(settings))
        asyncio.run(_move(settings))
        answer = _answer(real.address, cookies[-1])
        bare = stack.enter_context(compared(settings, "bare", "--answer", answer))
        zrank = stack.enter_context(compared(settings, "zrank", "--answer", answer))
        speeds = compare(
            {
                "poll": Contender(real, spread([room.request("GET", PATH, cookie) for cookie in cookies])),
                "bare route": Contender(bare, spread([room.request("GET", "/bare", cookie) for cookie in cookies])),
                "ZRANK": Contender(
                    zrank,
                    spread(
                        [
                            room.request("GET", f"/zrank/{holder}", cookie)
                            for holder, cookie in zip(holders, cookies, strict=True)
                        ]
                    ),
                ),
            },
            say,
        )
    poll = speeds["poll"].per_s
    return [
        speeds["poll"].row("position poll"),
        speeds["bare route"].row("  bare Starlette route, same answer"),
        speeds["ZRANK"].row("  ZRANK per poll"),
        Row(what="  poll against bare route", value=poll / speeds["bare route"].per_s, unit="×", at_least=1.2),
        Row(what="  poll against ZRANK", value=poll / speeds["ZRANK"].per_s, unit="×", at_least=4),
    ]


async def _gather(settings: Settings) -> list[str]:
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, EVENT)
        holders = await room.fill(scripts, EVENT, PEOPLE)
        await scripts.end_served(EVENT, [(room.EPOCH, number) for number in range(LEFT_EVERY, PEOPLE, LEFT_EVERY)])
        await scripts.redis.zadd("bench:line", {holder: number for number, holder in enumerate(holders)})
        return holders


async def _move(settings: Settings) -> None:
    async with room.scripts_of(settings) as scripts:
        admitter = await room.admitter(scripts)
        for _ in range(STEPS):
            await asyncio.sleep(STEP_S)
            await admitter.tick()


def _answer(address: tuple[str, int], cookie: str) -> str:
    status, body = ask(address, "GET", PATH, {"Cookie": cookie})
    if status != 200 or b'"etaSeconds":{' not in body:
        raise BenchError(f"the poll is not answered as it should be: {status} {body.decode(errors='replace')}")
    return body.decode()
