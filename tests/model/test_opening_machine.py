"""The opening of a drawn line against a plain-Python model, on real Redis and SQLite: whatever people, workers and a
loss of Redis do, there is one draw, over everybody who entered and stayed, and they are let in in its order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from redis.asyncio import Redis

from app.audit import invariants
from app.control import sale_schedule
from app.control.opening_draw import make_draw
from app.control.sale_schedule import RECOVER_MS
from app.domain import draw
from app.domain.line import DrawStage, Place, RoomState
from app.domain.ticket import HOLDER_BYTES, account_holder, holder_text
from app.ledger import draws
from app.ledger.database import Database, open_database
from app.room import scripts
from app.room.guest_places import GuestPlace, merge
from app.room.record import RoomRecord, Schedule
from tests.control.lobby import DRAW_MS, LOBBY_MS, Lobby, lose_redis, made
from tests.lane.audit import empty
from tests.room.room import EVENT, START_MS, Clock

BROWSERS = [holder_text(n.to_bytes(HOLDER_BYTES, "big")) for n in range(6)]
ACCOUNTS = [holder_text(account_holder(str(n))) for n in range(3)]
EPOCH = 1


@dataclass
class Model:
    """`owned`: the number that a holder has or last had; `fixed`: who held which entry when entries closed."""

    opens_ms: int
    number: int = 0
    stage: DrawStage = DrawStage.ahead
    owned: dict[str, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    fixed: list[str] | None = None
    order: list[int] | None = None

    def enter(self, holder: str) -> tuple[str, int]:
        number = self.owned.get(holder, 0)
        if number and number in self.ended and self.stage is DrawStage.ahead:
            self.ended.remove(number)
        elif not number or number in self.ended:
            self.number = self.owned[holder] = self.number + 1
            return "joined", self.number
        return "already", number

    def leave(self, holder: str) -> None:
        self.ended.add(self.owned[holder])

    def living(self) -> dict[int, str]:
        return {number: holder for holder, number in self.owned.items() if number not in self.ended}

    def rank(self, number: int) -> int:
        drawn = self.order if self.stage is DrawStage.done and self.order else []
        return drawn.index(number) + 1 if number in drawn else number

    def merge(self, browser: str, account: str) -> tuple[str, int]:
        theirs, own = (0 if (n := self.owned.get(each, 0)) in self.ended else n for each in (browser, account))
        if not theirs:
            return ("kept" if own else "none"), own
        kept = min((n for n in (theirs, own) if n), key=self.rank)
        self.ended |= {theirs, own} - {0, kept}
        del self.owned[browser]
        self.owned[account] = kept
        return ("kept" if kept == own else "merged"), kept

    def tick(self, now_ms: int) -> None:
        if self.stage is DrawStage.ahead and self.opens_ms + DRAW_MS <= now_ms:
            self.stage = DrawStage.closed

    def holders(self) -> list[bytes]:
        found = {number: holder for holder, number in self.owned.items()}
        return [found.get(number, "").encode() for number in range(1, self.number + 1)]


class OpeningMachine(RuleBasedStateMachine):
    runner: asyncio.Runner
    redis: Redis
    db: Database
    clock: Clock

    def do(self, work: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await work

        return self.runner.run(wait())

    @initialize(seed=st.integers(0, 99))
    def start(self, seed: int) -> None:
        self.clock.steady_ms, self.clock.wrong_by_ms = START_MS, 0
        self.do(self.redis.flushall())
        self.do(empty(self.db))
        self.lobby: Lobby = self.do(made(self.redis, self.db, random.Random(seed).randbytes, max_active=0))
        self.lobby.room.clock = self.clock
        self.model = Model(self.do(self.lobby.record()).opens_ms)
        self.closed: RoomRecord | None = None  # what a worker read before it was held up
        self.entries = 0

    @property
    def now_ms(self) -> int:
        return self.clock.redis_ms

    @rule(people=st.lists(st.sampled_from([*BROWSERS, *ACCOUNTS]), max_size=6))
    def enter(self, people: list[str]) -> None:
        joined = self.do(self.lobby.room.join(*people))
        assert [(each.status, each.number) for each in joined] == [self.model.enter(each) for each in people]

    @rule(holder=st.sampled_from([*BROWSERS, *ACCOUNTS]))
    def leave(self, holder: str) -> None:
        number = self.model.owned.get(holder)
        if number is None:
            return
        status = self.do(self.lobby.room.leave(number, holder))
        assert status == ("already" if number in self.model.ended else "left")
        self.model.leave(holder)

    @rule(browser=st.sampled_from(BROWSERS), account=st.sampled_from(ACCOUNTS))
    def log_in(self, browser: str, account: str) -> None:
        (answer,) = self.do(merge(self.lobby.room.scripts, [GuestPlace(EVENT, EPOCH, browser)], account))
        assert answer == self.model.merge(browser, account)

    @rule(ms=st.sampled_from([0, 1_000, DRAW_MS, LOBBY_MS // 2, LOBBY_MS]))
    def tick(self, ms: int) -> None:
        self.clock.pass_ms(ms)
        self.do(self.lobby.commit())
        self.do(self.lobby.tick())
        self.model.tick(self.now_ms)

    @precondition(lambda self: self.model.stage is DrawStage.ahead)
    @rule(by_ms=st.sampled_from([DRAW_MS, LOBBY_MS]))
    def move_the_opening(self, by_ms: int) -> None:
        self.model.opens_ms = self.now_ms + by_ms
        schedule = Schedule(opens_ms=self.model.opens_ms, version=self.now_ms)
        self.do(self.lobby.room.scripts.schedule(EVENT, schedule, self.now_ms))

    @precondition(lambda self: self.model.stage is DrawStage.closed)
    @rule(dies=st.booleans())
    def draw(self, dies: bool) -> None:
        """A worker draws; or dies when it has fixed the entries, or is only held up: it goes on much later."""
        self.closed = self.closed or self.do(self.lobby.record())
        record = self.do(self.lobby.record())
        if self.model.fixed is None:
            self.model.fixed = [holder.decode() for holder in self.model.holders()[: record.entries]]
            self.entries = record.entries
        if dies:
            row = self.do(self.lobby.row())
            leaves = draw.leaves_of(row.secret, [each.encode() for each in self.model.fixed])
            people = sum(number not in self.model.ended for number in range(1, self.entries + 1))
            self.do(draws.fix(self.db, row, self.entries, people, draw.root_of(leaves), None))
            return
        self.do(self.lobby.draw())
        self._is_drawn()

    @precondition(lambda self: self.model.stage is DrawStage.ahead and len(self.model.living()) > 1)
    @rule()
    def open(self) -> None:
        """The opening passes, and a worker draws."""
        self.tick(max(0, self.model.opens_ms + DRAW_MS - self.now_ms))
        self.draw(dies=False)

    @precondition(lambda self: self.closed is not None)
    @rule()
    def go_on(self) -> None:
        """The worker that was held up goes on with what it had read."""
        assert self.closed is not None
        if self.model.fixed is None:
            return
        room = self.lobby.room
        self.do(make_draw(room.scripts, room.db, EVENT, self.closed, self.lobby.now, self.now_ms))
        if self.model.stage is DrawStage.closed:
            self._is_drawn()

    def _is_drawn(self) -> None:
        self.model.stage = DrawStage.done
        if self.model.order is None:
            self.model.order = self.do(self.lobby.order())
            assert sorted(self.model.order) == list(range(1, self.entries + 1))

    @rule(silent=st.sets(st.sampled_from([*BROWSERS, *ACCOUNTS]), max_size=2))
    def lose_redis(self, silent: set[str]) -> None:
        """Everybody but the silent shows their ticket again. A draw that was not fixed is over who is there then."""
        is_fixed = self.do(self.lobby.row()).root is not None
        self.do(lose_redis(self.lobby))
        room, model = self.lobby.room, self.model
        back = {number: holder for number, holder in model.living().items() if holder not in silent}
        assert self.do(room.scripts.restore(EVENT, EPOCH, list(back.items()), self.now_ms)) == len(back)
        model.number = self.do(self.lobby.record()).number
        model.ended = set(range(1, model.number + 1)) - set(back)
        model.owned = {holder: number for number, holder in back.items()}
        if is_fixed:
            self._is_drawn()
        else:
            model.stage, model.fixed, self.closed = DrawStage.ahead, None, None
        self.tick(RECOVER_MS)

    @invariant()
    def the_draw_is_as_far_as_it_should_be(self) -> None:
        record = self.do(self.lobby.record())
        assert (record.number, record.draw) == (self.model.number, self.model.stage)
        assert self.do(self.lobby.row()).commitment.hex() == record.commitment or record.draw is DrawStage.done

    @invariant()
    def everybody_stands_where_the_draw_put_them(self) -> None:
        model, view = self.model, self.do(self.lobby.room.view())
        living = sorted(model.living(), key=model.rank)
        if model.stage is DrawStage.closed:
            return  # for the moment of the draw
        if model.stage is DrawStage.ahead:
            assert {view.position(number)[2] for number in living} <= {len(living)}
            assert {view.position(number).place for number in living} <= {Place.lobby}
            return
        assert [view.position(number).ahead for number in living] == list(range(len(living)))

    @invariant()
    def the_order_is_the_one_that_anybody_computes(self) -> None:
        if self.model.order is None:
            return
        row = self.do(self.lobby.row())
        assert self.model.fixed is not None
        leaves = draw.leaves_of(row.secret, [each.encode() for each in self.model.fixed])
        assert row.root == draw.root_of(leaves)
        assert self.model.order == draw.order_of(draw.key_of(row.seed, row.root), self.entries).tolist()
        assert self.do(self.lobby.order()) == self.model.order

    @invariant()
    def the_invariants_hold(self) -> None:
        assert self.do(invariants.check(self.redis, self.db, EVENT)) == []

    def teardown(self) -> None:
        """The line goes on to its end."""
        if not hasattr(self, "model"):
            return
        while self.model.stage is not DrawStage.done:
            if self.model.stage is DrawStage.ahead:
                self.tick(LOBBY_MS)
            else:
                self.draw(dies=False)
        room, model = self.lobby.room, self.model
        self.do(room.change(max_active=1_000, rate=1_000.0, burst=100))
        expected = sorted(model.living(), key=model.rank)
        for _ in range(len(expected) + 2):
            self.do(room.seen(*expected))
            self.clock.pass_ms(100)
            self.do(self.lobby.tick())
        assert self.do(room.let_in()) == expected
        assert self.do(self.lobby.record()).state is RoomState.open


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(600)
def test_an_opening_is_what_the_model_says(
    redis_socket: Path, tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(scripts, "_now", lambda now_ms: clock.redis_ms if now_ms is None else now_ms)
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 50)

    async def open_stores() -> tuple[Redis, Database]:
        db = open_database(f"sqlite+aiosqlite:///{tmp_path / 'line.db'}")
        await db.create_all()
        return Redis(unix_socket_path=str(redis_socket)), db

    async def close_stores() -> None:
        await redis.flushall()
        await redis.aclose()
        await db.close()

    redis, db = runner.run(open_stores())
    stores = {"redis": redis, "db": db, "runner": runner, "clock": clock}
    try:
        machine = type("Machine", (OpeningMachine,), stores)
        run(
            machine,
            settings=settings(
                max_examples=25,
                stateful_step_count=25,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            ),
        )
    finally:
        runner.run(close_stores())
