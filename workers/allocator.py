"""The only writer of seats: drains an event's lane in batches, one transaction each, and publishes what it did.

An arq job is only a wake-up; order comes from the stream. The lease keeps two allocators from working at once, the
fence keeps one that was paused past its lease from writing, and command ids make carrying on after a crash exact.
Nothing is cleaned up on failure: the lease runs out, the round that looks for stranded lanes wakes another allocator,
and that one finds all it needs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from app.domain.reservation import Known
from app.jobs import Wake
from app.lane.commands import Command, Hold, OfferToWaitlist, Outcome, Published, pack, unpack_command
from app.lane.decide import Decisions, decide
from app.lane.errors import LaneUnavailable
from app.lane.live_holds import HOLDS_MAX, HoldsMax
from app.lane.scripts import LEASE_MS, LaneScripts, PublishStatus, ReleaseStatus
from app.lane.state import LaneState
from app.lane.streams import CommandEntry, LaneStreams
from app.ledger import room_windows, seats
from app.ledger.database import Database
from app.ledger.errors import StoreAway, StoreBusy, StoreUnusable
from app.metrics.work import Work
from app.room.errors import RoomUnavailable

BATCH_MAX = 400  # commands per transaction
LINGER_MS = 100  # how long an empty lane is watched before it is released
SLICE_S = 10.0  # then another worker may have the lane
LANES_CACHED_MAX = 32
# No command causes these: what waits stays on the lane.
NOT_ITS_FAULT = (StoreAway, StoreBusy, StoreUnusable, LaneUnavailable, RoomUnavailable, OSError)

# (event_id, [(epoch, number)]): end the turns of buyers who have paid. Does nothing for a turn that has ended
Finish = Callable[[str, Sequence[tuple[int, int]]], Awaitable[object]]
log = structlog.get_logger()


class StopReason(StrEnum):
    """Why an allocator let go of a lane."""

    busy = "busy"  # another allocator has it
    drained = "drained"  # no command waits
    sliced = "sliced"  # its slice of time was used up while commands wait
    lost = "lost"  # the lease is another allocator's, or an admin changed the event: the fence is newer
    unknown_event = "unknown_event"
    no_seats = "no_seats"  # the room of an origin, which sells elsewhere


@dataclass(slots=True)
class _Tenure:
    """One allocator's time with one lane, from taking the lease to releasing it."""

    event_id: str
    owner: str
    fence: int
    state: LaneState
    commands: int = 0
    batches: int = 0
    did_something: bool = False  # besides looking, every second, whether the waiting list fits what is free


