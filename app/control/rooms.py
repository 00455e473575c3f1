"""What an operator sees of a room and may change, for the page, the API and the command line alike.

A change is written to the trail before it is made, and felt by the next admission tick. Nothing else changes a room's
settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from redis.asyncio import Redis

from app.cache.notices import Notices
from app.cache.tags import EVENTS, event_tag
from app.connections import open_redis, open_store, running, timing
from app.control import sale_schedule
from app.domain.announcement import Language, Messages, whole
from app.domain.eta import eta_range_s, pace_of
from app.domain.line import LOBBY_MINUTES_MAX, Door, DrawStage, Opening, RoomState
from app.domain.sale import SaleStatus
from app.domain.samples import HistoryPoint, LineSample, flows_per_s, history, oldest_wait_s
from app.ledger import audit_log, origins, room_windows, rooms
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.outages import Outages
from app.processes.shared_clock import SharedClock
from app.room.answers import ChangeStatus
from app.room.errors import as_room_unavailable
from app.room.follow import Rooms
from app.room.record import RoomRecord, messages_as_kept, read_record, read_records
from app.room.samples import line_samples, samples_and_record
from app.room.scripts import RoomScripts
from app.room.view import LineView
from config.settings import Settings

MESSAGE_CHARS_MAX = 500
MessageText = Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS_MAX)]
CHANGES_SHOWN = 50
DOORS_OF_OURS = (Door.accounts, Door.verified)


class UnknownRoom(LookupError):
    """There is no waiting room for this event."""


class RefusedChange(ValueError):
    """The room's state does not allow it; the text says what the state is."""


class RoomChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What to change; None leaves it. Rates from 0.1 people per second up. `door`: for those who join now.
    `opening` and `lobby_minutes`: for the next opening. `messages`: by language; `message`: for everybody whose
    language has none. Either of them replaces both."""

    state: RoomState | None = None
    rate_per_second: Annotated[float, msgspec.Meta(ge=0.1, le=10_000)] | None = None
    burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    max_active: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    door: Door | None = None
    opening: Opening | None = None
    lobby_minutes: Annotated[int, msgspec.Meta(ge=0, le=LOBBY_MINUTES_MAX)] | None = None
    message: MessageText | None = None
    messages: dict[Language, MessageText] | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A room at one moment. `waiting` people are in line or in its lobby; `etaSeconds` is until the line is empty at
    the pace seen lately; `draw`, how far the draw of its opening is; `drawn`, how many numbers it had."""

    event_id: str
    state: RoomState
    rate_per_second: float
    burst: int
    max_active: int
    door: Door
    opening: Opening
    lobby_minutes: int
    draw: DrawStage
    drawn: int
    message: str
    messages: Messages
    waiting: int
    admitted: int
    active: int
    cursor: int
    last_number: int
    inflow_per_second: float
    outflow_per_second: float
    oldest_wait_seconds: int
    eta_seconds: dict[str, int] | None
    opens_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RoomControl:
    redis: Redis
    rooms: Rooms
    db: Database
    now: Callable[[], datetime]

    async def change(self, event_id: str, who: str, wanted: RoomChange) -> dict[str, Any]:
        """Change the room and record it. Answers what was changed. Raises UnknownRoom, RefusedChange."""
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        if not given:
            return {}
        fields = {"rate" if name == "rate_per_second" else name: value for name, value in given.items()}
        if wanted.message is not None or wanted.messages is not None:
            fields["message"], messages = whole(wanted.message, wanted.messages)
            fields["messages"] = messages_as_kept(messages)
        if wanted.lobby_minutes is not None:
            fields["lobby_ms"] = fields.pop("lobby_minutes") * 60_000
        if wanted.door in DOORS_OF_OURS and await origins.has_room(self.db, event_id):
            raise RefusedChange("visitors of another site have no account here, so its room cannot ask for one")
        opening = await self._opening(event_id) if wanted.state is RoomState.open else None
        asked = await self._record(event_id, who, wanted)
        status, before = await self.rooms.scripts.change(event_id, fields)
        if status is not ChangeStatus.changed:
            await self._record_refusal(event_id, who, asked, status, before or "")
        if status is ChangeStatus.missing:
            raise UnknownRoom(event_id)
        if status is ChangeStatus.refused:
            raise RefusedChange(f"a room that is {before} cannot become {wanted.state}")
        if before is RoomState.closed and wanted.state is RoomState.open:
            await self._follow_epoch(event_id)
        if opening is SaleStatus.upcoming:
            await self._open_sale(event_id)
        await self._save(event_id)
        return _asked(wanted)

    async def _follow_epoch(self, event_id: str) -> None:
        record = await self._record_of(event_id)
        await rooms.follow_epoch(self.db, event_id, record.epoch, record.opened_after)

    async def _opening(self, event_id: str) -> SaleStatus:
        """How the sale is whose line shall open. Raises RefusedChange when nothing is sold any more, UnknownRoom."""
        window = await room_windows.get(self.db, event_id)
        if window is None:
            raise UnknownRoom(event_id)
        status = window.status(self.now())
        if status is SaleStatus.cancelled:
            raise RefusedChange("the event is cancelled: its line stays closed")
        if status is SaleStatus.ended:
            raise RefusedChange("the sale has ended: move its end before you open the line")
        return status

    async def _open_sale(self, event_id: str) -> None:
        """Let the sale begin with its line: those let in could buy nothing before."""
        if await room_windows.open_now(self.db, event_id, self.now()):
            window = await room_windows.get(self.db, event_id)
            assert window is not None, "rooms are never deleted"
            await sale_schedule.sync_room_with_sale(self.rooms.scripts, self.db, window, self.now())
            with as_room_unavailable():
                await Notices(self.redis).tell([EVENTS, event_tag(event_id)])

    async def _record(self, event_id: str, who: str, wanted: RoomChange) -> int:
        """Write the change down, and what it replaces, before it is made: a crash in between leaves a change that was
        asked for and did not happen, never one that happened and nobody knows of. Raises UnknownRoom,
        RoomUnavailable."""
        if await rooms.get(self.db, event_id) is None:
            raise UnknownRoom(event_id)
        record, asked = await self._record_of(event_id), _asked(wanted)
        old = {name: value for name, value in _asked(_settings_of(record)).items() if name in asked}
        if "message" in asked and record.messages:
            old["messages"] = dict(record.messages)  # either of them replaces both
        if "messages" in asked:
            old["message"] = record.message
        return await audit_log.record(
            self.db,
            who=who,
            action=audit_log.ROOM_CHANGE,
            subject=event_id,
            event_id=event_id,
            change={**asked, audit_log.WAS: old},
            now=self.now(),
        )

    async def _record_refusal(self, event_id: str, who: str, asked: int, status: str, before: str) -> None:
        await audit_log.record(
            self.db,
            who=who,
            action=audit_log.REFUSED,
            subject=event_id,
            event_id=event_id,
            change={"of": asked, "why": status, "state": before},
            now=self.now(),
        )

    async def _save(self, event_id: str) -> None:
        """Copy the settings to SQL, from which a lost room is made again."""
        record = await self._record_of(event_id)
        config = {
            "state": (record.state_after if record.state is RoomState.recovering else record.state).value,
            "rate_per_s": record.rate_per_s,
            "burst": record.burst,
            "max_active": record.max_active,
            "door": record.door.value,
            "opening": record.opening.value,
            "lobby_ms": record.lobby_ms,
            "message": record.message,
            "messages": record.messages,
            "opened_after": record.opened_after,
        }
        await rooms.set_config(self.db, event_id, config)

    async def _record_of(self, event_id: str) -> RoomRecord:
        """Raises UnknownRoom, RoomUnavailable."""
        record = await read_record(self.redis, event_id)
        if record is None:
            raise UnknownRoom(event_id)
        return record

    async def changes(self, event_id: str) -> list[dict[str, Any]]:
        """The last changes, newest first: at, who, change."""
        return [
            {"at": change.at.isoformat(), "who": change.who, "change": _without_old(change.change)}
            for change in await audit_log.room_changes(self.db, event_id, CHANGES_SHOWN)
        ]

    async def let_in(self) -> dict[str, int]:
        """How many people each known room has let in since Redis has it. One Redis call."""
        records = await read_records(self.redis, self.rooms.views)
        return {each: records[each].admitted_total if each in records else 0 for each in self.rooms.views}

    async def event_ids(self) -> list[str]:
        return sorted(self.rooms.views)

    async def sample(self, event_id: str) -> Sample:
        """The room now, from this process's view of it and the keeper's samples. One Redis call. Raises UnknownRoom."""
        view = await self._view(event_id)
        samples, record = await samples_and_record(self.redis, event_id, view.epoch)
        number, admitted = (record.number, record.admitted_total) if record else (0, 0)
        return _sample(view, samples, LineSample(int(self.now().timestamp() * 1000), number, admitted))

    async def history(self, event_id: str) -> list[HistoryPoint]:
        """The last ten minutes of the room as it is now, not of the one before it. Raises UnknownRoom."""
        view = await self._view(event_id)
        samples = await line_samples(self.redis, event_id, view.epoch)
        return history(samples, int(self.now().timestamp() * 1000))

    async def _view(self, event_id: str) -> LineView:
        view = await self.rooms.find(event_id)
        if view is None:
            raise UnknownRoom(event_id)
        return view


