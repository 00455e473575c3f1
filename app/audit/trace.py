"""Every step of one number, from the room's log and keys, the lane and SQL, and where the number stands now.

For "I lost my place": what a person at the help desk looks up. Reads only, safe beside a running system, and bounded:
each store's part names how much it reads. What cannot be told any more, and why, is part of the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from app.audit import trace_steps
from app.audit.trace_steps import Answers, Step, What
from app.domain.line import RoomState
from app.lane import place_commands
from app.lane.commands import REPLIES_KEPT_FOR, Outcome, unpack_outcome
from app.lane.errors import LaneUnavailable
from app.ledger import draws, places
from app.ledger import rooms as room_rows
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.ledger.places import PlaceRecords
from app.ledger.rooms import UnknownRoom
from app.room import number_history
from app.room.draws import number_at
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.number_history import LogStep, NumberHistory
from app.room.view import LineView

__all__ = ["Gap", "Missing", "NumberNeverGiven", "Standing", "StoresAway", "Trace", "UnknownRoom", "trace"]

_LATEST = datetime.max.replace(tzinfo=UTC)


class NumberNeverGiven(LookupError):
    """No buyer has this number. `last` is the last one given, or the last that may have been while Redis is away."""

    def __init__(self, number: int, last: int) -> None:
        super().__init__(number)
        self.number = number
        self.last = last


class StoresAway(Exception):
    """Neither Redis nor the database answers, so nothing can be told."""


class Standing(StrEnum):
    """Where a number stands now."""

    waiting = "waiting"
    passed_over = "passed_over"  # absent when its turn came; let in as soon as it is seen and there is room
    set_aside = "set_aside"  # Redis was lost and nobody has shown the ticket since
    admitted = "admitted"
    claimed = "claimed"
    left = "left"
    lapsed = "lapsed"
    served = "served"
    line_over = "line_over"  # the line that it waited in was closed
    unknown = "unknown"


_IN_LINE = (Standing.waiting, Standing.passed_over, Standing.set_aside)
_LET_IN = (Standing.admitted, Standing.claimed)


class Missing(StrEnum):
    """A part that cannot be told."""

    redis_away = "redis_away"
    database_away = "database_away"
    room_missing = "room_missing"  # Redis has no such room just now: it was lost, and is about to be made again
    log_cut = "log_cut"  # the room's log begins at `since`: it keeps a bounded number of entries
    keys_deleted = "keys_deleted"  # those of an epoch that is over are kept for a week
    epoch_unknown = "epoch_unknown"  # no store tells which epoch an old number is of
    answers_deleted = "answers_deleted"  # the lane's answers before `since` are not stored any more
    lane_cut = "lane_cut"  # more commands wait than are looked through


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    missing: Missing
    since: datetime | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`number` is the one that the buyer sees. `ahead` is only known of who waits, `until` of who was let in: the end
    of the claim window or of the pass. `steps` are in order of time; those whose moment nobody keeps come last.
    """

    event_id: str
    number: int
    epoch: int | None
    standing: Standing
    ahead: int | None
    until: datetime | None
    room: RoomState | None
    steps: list[Step]
    gaps: list[Gap]

    @property
    def is_whole(self) -> bool:
        """Whether every store could be asked."""
        away = {Missing.redis_away, Missing.database_away, Missing.room_missing}
        return not any(gap.missing in away for gap in self.gaps)


async def trace(rooms: Rooms, db: Database, event_id: str, number: int, now: datetime) -> Trace:
    """Every step of a number. A store that is away is a gap, and what the others know is told.

    Raises UnknownRoom, NumberNeverGiven, StoresAway.
    """
    return await _Reading(rooms, db, event_id, await _given(rooms, db, event_id, number), now).trace(number)


async def _given(rooms: Rooms, db: Database, event_id: str, shown: int) -> int:
    """The number behind the one that its buyer sees: another one in a line that was drawn.

    While Redis is away or has no such room the draw is computed again from SQL.
    """
    with suppress(RoomUnavailable):
        view = await rooms.find(event_id)
        if view is not None:
            if not view.opened_after < shown <= view.opened_after + view.drawn:
                return shown
            return await number_at(rooms.scripts.redis, event_id, view.epoch, view.opened_after, shown)
    with suppress(StoreError):  # if both are away, the trace says so
        return await _drawn_at(db, event_id, shown)
    return shown


async def _drawn_at(db: Database, event_id: str, shown: int) -> int:
    """The same by SQL alone, of the newest line. Raises StoreError."""
    row = await room_rows.get(db, event_id)
    draw = await draws.get(db, event_id, row.epoch) if row is not None else None
    if row is None or draw is None or draw.drawn_at is None:
        return shown
    opened_after = int(row.config.get("opened_after", 0))
    order = await asyncio.to_thread(lambda: draw.order)
    if order is None or not 1 <= shown - opened_after <= len(order):
        return shown
    return opened_after + order[shown - opened_after - 1]


