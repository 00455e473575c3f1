"""How many seat commands one lane carries: the allocator as it is, against itself with a transaction per command."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median_low
from typing import NamedTuple

from app.domain.reservation import SeatStatus
from app.lane.commands import Cancel, Command, Confirm, Hold, pack
from app.lane.scripts import LaneScripts
from app.ledger import events
from app.ledger.database import Database, open_database
from app.room.scripts import RoomScripts
from config.settings import Settings
from loadtest.bench import room
from loadtest.bench.machine import SERVER_CORE, on_cores
from loadtest.bench.processes import redis, scratch
from loadtest.bench.report import BenchError, Row, Say
from workers.allocator import BATCH_MAX, Allocator, StopReason

COMMANDS = 20_000
COMMANDS_ONE_BY_ONE = 1_000
ROUNDS = 3
BEHIND = 100  # a hold is paid or given back when so many others have come after it
COMMANDS_PER_CALL = 500


def measure(say: Say) -> list[Row]:
    with scratch() as settings, redis(settings), on_cores(SERVER_CORE):
        batched, single = asyncio.run(_by_turns(settings, say))
    return [
        Row(
            what="lane, commands through the allocator",
            value=batched.per_s,
            unit="/s",
            at_least=10_000,
            note=batched.note,
        ),
        Row(what="  one transaction per command", value=single.per_s, unit="/s", note=single.note),
        Row(what="  allocator against that", value=batched.per_s / single.per_s, unit="×", at_least=10),
    ]


class Speed(NamedTuple):
    """Commands per second, and processor time of the allocator's process for each."""

    per_s: float
    cpu_us: float

    @property
    def note(self) -> str:
        return f"{self.cpu_us:.0f} µs of its core each"


async def _by_turns(settings: Settings, say: Say) -> tuple[Speed, Speed]:
    """The median round in batches, and the one of one by one."""
    batched: list[Speed] = []
    single: list[Speed] = []
    db = open_database(settings.database)
    async with room.scripts_of(settings) as scripts:
        for turn in range(ROUNDS):
            batched.append(await _round(BATCH_MAX, scripts, db, f"batched-{turn}", COMMANDS))
            single.append(await _round(1, scripts, db, f"single-{turn}", COMMANDS_ONE_BY_ONE))
            say(f"round {turn + 1} of {ROUNDS}: {batched[-1].per_s:,.0f}/s in batches, {single[-1].per_s:,.0f}/s alone")
    await db.close()
    return median_low(batched), median_low(single)


async def _round(batch_max: int, scripts: RoomScripts, db: Database, event_id: str, count: int) -> Speed:
    """How fast so many commands go through a lane of their own."""
    people = count // 2
    await events.create(db, room.hall(event_id, people), datetime.now(UTC))
    await room.make(scripts, event_id)
    holders = await room.fill(scripts, event_id, people)
    allocator = _allocator(batch_max, scripts, db, event_id)
    await allocator.run(event_id)  # it knows the seats from here on
    lane, packed = LaneScripts(scripts.redis), [pack(command) for command in _commands(event_id, holders)]
    for start in range(0, count, COMMANDS_PER_CALL):
        await lane.send(event_id, packed[start : start + COMMANDS_PER_CALL])
    began_s, used_s = time.perf_counter(), time.process_time()
    while await allocator.run(event_id) is StopReason.sliced:
        continue
    took_s, used_s = time.perf_counter() - began_s, time.process_time() - used_s
    await _check(db, event_id, people)
    return Speed(count / took_s, used_s / count * 1e6)


def _allocator(batch_max: int, scripts: RoomScripts, db: Database, event_id: str) -> Allocator:
    """As a worker makes it, but reservation ids are counted: a payment can be sent before its hold is answered."""
    owners, reservations = itertools.count(1), itertools.count(1)

    async def wake(_event_id: str, _entry_id: str) -> None:
        """Nobody needs to be woken: we call again."""

    return Allocator(
        redis=scripts.redis,
        db=db,
        wake=wake,
        finish=scripts.end_served,
        hold_for=timedelta(minutes=5),
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        new_owner=lambda: f"owner-{next(owners)}",
        new_reservation_id=lambda: _reservation(event_id, next(reservations)),
        linger_ms=1,
        batch_max=batch_max,
    )


def _reservation(event_id: str, number: int) -> str:
    return f"r_{event_id}_{number}"


def _commands(event_id: str, holders: Sequence[str]) -> list[Command]:
    """Everyone holds a seat of their own; half pay for it, half give it back."""
    holds: list[Command] = []
    ends: list[Command] = []
    for number, holder in enumerate(holders, start=1):
        seat, reservation = f"s{number - 1}", _reservation(event_id, number)
        holds.append(Hold(id=f"hold:{number}", holder=holder, number=number, epoch=room.EPOCH, seat_ids=[seat]))
        if number % 2:
            ends.append(
                Confirm(
                    id=f"confirm:{number}",
                    reservation_id=reservation,
                    holder=holder,
                    method="kakao_pay",
                    reference=f"paid-{reservation}",
                )
            )
        else:
            ends.append(Cancel(id=f"cancel:{number}", reservation_id=reservation, holder=holder))
    mixed = [command for pair in zip(holds[BEHIND:], ends, strict=False) for command in pair]
    return [*holds[:BEHIND], *mixed, *ends[len(holds) - BEHIND :]]


async def _check(db: Database, event_id: str, people: int) -> None:
    snapshot = await events.seat_snapshot(db, event_id)
    sold = snapshot.statuses.count(SeatStatus.sold) if snapshot else 0
    if sold != people // 2:
        raise BenchError(f"{sold} seats of {event_id} are sold, not {people // 2}")