@dataclass(kw_only=True, eq=False)
class Allocator:
    """Carries out the commands of every event's lane, one `run` at a time for each event. One per worker process.

    `now` is the wall clock in UTC, `clock` a monotonic one in seconds.
    """

    redis: Redis
    db: Database
    wake: Wake
    finish: Finish
    hold_for: timedelta
    now: Callable[[], datetime]
    clock: Callable[[], float]
    new_owner: Callable[[], str]
    new_reservation_id: Callable[[], str]
    offer_for: timedelta = timedelta(0)  # for an offer to the waiting list; never shorter than a hold
    holds_max: HoldsMax = HOLDS_MAX
    work: Work = field(default_factory=Work)
    linger_ms: int = LINGER_MS  # 0: release an empty lane at once
    batch_max: int = BATCH_MAX

    def __post_init__(self) -> None:
        self._scripts = LaneScripts(self.redis)
        self._streams = LaneStreams(self.redis)
        self._cached: OrderedDict[str, LaneState] = OrderedDict()

    async def run(self, event_id: str) -> StopReason:
        """Carry out the commands of one event's lane until none waits, for SLICE_S at most.

        Raises LaneUnavailable and StoreError, in a group: the next run goes on where this one stopped.
        """
        owner = self.new_owner()
        if not await self._scripts.take(event_id, owner):
            return StopReason.busy
        try:
            async with asyncio.TaskGroup() as tasks:
                keeper = tasks.create_task(self._keep(event_id, owner))
                stopped = await self._work_with_lease(event_id, owner)
                keeper.cancel()
        except Exception:  # as when the database is away: the next one need not wait for the lease to run out
            await self._scripts.release(event_id, owner, even_if_waiting=True)
            raise
        if stopped is StopReason.lost:
            await self._pass_on(event_id, owner)
        return stopped

    async def _pass_on(self, event_id: str, owner: str) -> None:
        """Wake another allocator at once if only the fence was lost, as when the seat map was replaced."""
        status, oldest = await self._scripts.release(event_id, owner, even_if_waiting=True)
        if status is ReleaseStatus.released and oldest:
            await self.wake(event_id, f"{oldest}:{owner}")

    async def _keep(self, event_id: str, owner: str) -> None:
        """Prolong the lease while a long load or commit runs. Losing it is noticed at the next write."""
        kept = True
        while kept:
            await asyncio.sleep(LEASE_MS / 3000)
            kept = await self._scripts.keep(event_id, owner)

    async def _work_with_lease(self, event_id: str, owner: str) -> StopReason:
        started = self.clock()
        tenure = await self._enter(event_id, owner)
        if tenure is None:
            stopped = await self._without_seats(event_id)
            await self._scripts.release(event_id, owner, even_if_waiting=True)
            return stopped
        stopped = await self._drain(tenure, self.clock() + SLICE_S)
        if stopped in (StopReason.drained, StopReason.sliced):
            self._cache(tenure.state)
        say = log.info if tenure.did_something or stopped is not StopReason.drained else log.debug
        say(
            "allocate",
            event_id=event_id,
            ended=stopped.value,
            commands=tenure.commands,
            batches=tenure.batches,
            version=tenure.state.version,
            ms=round((self.clock() - started) * 1000, 1),
        )
        return stopped

    async def _without_seats(self, event_id: str) -> StopReason:
        """Nobody holds seats in a room of an origin: what frees them when a turn ends is let go of."""
        if await room_windows.get(self.db, event_id) is None:
            log.error("lane_of_unknown_event", event_id=event_id)
            return StopReason.unknown_event
        await self._streams.clear(event_id)
        return StopReason.no_seats

    async def _enter(self, event_id: str, owner: str) -> _Tenure | None:
        """Take a new fence, which shuts earlier owners out, and load the seats unless they are cached at this version.

        Publishes a reload if an earlier owner wrote a version that it did not publish. None: there is no such event.
        """
        fenced = await seats.take_fence(self.db, event_id)
        if fenced is None:
            return None
        state = self._cached.pop(event_id, None)  # put back only when all went well
        if state is None or state.version != fenced.version:
            loaded = await seats.load(self.db, event_id)
            if loaded is None:
                return None
            state = await asyncio.to_thread(LaneState, *loaded)
        newest = await self._streams.newest_published(event_id)
        if (newest.unpack().version if newest else 0) != fenced.version:
            await self._scripts.publish(event_id, owner, pack(Published(version=fenced.version, reload=True)))
        return _Tenure(event_id, owner, fenced.fence, state)

    async def _drain(self, tenure: _Tenure, slice_ends: float) -> StopReason:
        while self.clock() < slice_ends:
            entries = await self._streams.waiting(tenure.event_id, self.batch_max, self.linger_ms)
            if entries:
                if not await self._batch(tenure, entries):
                    return StopReason.lost
                continue
            status, _ = await self._scripts.release(tenure.event_id, tenure.owner)
            if status is not ReleaseStatus.more:
                return StopReason.drained if status is ReleaseStatus.released else StopReason.lost
        status, oldest = await self._scripts.release(tenure.event_id, tenure.owner, even_if_waiting=True)
        if status is ReleaseStatus.lost:
            return StopReason.lost
        if oldest:
            # An id of its own: this very job may have the plain one.
            await self.wake(tenure.event_id, f"{oldest}:{tenure.owner}")
        return StopReason.sliced

    async def _batch(self, tenure: _Tenure, entries: Sequence[CommandEntry]) -> bool:
        """Carry out a batch; if that fails, command by command. False if the lane is another's by now."""
        try:
            return await self._carry_out(tenure, entries)
        except NOT_ITS_FAULT:
            raise
        except Exception as error:
            log.warning("lane_batch_refused", event_id=tenure.event_id, commands=len(entries), error=repr(error))
        return await self._one_by_one(tenure, entries)

    async def _one_by_one(self, tenure: _Tenure, entries: Sequence[CommandEntry]) -> bool:
        """Carry out each command in its own transaction; drop one that fails again, whatever the reason: it would block
        the lane.

        Whoever sent a dropped command gets no outcome and may send it again; the payer sends a Confirm again by itself.
        """
        if not await self._reload(tenure):
            return False
        for entry in entries:
            try:
                mine = await self._carry_out(tenure, [entry])
            except NOT_ITS_FAULT:
                raise
            except Exception as error:
                command = entry.packed.decode(errors="replace")
                self.work.commands_dropped += 1
                log.error("lane_command_dropped", event_id=tenure.event_id, command=command, error=repr(error))
                mine = await self._reload(tenure) and await self._publish(tenure, [entry], [], [])
            if not mine:
                return False
        return True

    async def _reload(self, tenure: _Tenure) -> bool:
        """Load the seats from SQL after a write that failed; False if the event no longer exists."""
        loaded = await seats.load(self.db, tenure.event_id)
        if loaded is None:
            return False
        tenure.state = await asyncio.to_thread(LaneState, *loaded)
        return True

    async def _carry_out(self, tenure: _Tenure, entries: Sequence[CommandEntry]) -> bool:
        """Decide, write, publish; False if the lane is another's by now."""
        began = self.clock()
        commands = _decoded(tenure.event_id, entries)
        decisions = await self._write(tenure, commands)
        if decisions is None:
            return False
        if decisions.finished:
            await self.finish(tenure.event_id, decisions.finished)
        is_look = all(isinstance(command, OfferToWaitlist) for command in commands)
        tenure.did_something |= bool(decisions.seats) or not is_look
        tenure.commands += len(commands)
        tenure.batches += 1
        # Last, because it takes the commands off the lane: a crash before it makes another allocator repeat all this.
        published = await self._publish(tenure, entries, decisions.seats, decisions.outcomes)
        self._count(tenure.event_id, decisions, self.clock() - began)
        return published

    async def _publish(
        self, tenure: _Tenure, entries: Sequence[CommandEntry], changed: list[tuple[int, int]], outcomes: list[Outcome]
    ) -> bool:
        published = Published(version=tenure.state.version, seats=changed, outcomes=outcomes)
        done = [entry.entry_id for entry in entries]
        status = await self._scripts.publish(tenure.event_id, tenure.owner, pack(published), done)
        return status is PublishStatus.published

    def _count(self, event_id: str, decisions: Decisions, took_s: float) -> None:
        self.work.batches.add(len(decisions.outcomes))
        self.work.batch_s.add(took_s)
        for late_s in decisions.late_s:
            self.work.release_s.add(late_s)
        for outcome in decisions.outcomes:
            self.work.answered(event_id, outcome.status)

    async def _write(self, tenure: _Tenure, commands: Sequence[Command]) -> Decisions | None:
        state, now = tenure.state, self.now()
        return await seats.apply(
            self.db,
            seats.Fenced(tenure.fence, state.version),
            tenure.event_id,
            [command.id for command in commands],
            state.needs(commands),
            partial(self._decide, state, commands, now),
            now,
            ending=state.ends(commands),
            holders=[command.holder for command in commands if isinstance(command, Hold)],
        )

    def _decide(self, state: LaneState, commands: Sequence[Command], now: datetime, known: Known) -> Decisions:
        return decide(
            state,
            commands,
            known,
            now=now,
            hold_for=self.hold_for,
            new_id=self.new_reservation_id,
            offer_for=self.offer_for,
            holds_max=self.holds_max,
        )

    def _cache(self, state: LaneState) -> None:
        self._cached[state.event_id] = state
        if len(self._cached) > LANES_CACHED_MAX:
            self._cached.popitem(last=False)


async def allocate(ctx: dict[str, Any], event_id: str) -> str:
    """The arq job: one slice of one event's lane. `ctx["allocator"]` is made when the worker starts."""
    allocator: Allocator = ctx["allocator"]
    return (await allocator.run(event_id)).value


def _decoded(event_id: str, entries: Sequence[CommandEntry]) -> list[Command]:
    """The commands of these entries. One that cannot be read is logged and dropped: it would block the lane."""
    commands = []
    for entry_id, packed in entries:
        try:
            commands.append(unpack_command(packed))
        except msgspec.MsgspecError as error:
            log.error("lane_entry_dropped", event_id=event_id, entry=entry_id.decode(), error=str(error))
    return commands
