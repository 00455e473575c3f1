"""A room on standby: below rate and capacity nobody waits, above them a line is made, and it dissolves afterwards.

Simulated: visitors come, stay and go, while time passes only when it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from redis.asyncio import Redis

from app import redis_keys
from app.ledger.database import Database
from app.origins.standby import DISSOLVES_AFTER_S, StandbyLines
from app.room.entering import enter
from app.room.person import Person
from app.room.scripts import TickCall
from app.room.view import LineView
from tests.room.room import EVENT, Room, Ticker

RATE, BURST, STAY_S = 20, 20, 5
CAPACITY = RATE * STAY_S * 2
TICK_MS = 100


@dataclass
class Rush:
    """Visitors who come at random. `waited`: how many of those who came had to join a line; `changes`: when the room
    showed or hid itself, in seconds."""

    room: Room
    lines: StandbyLines
    view: LineView
    random: Random = field(default_factory=lambda: Random(7))
    came: int = 0
    waited: int = 0
    changes: list[float] = field(default_factory=list)
    inside: list[tuple[int, int]] = field(default_factory=list)  # (when they go, number)
    is_up: bool = False
    refilled: float | None = None
    waiting: dict[int, str] = field(default_factory=dict)

    @property
    def now_s(self) -> float:
        return self.room.clock.redis_ms / 1000

    async def run(self, seconds: float, load: float, ticker: Ticker) -> None:
        for _ in range(int(seconds * 1000 / TICK_MS)):
            self.room.clock.pass_ms(TICK_MS)
            arrivals = sum(self.random.random() < load * RATE * TICK_MS / 1000 / 10 for _ in range(10))
            await self._arrive(arrivals)
            await ticker.tick()
            await self._follow()

    async def _arrive(self, people: int) -> None:
        names = [f"v{self.came + n}" for n in range(people)]
        self.came += people
        if not names:
            return
        call = TickCall(EVENT, 1, float(TICK_MS) if self.refilled is not None else 0.0, self.refilled)
        asked, now_ms = [Person(name) for name in names], self.room.clock.redis_ms
        entered = await enter(self.room.scripts, call, asked, now_ms, made_in=0, pass_s=STAY_S)
        self.refilled = entered.refilled_ms or None
        outside = [name for name, number in zip(names, entered.numbers, strict=True) if not number]
        self.waited += len(outside)
        if outside:
            self.waiting |= {
                one.number: name for name, one in zip(outside, await self.room.join(*outside), strict=True)
            }

    async def _follow(self) -> None:
        log = redis_keys.room_log(EVENT)
        for log_id, entry in await self.room.redis.xrange(log, min=b"(" + self.view.log_id):
            assert self.view.apply(log_id, entry)
            self.lines.see(self.view)
        for number in sorted(self.view.admitted.keys() & self.waiting.keys()):
            holder, now_ms = self.waiting.pop(number), self.room.clock.redis_ms
            await self.room.scripts.claim(EVENT, 1, number, holder, now_ms, pass_s=STAY_S)
        if self.waiting:
            await self.room.seen(*self.waiting)
        if self.lines.is_up(self.view) is not self.is_up:
            self.is_up = not self.is_up
            self.changes.append(self.now_s)


async def begun(redis: Redis, ledger: Database) -> tuple[Rush, Ticker]:
    room = await Room(redis, ledger).make(rate_per_s=float(RATE), burst=BURST, max_active=CAPACITY, bound=1_000_000)
    ticker = room.ticker()
    await ticker.tick()
    room.clock.pass_ms(60_000)
    await ticker.tick()
    return Rush(room, StandbyLines(lambda: room.clock.redis_ms / 1000), await room.view()), ticker


async def test_at_four_fifths_of_the_rate_nobody_sees_a_room(redis: Redis, ledger: Database) -> None:
    rush, ticker = await begun(redis, ledger)
    await rush.run(30, 0.8, ticker)
    assert rush.came > 0.7 * RATE * 30
    assert (rush.waited, rush.changes) == (0, [])
    assert await rush.room.violations() == []


async def test_at_twice_the_rate_a_line_is_made_and_dissolves_afterwards(redis: Redis, ledger: Database) -> None:
    rush, ticker = await begun(redis, ledger)
    await rush.run(30, 2.0, ticker)
    assert rush.waited > 0.3 * rush.came
    assert len(rush.changes) == 1, "made once"
    assert await rush.room.violations() == [], "neither rate nor order nor capacity is broken by both ways in"
    await rush.run(80, 0.1, ticker)
    assert not rush.waiting
    assert len(rush.changes) == 2, "made once, dissolved once"
    assert await rush.room.violations() == []


async def test_at_the_edge_the_room_does_not_come_and_go(redis: Redis, ledger: Database) -> None:
    rush, ticker = await begun(redis, ledger)
    await rush.run(90, 1.0, ticker)
    for at_s in rush.changes:
        assert sum(at_s <= each < at_s + 60 for each in rush.changes) < 3 * 2, "made and dissolved, each"
    assert await rush.room.violations() == []


async def test_a_line_is_up_while_somebody_waits_and_for_a_while_after(redis: Redis, ledger: Database) -> None:
    room = await Room(redis, ledger).make()
    now = [0.0]
    lines, view = StandbyLines(lambda: now[0]), await room.view()
    assert not lines.is_up(view)
    await room.join("anna")
    view = await room.view()
    now[0] = 1.0
    assert lines.is_up(view)
    now[0] = 100.0
    lines.see(view)
    await room.tick(1_000)
    view = await room.view()
    lines.see(view)
    now[0] = 100.0 + DISSOLVES_AFTER_S - 0.1
    assert lines.is_up(view)
    now[0] = 100.0 + DISSOLVES_AFTER_S
    assert not lines.is_up(view)