def _sample(view: LineView, samples: list[LineSample], now: LineSample) -> Sample:
    """A line that stands still lets nobody in and has no end in sight; one that is over has nobody in it."""
    waiting = view.waiting
    inflow, outflow = flows_per_s(samples, now)
    if not view.moves:
        outflow = 0.0
    eta = eta_range_s(waiting, view.pace or (pace_of(outflow, outflow) if outflow else None))
    return Sample(
        event_id=view.event_id,
        state=view.state,
        rate_per_second=view.rate_per_s,
        burst=view.burst,
        max_active=view.max_active,
        door=view.door,
        opening=view.opening,
        lobby_minutes=view.lobby_ms // 60_000,
        draw=view.draw,
        drawn=view.drawn,
        message=view.message,
        messages=view.messages,
        waiting=waiting,
        admitted=len(view.admitted),
        active=len(view.active),
        cursor=view.cursor,
        last_number=view.number,
        inflow_per_second=round(inflow, 2),
        outflow_per_second=round(outflow, 2),
        oldest_wait_seconds=oldest_wait_s(samples, view.cursor + 1, now.at_ms) if waiting else 0,
        eta_seconds={"low": eta[0], "high": eta[1]} if eta and waiting else None,
        opens_at=datetime.fromtimestamp(view.opens_ms / 1000, UTC) if view.opens_ms else None,
        updated_at=datetime.fromtimestamp(view.updated_ms / 1000, UTC),
    )


@asynccontextmanager
async def open_room_control(settings: Settings) -> AsyncIterator[RoomControl]:
    """What the command line works with. Raises RoomUnavailable when there is no Redis to talk to."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        db = open_store(settings)
        stack.push_async_callback(db.close)
        with suppress(StoreError):  # a room is paused without a database too; other tables are an error
            await db.require_tables()
        rooms = Rooms(redis, RoomScripts(redis, timing(settings)))
        await rooms.discover()
        await stack.enter_async_context(running(rooms=rooms.run()))
        clock = SharedClock(redis, Outages())
        with as_room_unavailable():
            await clock.read()
        yield RoomControl(redis, rooms, db, clock.now)


def _without_old(change: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name != audit_log.WAS}


def _settings_of(record: RoomRecord) -> RoomChange:
    """A room as it is, in the form of a change."""
    return RoomChange(
        state=record.state,
        rate_per_second=record.rate_per_s,
        burst=record.burst,
        max_active=record.max_active,
        door=record.door,
        opening=record.opening,
        lobby_minutes=record.lobby_ms // 60_000,
        message=record.message,
        messages=record.messages,
    )


def _asked(wanted: RoomChange) -> dict[str, Any]:
    change: dict[str, Any] = msgspec.to_builtins(wanted)
    return {name: value for name, value in change.items() if value is not None}
