"""A small event with its lane, on real stores, for tests: time and ids are theirs to decide."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from app import redis_keys
from app.domain.wish import Wish
from app.lane.commands import Command, Confirm, Hold, Outcome, pack, unpack_published
from app.lane.live_holds import HOLDS_MAX, HoldsMax
from app.lane.scripts import LaneScripts
from app.ledger import events
from app.ledger.database import Database
from workers.allocator import Allocator

EVENT = "gig"
START = datetime(2026, 5, 1, 11, 0, tzinfo=UTC)
HOLD_FOR = timedelta(seconds=300)
ROWS, SEATS_PER_ROW = 2, 6


@dataclass
class Time:
    """A wall clock and a monotonic one that move only when told to."""

    at: datetime = START
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.at

    def clock(self) -> float:
        return self.seconds

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class World:
    redis: Redis
    db: Database
    time: Time = field(default_factory=Time)
    woken: list[tuple[str, str]] = field(default_factory=list)
    finished: list[tuple[str, int, int]] = field(default_factory=list)
    ids: itertools.count[int] = field(default_factory=itertools.count)
    holds_max: HoldsMax = HOLDS_MAX

    async def wake(self, event_id: str, entry_id: str) -> None:
        self.woken.append((event_id, entry_id))

    async def finish(self, event_id: str, places: Sequence[tuple[int, int]]) -> None:
        self.finished += [(event_id, epoch, number) for epoch, number in places]

    def allocator(self, redis: Redis | None = None, db: Database | None = None) -> Allocator:
        return Allocator(
            redis=redis or self.redis,
            db=db or self.db,
            wake=self.wake,
            finish=self.finish,
            hold_for=HOLD_FOR,
            now=self.time.now,
            clock=self.time.clock,
            new_owner=lambda: f"owner-{next(self.ids)}",
            new_reservation_id=lambda: f"r_{next(self.ids)}",
            holds_max=self.holds_max,
            linger_ms=0,
        )

    async def send(self, *commands: Command, event_id: str = EVENT) -> None:
        await LaneScripts(self.redis).send(event_id, [pack(command) for command in commands])

    async def do(self, *commands: Command) -> list[Outcome]:
        """Send, allocate, and give the outcomes in the order of the commands."""
        await self.send(*commands)
        await self.allocator().run(EVENT)
        answers = await self.answers()
        return [answers[command.id][-1] for command in commands]

    async def answers(self, event_id: str = EVENT) -> dict[str, list[Outcome]]:
        """Every published outcome by command id, oldest first."""
        found: dict[str, list[Outcome]] = {}
        for _, fields in await self.redis.xrange(redis_keys.lane_out(event_id)):
            for outcome in unpack_published(fields[b"o"]).outcomes:
                found.setdefault(outcome.id, []).append(outcome)
        return found

    async def statuses(self) -> bytes:
        snapshot = await events.seat_snapshot(self.db, EVENT)
        assert snapshot is not None
        return snapshot.statuses


def spec(event_id: str = EVENT, rows: int = ROWS, seats_per_row: int = SEATS_PER_ROW) -> events.EventSpec:
    """Row 0 is grade R, the others S; the focal point is before the middle of row 0."""
    return events.EventSpec(
        id=event_id,
        title="Gig",
        venue="Hall",
        starts_at=START + timedelta(days=3650),
        opens_at=START,
        grades=[events.GradeSpec(name="R", price=100), events.GradeSpec(name="S", price=50)],
        seats=[
            events.SeatSpec(
                section="A",
                row=str(row),
                number=column + 1,
                grade="R" if row == 0 else "S",
                x=float(column),
                y=float(row),
            )
            for row in range(rows)
            for column in range(seats_per_row)
        ],
        focal=(seats_per_row / 2, -1.0),
        layout={"stage": "front"},
    )


async def make_world(redis: Redis, db: Database) -> World:
    await events.create(db, spec(), START)
    return World(redis, db)


def hold(
    command_id: str, seats: Iterable[int] = (), *, holder: str = "ann", number: int | None = None, epoch: int = 1
) -> Hold:
    return Hold(
        id=command_id,
        holder=holder,
        number=number,
        epoch=None if number is None else epoch,
        seat_ids=[f"s{idx}" for idx in seats],
    )


def wishing(
    command_id: str, quantity: int, grades: Sequence[str] = (), *, holder: str = "ann", number: int | None = None
) -> Hold:
    wish = Wish(quantity=quantity, grades=tuple(grades))
    return Hold(id=command_id, holder=holder, number=number, epoch=None if number is None else 1, wish=wish)


def confirm(command_id: str, reservation_id: str, *, holder: str = "ann", reference: str = "pay-1") -> Confirm:
    return Confirm(id=command_id, reservation_id=reservation_id, holder=holder, method="kakao_pay", reference=reference)
