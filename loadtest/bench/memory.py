"""How much of Redis one waiting buyer takes, everything included: holder, presence, room log, wish."""

from __future__ import annotations

import asyncio
import time

from app import redis_keys
from app.domain.wish import Wish, pack_wish
from app.room.scripts import LOG_ENTRIES_MAX, RoomScripts
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.processes import redis, scratch
from loadtest.bench.report import BenchError, Row, Say

PEOPLE = 100_000
PEOPLE_PER_TICK = 500  # 5,000 joins a second
SEEN_PER_CALL = 1_000
WISH = Wish(quantity=2, grades=("R", "S"))
BYTES_MAX = 110
REWRITE_LOOK_S = 0.1
REWRITE_LOOKS_MAX = 300


def measure(say: Say, people: int = PEOPLE) -> list[Row]:
    rows = []
    for kind, wish in (("no wishes", ""), ("a wish each", pack_wish(WISH))):
        with scratch() as settings, redis(settings):
            each, log_mb = asyncio.run(_bytes_each(settings, people, wish))
        say(f"{people:,} waiting with {kind}: {each:.1f} bytes each")
        rows.append(
            Row(
                what=f"Redis memory per buyer, {people:,} with {kind}",
                value=each,
                unit="bytes",
                at_most=BYTES_MAX,
                note=f"a full room log adds {log_mb:.1f} MB, however many wait",
            )
        )
    return rows


async def _bytes_each(settings: Settings, people: int, wish: str) -> tuple[float, float]:
    """Bytes per buyer, and megabytes of a room log that is as long as it may get, from the entries it has."""
    async with room.scripts_of(settings) as scripts:
        await room.make(scripts, "warm")
        await room.fill(scripts, "warm", 1, wish)  # the scripts are loaded, the buffers made
        await _tell(scripts, "warm", 1)
        before = await _used(scripts)
        await room.make(scripts, "bench", rate_per_s=0.1, burst=1)
        admitter = await room.admitter(scripts)
        for _ in range(0, people, PEOPLE_PER_TICK):
            await room.fill(scripts, "bench", PEOPLE_PER_TICK, wish)
            await admitter.tick()
        await _tell(scripts, "bench", people)
        used = await _used(scripts) - before
        name = redis_keys.room_log("bench")
        per_entry = await scripts.redis.memory_usage(name, samples=0) / await scripts.redis.xlen(name)
        return used / people, per_entry * LOG_ENTRIES_MAX / 1e6


async def _tell(scripts: RoomScripts, event_id: str, people: int) -> None:
    """Everyone is seen in every presence bitmap that can live at once."""
    timing = scripts.timing
    now_ms = int(time.time() * 1000)
    slots = timing.seen_ttl_s * 1000 // timing.slot_ms
    for slot in range(slots + 1):
        for start in range(1, people + 1, SEEN_PER_CALL):
            numbers = range(start, min(start + SEEN_PER_CALL, people + 1))
            await scripts.seen(event_id, room.EPOCH, numbers, now_ms - slot * timing.slot_ms)


async def _used(scripts: RoomScripts) -> int:
    """What Redis uses for data, once nothing is being rewritten."""
    for _ in range(REWRITE_LOOKS_MAX):
        if not (await scripts.redis.info("persistence"))["aof_rewrite_in_progress"]:
            used: int = (await scripts.redis.info("memory"))["used_memory"]
            return used
        await asyncio.sleep(REWRITE_LOOK_S)
    raise BenchError("Redis does not finish rewriting its file")
