"""Makes the draw of an opening, from SQL, the entries in Redis, and a round of a public beacon if there is one.

The seed is in SQL before the first entry, and the beacon's round is named before entries close; the entries, their
root, and what was taken of the beacon are fixed there once; everything else follows from these. So a worker that dies,
two at once, or a Redis that is lost give the same order, and no lease is needed: a second worker writes what the first
one has written.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import structlog

from app.domain.beacon import QUICKNET, Chain
from app.domain.draw import SEED_BYTES, leaves_of, ranks_of, root_of
from app.domain.line import DrawStage, RoomState
from app.ledger import draws
from app.ledger.database import Database
from app.ledger.draws import Draw
from app.room import draws as room_draws
from app.room.answers import NO_MARKS
from app.room.draws import NO_ROUND, NamedRound
from app.room.errors import RoomUnavailable
from app.room.record import RoomRecord
from app.room.scripts import Now, RoomScripts

ROUND_AFTER_MS = 1_000  # at least so long after the closing of the entries: our clocks may differ by a second
BEACON_WAIT_MS = 10_000  # from the time of its round; then the draw goes on without it

RandomBytes = Callable[[int], bytes]

log = structlog.get_logger()


class Beacon(Protocol):
    """Where a draw's randomness beside its seed is had from (app/control/beacon.py)."""

    @property
    def chain(self) -> Chain: ...

    def ask(self, round_number: int) -> bytes | None:
        """The checked signature of a round; b"" if it has just failed to give one; None while it is asked.

        Never waits and never raises.
        """


class Drawn(StrEnum):
    """How a room was opened in the order of its draw: without a beacon, with one, or without the round it named."""

    plain = "plain"
    beacon = "beacon"
    beacon_missed = "beacon_missed"


async def prepare(
    scripts: RoomScripts,
    db: Database,
    event_id: str,
    record: RoomRecord,
    random: RandomBytes,
    beacon: Beacon | None,
    now: datetime,
) -> None:
    """Give the draw that is ahead a seed, name the round of the beacon, and tell the room. Idempotent.

    Raises RoomUnavailable, StoreError.
    """
    if record.draw is not DrawStage.ahead:
        return
    named = NO_ROUND if beacon is None else _round(scripts, beacon.chain, record, _ms(now))
    is_new = (named.round, named.for_ms) != (record.beacon_round, record.beacon_for_ms)
    if record.commitment and not (is_new and record.state in (RoomState.scheduled, RoomState.lobby, RoomState.open)):
        return
    draw = await draws.commit(db, event_id, record.epoch, random(SEED_BYTES), random(SEED_BYTES))
    if (draw.round or 0) != named.round:
        await draws.name_round(db, draw, named.round or None)
    await room_draws.commit(scripts, event_id, record.epoch, draw.commitment, named)


def _round(scripts: RoomScripts, chain: Chain, record: RoomRecord, now_ms: int) -> NamedRound:
    """The round that is named, unless the opening has moved since or that round has come: then the next one."""
    closes_ms = (record.opened_ms or record.opens_ms) + scripts.timing.draw_ms
    number = record.beacon_round
    if not number or record.beacon_for_ms != closes_ms or chain.time_ms(number) <= now_ms:
        number = chain.round_from(max(closes_ms, now_ms) + ROUND_AFTER_MS)
    return NamedRound(number, chain.time_ms(number), closes_ms)


async def make_draw(
    scripts: RoomScripts,
    db: Database,
    event_id: str,
    record: RoomRecord,
    now: datetime,
    now_ms: Now = None,
    beacon: Beacon | None = None,
) -> Drawn | None:
    """Draw the closed entries and open the room. Idempotent. How it was drawn, if this call opened it.

    While its beacon's round is awaited, nothing: call again. Raises RoomUnavailable, StoreError.
    """
    if record.draw is not DrawStage.closed:
        return None
    draw = await draws.get(db, event_id, record.epoch)
    if draw is None:
        log.error("draw_without_seed", event_id=event_id, epoch=record.epoch)  # SQL was set back
        return None
    draw = await _with_beacon(db, await _fixed(scripts, db, draw, record), beacon, _ms(now))
    if draw.signature is None:
        return None
    entries, people = await store_order(scripts, draw)
    opened = await room_draws.open_drawn(scripts, event_id, record.epoch, entries, people, now_ms)
    await draws.reveal(db, draw, now)
    if not opened:
        return None
    how = _how(draw)
    log.info("opening_drawn", event_id=event_id, epoch=record.epoch, entries=entries, people=people, how=how)
    return how


async def _fixed(scripts: RoomScripts, db: Database, draw: Draw, record: RoomRecord) -> Draw:
    """Raises RoomUnavailable, also if entries may be missing in Redis: the draw is made once, over all of them."""
    if draw.root is not None:
        return draw
    place = (draw.event_id, draw.epoch, record.opened_after, record.entries)
    holders = await room_draws.read_holders(scripts.redis, *place)
    people = await room_draws.count_people(scripts.redis, *place)
    if not (await scripts.look(draw.event_id, NO_MARKS)).complete:
        raise RoomUnavailable("incomplete", "the room has to be made again before its draw")
    root = await asyncio.to_thread(lambda: root_of(leaves_of(draw.secret, holders)))
    return await draws.fix(db, draw, record.entries, people, root, record.beacon_round or None)


async def _with_beacon(db: Database, draw: Draw, beacon: Beacon | None, now_ms: int) -> Draw:
    """The draw with what it takes of its beacon's round; as it was while that is awaited. All take what one took."""
    if draw.signature is not None or draw.round is None:
        return draw
    round_ms = (beacon.chain if beacon else QUICKNET).time_ms(draw.round)
    if now_ms < round_ms:
        return draw
    signature = beacon.ask(draw.round) if beacon else b""
    if signature is None or (not signature and now_ms < round_ms + BEACON_WAIT_MS):
        return draw
    return await draws.take(db, draw, signature)


def _how(draw: Draw) -> Drawn:
    if draw.round is None:
        return Drawn.plain
    if draw.signature:
        return Drawn.beacon
    log.warning("draw_without_beacon", event_id=draw.event_id, epoch=draw.epoch, round=draw.round)
    return Drawn.beacon_missed


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


async def store_order(scripts: RoomScripts, draw: Draw) -> tuple[int, int]:
    """Compute the order of a draw for which everything is fixed, and write its tables; its entries and people.

    Raises RoomUnavailable.
    """
    order, ranks = await asyncio.to_thread(_tables, draw)
    await room_draws.store_tables(scripts.redis, draw.event_id, draw.epoch, order, ranks)
    assert draw.people is not None, "there is a root"
    return len(order), draw.people


def _tables(draw: Draw) -> tuple[array[int], array[int]]:
    order = draw.order
    assert order is not None, "it is decided"
    return order, ranks_of(order)