@dataclass
class _Reading:
    """One number being read, store by store; `gaps` grows meanwhile."""

    rooms: Rooms
    db: Database
    event_id: str
    number: int
    now: datetime
    gaps: list[Gap] = field(default_factory=list)

    async def trace(self, shown: int) -> Trace:
        records = await self._records()
        history, view = await self._room(records)
        if records is None and history is None:
            raise StoresAway
        last = history.last_number if history is not None else records.number_bound if records is not None else 0
        if not 1 <= self.number <= last:
            raise NumberNeverGiven(self.number, last)
        epoch = _epoch(records, history)
        sold = trace_steps.was_sold(records)
        steps = [] if history is None else trace_steps.room_steps(history, sold)
        steps += await self._lane_steps(records, history, epoch)
        if records is not None:
            steps += await self._sql_steps(records, history, epoch)
        self._note_gaps(records, history, epoch)
        standing = _standing(self.number, view, history, sold)
        position = view.position(self.number) if view is not None else None
        return Trace(
            event_id=self.event_id,
            number=shown,
            epoch=epoch,
            standing=standing,
            ahead=position.ahead if position is not None and standing in _IN_LINE else None,
            until=_moment(position.until_ms) if position is not None and standing in _LET_IN else None,
            room=None if view is None else view.state,
            steps=sorted(steps, key=_when),
            gaps=self.gaps,
        )

    async def _records(self) -> PlaceRecords | None:
        try:
            records = await places.records(self.db, self.event_id, self.number)
        except StoreError:
            self._miss(Missing.database_away)
            return None
        if records is None:
            raise UnknownRoom(self.event_id)
        return records

    async def _room(self, records: PlaceRecords | None) -> tuple[NumberHistory | None, LineView | None]:
        known = _epoch(records, None)
        try:
            history = await number_history.read(self.rooms.scripts, self.event_id, self.number, known)
            view = await self.rooms.find(self.event_id) if history is not None else None
        except RoomUnavailable:
            self._miss(Missing.redis_away)
            return None, None
        if history is None:
            if records is None:
                raise UnknownRoom(self.event_id)
            self._miss(Missing.room_missing)
        return history, view

    async def _lane_steps(
        self, records: PlaceRecords | None, history: NumberHistory | None, epoch: int | None
    ) -> list[Step]:
        """The commands that wait, and what became of the wish."""
        ids = {reservation.id for reservation in records.reservations} if records is not None else set()
        redis = self.rooms.scripts.redis
        try:
            waiting = await place_commands.waiting(redis, self.event_id, self.number, ids)
            wish = await self._wish(history, epoch)
        except LaneUnavailable:
            self._miss(Missing.redis_away)
            return []
        if waiting.is_cut:
            self._miss(Missing.lane_cut)
        return trace_steps.lane_steps(waiting.commands, wish)

    async def _wish(self, history: NumberHistory | None, epoch: int | None) -> tuple[Outcome, datetime] | None:
        """The answer to the hold of the number's wish: as SQL stores it for a day, else as it was published."""
        if epoch is None:
            return None
        wanted = place_commands.wish_hold_id(epoch, self.number)
        stored = await self._answers([wanted])
        if wanted in stored:
            return stored[wanted]
        admitted = [step.at_ms for step in history.log.steps if step.what is LogStep.admitted] if history else []
        since = _moment(min(admitted, default=0))
        if since is None:
            return None
        return await place_commands.published_answer(self.rooms.scripts.redis, self.event_id, wanted, since)

    async def _sql_steps(self, records: PlaceRecords, history: NumberHistory | None, epoch: int | None) -> list[Step]:
        lapses = trace_steps.lapse_commands(epoch, self.number, history) if history and epoch else []
        endings = [name for each in records.reservations for name in trace_steps.ending_commands(each.id)]
        answers = await self._answers([*lapses, *endings]) if endings else {}
        return trace_steps.sql_steps(records, answers, lapses, self.now - REPLIES_KEPT_FOR)

    async def _answers(self, command_ids: list[str]) -> Answers:
        try:
            found = await places.replies(self.db, self.event_id, command_ids)
        except StoreError:
            self._miss(Missing.database_away)
            return {}
        return {name: (unpack_outcome(reply), at) for name, (reply, at) in found.items()}

    def _note_gaps(self, records: PlaceRecords | None, history: NumberHistory | None, epoch: int | None) -> None:
        if history is not None and not history.log.is_whole:
            self._miss(Missing.log_cut, _moment(history.log.begins_ms or 0))
        if epoch is None:
            self._miss(Missing.epoch_unknown)
        elif history is not None and history.keys is not None and not history.keys.exist and epoch != history.epoch:
            self._miss(Missing.keys_deleted)
        answers_since = self.now - REPLIES_KEPT_FOR
        if records is not None and any(each.created_at < answers_since for each in records.reservations):
            self._miss(Missing.answers_deleted, answers_since)

    def _miss(self, missing: Missing, since: datetime | None = None) -> None:
        if all(gap.missing is not missing for gap in self.gaps):
            self.gaps.append(Gap(missing=missing, since=since))


def _epoch(records: PlaceRecords | None, history: NumberHistory | None) -> int | None:
    """The epoch of the number, as the room knows it, or a reservation."""
    if history is not None and history.own_epoch is not None:
        return history.own_epoch
    return records.reservations[-1].epoch if records is not None and records.reservations else None


def _standing(number: int, view: LineView | None, history: NumberHistory | None, sold: bool) -> Standing:
    if history is None or view is None:
        return Standing.served if sold else Standing.unknown
    keys = history.keys
    if sold and (keys is None or (keys.ended and not keys.lapsed)):
        return Standing.served
    if keys is not None and keys.ended and not keys.unproven:
        return Standing.lapsed if keys.lapsed else Standing.left
    if history.own_epoch != view.epoch or view.state is RoomState.closed:
        return Standing.line_over
    if keys is not None and keys.unproven:
        return Standing.set_aside
    if keys is not None and keys.skipped and not keys.returned:
        return Standing.passed_over
    return Standing(view.place(number).value)


def _when(step: Step) -> datetime:
    """What steps are ordered by; of the same moment, the room's come first, then the lane's."""
    known = step.until if step.what is What.seen else step.at or step.after
    return known or _LATEST


def _moment(at_ms: int) -> datetime | None:
    return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms else None
