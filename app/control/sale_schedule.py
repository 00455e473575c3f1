"""Makes a room in Redis agree with what SQL says of its event: made if missing, opened and closed with its sale.

Called at once by whoever changes an event, and by the keeper every second, should that one have died in between. A room
that is missing though numbers were reserved for it was lost: it is made again above every number ever given and gathers
its people from the tickets they hold before it admits anyone. So is one that another Redis process had: this one may
have been a replica that was behind, or may have read an older file. What it knows is kept.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import structlog

from app.control.opening_draw import store_order
from app.domain.eta import POLL_MAX_MS
from app.domain.line import Door, DrawStage, Opening, RoomState
from app.ledger import draws, rooms
from app.ledger.database import Database
from app.ledger.draws import Draw
from app.ledger.errors import StoreError
from app.ledger.room_windows import Window
from app.room.answers import NO_MARKS, Marks, ScheduleStatus
from app.room.errors import RoomUnavailable
from app.room.live_rooms import enter_working_set
from app.room.record import Birth, RoomRecord, Schedule, messages_as_kept, read_record
from app.room.scripts import RoomScripts

MAKE_TRIES = 20
MAKE_PAUSE_S = 0.05  # for another process to make the room
NUMBERS_AHEAD = 100_000  # reserved for a room that is made, and by the keeper when half of them are given
RECOVER_MS = POLL_MAX_MS + 5_000  # one longest poll interval, and the presence flush behind it
CANCELLED = "event_cancelled"
SALE_ENDED = "sale_ended"

log = structlog.get_logger()


def follows_sale(record: RoomRecord, window: Window) -> bool:
    """Whether the room opens and closes as the sale of its event says. A cancelled event stays cancelled."""
    if record.reason == CANCELLED:
        return True
    return not window.cancelled and (record.opens_ms, record.closes_ms) == (window.opens_ms, window.closes_ms)


async def sync_room_with_sale(scripts: RoomScripts, db: Database, window: Window, now: datetime) -> None:
    """Make the room if it is missing or incomplete, and let it open and close with the sale of its event.

    Idempotent, and safe in any number of processes at once: one of them makes it, the others wait a moment for that.
    Raises RoomUnavailable, StoreError.
    """
    schedule = Schedule(
        opens_ms=window.opens_ms,
        closes_ms=window.closes_ms,
        cancelled=window.cancelled,
        version=window.version,
    )
    if not window.cancelled and (window.closes_at is None or window.closes_at > now):
        await _look_after(scripts, db, window.event_id)
    elif await _is_retired(db, window.event_id):
        return
    for _ in range(MAKE_TRIES):
        row = await rooms.get(db, window.event_id)  # before Redis is asked: only then is its generation the lost one's
        answer = await scripts.schedule(window.event_id, schedule)
        if answer.status is not ScheduleStatus.missing or row is None:
            break
        if await _make(scripts, db, row, window, now):
            return
        await asyncio.sleep(MAKE_PAUSE_S)
    if answer.status is ScheduleStatus.changed:
        await rooms.follow_epoch(db, window.event_id, answer.epoch, answer.opened_after)
        log.info("room_scheduled", event_id=window.event_id, epoch=answer.epoch, cancelled=window.cancelled)


async def _look_after(scripts: RoomScripts, db: Database, event_id: str) -> None:
    """Bring a room back that was retired: its sale goes on. In SQL first, so that the keeper ends what was begun."""
    if await _is_retired(db, event_id):
        await rooms.bring_back(db, event_id, anew=await read_record(scripts.redis, event_id) is None)
    await enter_working_set(scripts.redis, event_id)


async def _is_retired(db: Database, event_id: str) -> bool:
    row = await rooms.get(db, event_id)
    return row is not None and row.retired_at is not None


async def reserve_numbers(scripts: RoomScripts, db: Database, event_id: str, up_to: int) -> int:
    """Reserve the numbers up to this one in SQL; up to which they are reserved, which the room has to be told.
    Idempotent, and safe in any number of processes at once. 0 if a store is away, or no such room is complete."""
    try:
        complete, record = await scripts.look(event_id, NO_MARKS)
        if not complete or record is None:
            return 0
        return await rooms.reserve_numbers(db, event_id, up_to, generation=record.generation)
    except (RoomUnavailable, StoreError, rooms.UnknownRoom) as error:
        log.warning("numbers_not_reserved", event_id=event_id, error=f"{type(error).__name__}: {error}")
        return 0


def marks_of(row: rooms.RoomRow) -> Marks:
    return Marks(row.generation, row.number, row.cursor, row.revision)


async def _make(scripts: RoomScripts, db: Database, row: rooms.RoomRow, window: Window, now: datetime) -> bool:
    """Make the room, behind every number ever reserved. False if somebody else is at it, or has to look again."""
    left = (await scripts.look(row.event_id, marks_of(row))).record
    if left is not None and left.epoch > row.epoch:  # the line was begun anew just before
        await rooms.follow_epoch(db, row.event_id, left.epoch, left.opened_after)
        return False
    config: dict[str, Any] = dict(row.config)
    lost = row.number_bound > int(config.get("opened_after", 0))  # numbers of this epoch were reserved
    begin, reason = _begins(config.get("state"), window, now.timestamp() * 1000)
    known = max(row.number, left.number if left is not None and left.epoch == row.epoch else 0)
    is_new = known <= int(config.get("opened_after", 0))  # nobody had a place of this epoch
    drawn = await _draw_of(scripts, await draws.get(db, row.event_id, row.epoch), begin, is_new)
    # last of all: whoever finds no room but numbers reserved for it takes it for one that was lost
    begun = await rooms.begin_generation(db, row.event_id, row.generation, NUMBERS_AHEAD)
    if begun is None:
        return False
    is_over = begin is RoomState.closed  # and what was said to the line with it
    birth = Birth(
        epoch=begun.epoch,
        generation=begun.generation,
        number=begun.number_bound - NUMBERS_AHEAD,
        bound=begun.number_bound,
        cursor=begun.cursor,
        state=RoomState.recovering if lost and begin is not RoomState.closed else begin,
        opens_ms=window.opens_ms,
        closes_ms=window.closes_ms,
        sale_version=window.version,
        reason=reason,
        rate_per_s=float(config.get("rate_per_s", 10)),
        burst=int(config.get("burst", 10)),
        max_active=int(config.get("max_active", 100)),
        door=Door(config.get("door", Door.open)),
        opening=Opening(config.get("opening", Opening.draw)),
        lobby_ms=int(config.get("lobby_ms", 0)),
        message="" if is_over else str(config.get("message", "")),
        messages="" if is_over else messages_as_kept(config.get("messages")),
        opened_after=int(config.get("opened_after", 0)),
        recover_ms=RECOVER_MS if lost else 0,
        state_after=begin,
        **drawn,
    )
    if await scripts.create(row.event_id, birth):
        say = log.warning if lost else log.info
        kept = 0 if left is None else left.number
        say(
            "room_lost_and_made_again" if lost else "room_made",
            event_id=row.event_id,
            generation=birth.generation,
            number=birth.number,
            kept=kept,
        )
    return True


async def _draw_of(scripts: RoomScripts, draw: Draw | None, begin: RoomState, is_new: bool) -> dict[str, Any]:
    """How far the draw of a room's epoch is. One whose entries were fixed before a loss of Redis is drawn again before
    the room is there, so that nobody ever sees another order. Places without a commitment came from no draw."""
    if draw is not None and draw.root is not None and draw.signature is None:  # its beacon is still awaited
        return {"draw": DrawStage.closed, "entries": draw.entries, "commitment": draw.commitment.hex()}
    if draw is not None and draw.root is not None:
        entries, people = await store_order(scripts, draw)
        return {"draw": DrawStage.done, "entries": entries, "drawn": entries, "drawn_of": people}
    is_ahead = draw is not None or begin is RoomState.scheduled or (begin is RoomState.paused and is_new)
    stage = DrawStage.ahead if is_ahead else DrawStage.done
    commitment = "" if draw is None else draw.commitment.hex()
    return {"draw": stage, "commitment": commitment, "beacon_round": draw.round or 0 if draw is not None else 0}


def _begins(saved: str | None, window: Window, now_ms: float) -> tuple[RoomState, str]:
    """The state a room begins with, or goes on with once it has recovered, and why if that is closed: what an operator
    decided, else what the clock says.
    """
    if window.cancelled:
        return RoomState.closed, CANCELLED
    if saved == RoomState.closed:
        return RoomState.closed, ""
    if 0 < window.closes_ms <= now_ms:
        return RoomState.closed, SALE_ENDED
    if saved in (RoomState.paused, RoomState.draining):
        return RoomState(saved), ""
    return (RoomState.scheduled if window.opens_ms > now_ms else RoomState.open), ""
