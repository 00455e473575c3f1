"""How long an opening is drawn, from its entries in Redis to the open room, and what hashing the same bytes takes."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from hashlib import sha256
from itertools import repeat

from app import redis_keys
from app.connections import open_store
from app.control.opening_draw import make_draw
from app.domain.draw import SEED_BYTES, key_of, leaves_of, order_of, ranks_of, root_of
from app.domain.line import DrawStage, RoomState
from app.domain.ticket import HOLDER_BYTES, holder_text
from app.ledger import draws, events
from app.ledger.database import Database
from app.room.record import Birth, read_record
from app.room.scripts import RoomScripts, holder_bucket
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.machine import SERVER_CORE, on_cores
from loadtest.bench.processes import redis, scratch
from loadtest.bench.report import BenchError, Row, Say

EVENT = "draw"
ENTRIES = 1_000_000
LEAF_BYTES, NODE_BYTES, BLOCK_BYTES = 47, 65, 40  # of what is hashed, as app/domain/draw.py says
WORDS_PER_BLOCK = 4


def measure(say: Say) -> list[Row]:
    with scratch() as settings, redis(settings), on_cores(SERVER_CORE):
        took_s = asyncio.run(_draw(settings, say))
    with on_cores(SERVER_CORE):
        computed_s, bare_s = _computed_s(), _bare_s()
    say(f"computing {computed_s:.2f} s, hashing as many bytes {bare_s:.2f} s")
    return [
        Row(what=f"drawing {ENTRIES:,} entries, until the room is open", value=took_s, unit="s", at_most=5),
        Row(
            what="  root, order and tables against bare hashing",
            value=computed_s / bare_s,
            unit="×",
            at_most=3,
            note=f"{computed_s:.2f} s against {bare_s:.2f} s",
        ),
    ]


async def _draw(settings: Settings, say: Say) -> float:
    db = open_store(settings)
    try:
        async with room.scripts_of(settings) as scripts:
            await _enter(scripts, db)
            say(f"{ENTRIES:,} people have entered")
            record = await read_record(scripts.redis, EVENT)
            assert record is not None
            began_s = time.perf_counter()
            await make_draw(scripts, db, EVENT, record, datetime.now(UTC))
            took_s = time.perf_counter() - began_s
            drawn = await read_record(scripts.redis, EVENT)
    finally:
        await db.close()
    if drawn is None or (drawn.state, drawn.drawn_of) != (RoomState.open, ENTRIES):
        raise BenchError("the room did not open")
    return took_s


async def _enter(scripts: RoomScripts, db: Database) -> None:
    """A lobby whose entries have just closed, as it is in both stores."""
    await events.create(db, room.hall(EVENT, 1), datetime.now(UTC))
    await draws.commit(db, EVENT, room.EPOCH, os.urandom(SEED_BYTES), os.urandom(SEED_BYTES))
    birth = Birth(
        epoch=room.EPOCH,
        number=ENTRIES,
        bound=10**9,
        cursor=0,
        state=RoomState.lobby,
        opens_ms=0,
        rate_per_s=100,
        burst=100,
        max_active=1_000,
        draw=DrawStage.closed,
        entries=ENTRIES,
        commitment="00",
    )
    await scripts.create(EVENT, birth)
    for start in range(0, ENTRIES, room.PEOPLE_PER_CALL):
        pipe = scripts.redis.pipeline(transaction=False)
        for number in range(start + 1, start + room.PEOPLE_PER_CALL + 1):
            holder = holder_text(os.urandom(HOLDER_BYTES))
            pipe.hset(redis_keys.holders(EVENT, room.EPOCH, holder_bucket(holder)), holder, str(number))
        await pipe.execute()


def _computed_s() -> float:
    holders = [holder_text(os.urandom(HOLDER_BYTES)).encode() for _ in range(ENTRIES)]
    secret = os.urandom(SEED_BYTES)
    began_s = time.perf_counter()
    ranks_of(order_of(key_of(secret, root_of(leaves_of(secret, holders))), ENTRIES))
    return time.perf_counter() - began_s


def _bare_s() -> float:
    """Nothing but the calls of SHA-256 that the leaves, the nodes and the words take."""
    began_s = time.perf_counter()
    for size, times in ((LEAF_BYTES, ENTRIES), (NODE_BYTES, ENTRIES), (BLOCK_BYTES, ENTRIES // WORDS_PER_BLOCK)):
        data = os.urandom(size)
        for _ in repeat(None, times):
            sha256(data).digest()
    return time.perf_counter() - began_s
