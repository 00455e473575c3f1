"""Makes a room in Redis agree with what SQL says of its event: made if missing, opened and closed with its sale.

Called at once by whoever changes an event, and by the keeper every second, should that one have died in between. A room
that is missing though numbers were reserved for it was lost: it is made again above every number ever given and gathers
its people from the tickets they hold before it admits anyone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from app.domain.eta import POLL_MAX_MS
from app.domain.line import RoomState
from app.ledger import rooms
from app.ledger.database import Database
from app.ledger.events import Window
from app.room.answers import ScheduleStatus
from app.room.record import RoomRecord
from app.room.scripts import Birth, RoomScripts, Schedule

NUMBERS_AHEAD = 100_000  # reserved at a time; more than may join in a second
RECOVER_MS = POLL_MAX_MS + 5_000  # one longest poll interval, and the presence flush behind it
CANCELLED = "event_cancelled"
SALE_ENDED = "sale_ended"
CANCELLED_MESSAGE = (
    "이 공연은 취소되었습니다. 결제하신 금액은 모두 돌려드립니다. "
    "This event was cancelled. Everyone who paid gets their money back."
)

log = structlog.get_logger()


def follows_sale(record: RoomRecord, window: Window) -> bool:
    """Whether the room opens and closes as the sale of its event says. A cancelled event stays cancelled."""
    if record.reason == CANCELLED:
        return True
    return not window.cancelled and (record.opens_ms, record.closes_ms) == (window.opens_ms, window.closes_ms)


async def sync_room_with_sale(scripts: RoomScripts, db: Database, window: Window, now: datetime) -> None:
    """Make the room if it is missing, and let it open and close with the sale of its event.

    Idempotent, and safe in any number of processes at once. Raises RoomUnavailable, StoreError.
    """
    schedule = Schedule(
        opens_ms=window.opens_ms, closes_ms=window.closes_ms, cancelled=window.cancelled, message=CANCELLED_MESSAGE
    )
    answer = await scripts.schedule(window.event_id, schedule)
    if answer.status is ScheduleStatus.missing:
        row = await rooms.get(db, window.event_id)
        if row is not None:
            await _make(scripts, db, row, window, now)
    elif answer.status is ScheduleStatus.changed:
        await rooms.follow_epoch(db, window.event_id, answer.epoch, answer.opened_after)
        log.info("room_scheduled", event_id=window.event_id, epoch=answer.epoch, cancelled=window.cancelled)


async def _make(scripts: RoomScripts, db: Database, row: rooms.RoomRow, window: Window, now: datetime) -> None:
    bound = await rooms.reserve_numbers(db, row.event_id, row.number_bound + NUMBERS_AHEAD)
    config: dict[str, Any] = dict(row.config)
    lost = row.number_bound > 0
    begin, reason = _begins(config.get("state"), window, now.timestamp() * 1000)
    birth = Birth(
        epoch=row.epoch,
        number=row.number_bound,
        bound=bound,
        cursor=row.cursor,
        state=RoomState.recovering if lost and begin is not RoomState.closed else begin,
        opens_ms=window.opens_ms,
        closes_ms=window.closes_ms,
        reason=reason,
        rate_per_s=float(config.get("rate_per_s", 10)),
        burst=int(config.get("burst", 10)),
        max_active=int(config.get("max_active", 100)),
        accounts_only=bool(config.get("accounts_only", False)),
        message=CANCELLED_MESSAGE if window.cancelled else str(config.get("message", "")),
        opened_after=int(config.get("opened_after", 0)),
        recover_ms=RECOVER_MS if lost else 0,
        state_after=begin,
    )
    if await scripts.create(row.event_id, birth):
        say = log.warning if lost else log.info
        say("room_lost_and_made_again" if lost else "room_made", event_id=row.event_id, number=birth.number)


def _begins(saved: str | None, window: Window, now_ms: float) -> tuple[RoomState, str]:
    """The state a room begins with, or goes on with once it has recovered, and why if that is closed: what an operator
    decided, else what the clock says.
    """
    if window.cancelled:
        return RoomState.closed, CANCELLED
    if saved == RoomState.closed:
        return RoomState.closed, ""
    if window.closes_ms <= now_ms:
        return RoomState.closed, SALE_ENDED
    if saved in (RoomState.paused, RoomState.draining):
        return RoomState(saved), ""
    return (RoomState.scheduled if window.opens_ms > now_ms else RoomState.open), ""
