"""A waiting room on real stores for tests: time passes only when told to, and Redis's clock can be set wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redis.asyncio import Redis

from app import redis_keys
from app.audit import invariants
from app.domain.line import RoomState
from app.ledger import events, rooms
from app.ledger.database import Database
from app.room.answers import Changed, Claimed, Joined, LeaveStatus, RoomSnapshot, Tick
from app.room.draws import read_ranks
from app.room.record import Birth
from app.room.scripts import RoomScripts
from app.room.timing import Timing
from app.room.view import LineView
from tests.lane.world import START, spec

EVENT = "gig"
START_MS = 1_800_000_000_000
BOUND = 1_000
RATE, BURST = 50, 10  # of a busy room, people per second
TIMING = Timing(presence_window_s=120, claim_window_s=60, pass_s=300)
BIRTH = Birth(
    epoch=1,
    number=0,
    bound=BOUND,
    cursor=0,
    state=RoomState.open,
    opens_ms=0,
    rate_per_s=10.0,
    burst=5,
    max_active=50,
)


@dataclass
class Clock:
    """`steady_ms` is the time that really passes; Redis's clock is that, and what somebody set it wrong by."""

    steady_ms: int = START_MS
    wrong_by_ms: int = 0

    @property
    def redis_ms(self) -> int:
        return self.steady_ms + self.wrong_by_ms

    def pass_ms(self, ms: int) -> None:
        self.steady_ms += ms


@dataclass
class Ticker:
    """One worker's admission ticks: what the admitter remembers between them."""

    room: Room
    last: tuple[int, float] | None = None

    async def tick(self, reaches_redis_after_ms: int = 0) -> Tick:
        clock, room = self.room.clock, self.room
        now_ms = clock.steady_ms
        called_ms, since_ms = self.last or (now_ms, None)
        clock.pass_ms(reaches_redis_after_ms)
        answer = await room.scripts.tick(EVENT, room.epoch, now_ms - called_ms, clock.redis_ms, since_ms=since_ms)
        self.last = (now_ms, answer.refilled_ms)
        return answer


@dataclass
class Room:
    redis: Redis
    db: Database
    timing: Timing = TIMING
    clock: Clock = field(default_factory=Clock)
    epoch: int = 1

    def __post_init__(self) -> None:
        self.scripts = RoomScripts(self.redis, self.timing)

    async def make(self, **given: Any) -> Room:
        """Make the room, with BIRTH but for what is given; its bound is reserved first, as the keeper does."""
        birth = replace(BIRTH, **given)
        await events.create(self.db, spec(EVENT), START)
        await rooms.reserve_numbers(self.db, EVENT, birth.bound, generation=0)
        assert await self.scripts.create(EVENT, birth, self.clock.redis_ms)
        self.epoch = birth.epoch
        return self

    async def make_again(self, **given: Any) -> None:
        """Make the room as after a loss of Redis."""
        assert await self.scripts.create(EVENT, replace(BIRTH, **given), self.clock.redis_ms)

    async def join(self, *holders: str, wish: str = "") -> list[Joined]:
        people = [(holder, wish) for holder in holders]
        return (await self.scripts.join(EVENT, self.epoch, people, self.clock.redis_ms))[2]

    async def crowd(self, size: int, first: int = 1) -> list[int]:
        """`size` new people join; answers their numbers."""
        return [joined.number for joined in await self.join(*(f"h{n}" for n in range(first, first + size)))]

    async def listened(self, ms: int) -> None:
        """So long passes while a web process tells all along whom it sees: nobody."""
        for passed_ms in range(0, ms, self.timing.slot_ms // 2):
            await self.seen()
            self.clock.pass_ms(min(self.timing.slot_ms // 2, ms - passed_ms))
        await self.seen()

    async def seen(self, *numbers: int) -> int:
        return await self.scripts.seen(EVENT, self.epoch, numbers, self.clock.redis_ms)

    async def holder_of(self, number: int) -> str:
        """Who has it, as Redis knows; "nobody" if it does not."""
        async for key in self.redis.scan_iter(redis_keys.of_epoch(EVENT, self.epoch, "holders:*")):
            for holder, kept in (await self.redis.hgetall(key)).items():  # type: ignore[misc]
                if int(kept) == number:
                    return str(holder.decode())
        return "nobody"

    async def claim(self, number: int, holder: str | None = None) -> Claimed:
        """As its holder, or as somebody else."""
        holder = holder or await self.holder_of(number)
        return await self.scripts.claim(EVENT, self.epoch, number, holder, self.clock.redis_ms)

    async def leave(self, number: int, holder: str | None = None) -> LeaveStatus:
        """Leave, with the command for the lane named after the number; the status."""
        holder, release_id = holder or await self.holder_of(number), f"drop:{number}"
        left = await self.scripts.leave(EVENT, self.epoch, number, holder, self.clock.redis_ms, release_id=release_id)
        return left.status

    async def restore(self, *people: tuple[int, str]) -> int:
        return await self.scripts.restore(EVENT, self.epoch, people, self.clock.redis_ms)

    async def change(self, **fields: Any) -> Changed:
        return await self.scripts.change(EVENT, fields, self.clock.redis_ms)

    def ticker(self) -> Ticker:
        return Ticker(self)

    async def tick(self, ms: int = 1_000) -> Tick:
        """One tick by a worker that saw all of the last `ms` pass."""
        self.clock.pass_ms(ms)
        return await self.scripts.tick(EVENT, self.epoch, ms, self.clock.redis_ms)

    async def view(self) -> LineView:
        view = LineView(EVENT, draw_ms=self.timing.draw_ms)
        snapshot = await self.snapshot()
        view.load(snapshot, await read_ranks(self.redis, EVENT, self.epoch, snapshot.record.drawn))
        return view

    async def snapshot(self) -> RoomSnapshot:
        found = await self.scripts.snapshot(EVENT, self.epoch)
        assert found is not None
        return found

    async def log(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        entries: list[tuple[bytes, dict[bytes, bytes]]] = await self.redis.xrange(redis_keys.room_log(EVENT))
        return entries

    async def let_in(self) -> list[int]:
        """Every number let in so far, in that order, by the log."""
        admits = [entry[b"a"] for _, entry in await self.log() if entry[b"k"] == b"admit"]
        return [int(number) for csv in admits if csv for number in csv.split(b",")]

    async def field(self, name: str) -> float:
        value = await self.redis.hget(redis_keys.room(EVENT), name)  # type: ignore[misc]  # redis-py types it for both clients
        assert value is not None
        return float(value)

    async def violations(self) -> list[invariants.Violation]:
        return await invariants.check(self.redis, self.db, EVENT)


async def nobody_owns(holders: Iterable[str]) -> dict[str, str]:
    """For Presence: no account took anybody over."""
    return {}


async def nobody_bought(event_id: str, epoch: int, numbers: Sequence[int]) -> set[int]:
    """For a Presence: nobody was served before the loss."""
    return set()


def numbers(joined: Sequence[Joined]) -> list[int]:
    return [each.number for each in joined]
