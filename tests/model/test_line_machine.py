"""The line against a plain-Python model, on real Redis and SQLite: whatever people, operators, workers and clocks do,
in whatever order, Redis, the model and every web process's memory agree, and the invariants hold after every step.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from app.audit import invariants
from app.audit.line_replay import due_of
from app.control import sale_schedule
from app.control.rooms import RefusedChange, RoomChange
from app.domain.admission import LATE_MAX_MS, Allowance, Bucket, Clocks
from app.domain.announcement import Messages
from app.domain.line import Door, RoomState
from app.domain.ticket import HOLDER_BYTES, account_holder, holder_text
from app.ledger.database import open_database
from app.room import live_rooms, scripts
from app.room.entering import enter
from app.room.guest_places import GuestPlace, merge
from app.room.person import Person
from app.room.scripts import TickCall
from tests.lane.audit import empty
from tests.model.line import Model
from tests.model.parts import EVENT, WORKERS, Line, Stores, numbers
from tests.room.room import START_MS, TIMING, Clock
from workers import admitter

HOLDERS = [*(n.to_bytes(HOLDER_BYTES, "big") for n in range(5)), *(account_holder(str(n)) for n in range(5))]
WISH = '{"quantity":2}'
HOLDER_BUCKETS = 3  # instead of a thousand, so that reading them all after every step is cheap
NUMBERS_AHEAD = 12  # so few that "full" happens
LONG_MS = TIMING.presence_window_s * 1000 + TIMING.slot_ms

people = st.lists(st.tuples(st.sampled_from(HOLDERS).map(holder_text), st.sampled_from(["", "", WISH])), max_size=6)


def _first(message: str | None, messages: Messages | None) -> str:
    return message or (messages or {}).get("en") or (messages or {}).get("ko") or ""


def _stored(messages: Messages | None) -> str:
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":")) if messages else ""


def at_once(rate_per_s: float, burst: int) -> float:
    """How many are let in at one moment at most: `burst`, or those who are due by a late tick. The audit looks at when
    they were due, by Redis's clock; here it is the time that really passed."""
    return max(burst, 1 + rate_per_s * LATE_MAX_MS / 1000)


class LineMachine(RuleBasedStateMachine):
    runner: asyncio.Runner
    stores: Stores
    line: Line

    def do(self, work: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await work

        return self.runner.run(wait())

    @property
    def now_ms(self) -> int:
        return self.line.clock.redis_ms

    @initialize(
        rate=st.sampled_from([0.5, 4.0, 30.0]),
        burst=st.integers(1, 6),
        max_active=st.integers(1, 12),
        opens_in_s=st.sampled_from([-5, 5]),
        closes_in_s=st.sampled_from([60, 9_999]),
    )
    def start(self, rate: float, burst: int, max_active: int, opens_in_s: int, closes_in_s: int) -> None:
        clock = self.stores.clock
        clock.steady_ms, clock.wrong_by_ms = START_MS, 0
        self.do(self.stores.redis.flushall())
        self.do(empty(self.stores.db))
        self.line = line = Line(self.stores)
        state = "scheduled" if opens_in_s > 0 else "open"
        config = {"state": state, "rate_per_s": rate, "burst": burst, "max_active": max_active}
        times = self.now_ms + opens_in_s * 1000, self.now_ms + closes_in_s * 1000
        self.do(line.make(config, *times))
        self.model = Model(TIMING, state, 1, 0, NUMBERS_AHEAD, 0, rate, burst, max_active)
        self.model.opens_ms, self.model.closes_ms = times
        self.model.bucket = Bucket(0.0, self.now_ms)
        self.allowance = Allowance(rate, at_once(rate, burst))
        self.tickets: set[tuple[int, int, bytes]] = set()
        self.log_id = b"0-0"
        self.reserved = NUMBERS_AHEAD
        self.saved = state
        self.leaves = 0
        self.known: tuple[float | None, float] = (None, 0.0)
        self.known_of: Model | None = None  # a process is started anew after a loss

    @rule(opens_in_s=st.sampled_from([-60, 0, 5]), closes_in_s=st.sampled_from([6, 60, 9_999]))
    def sell(self, opens_in_s: int, closes_in_s: int) -> None:
        """An admin moves the sale."""
        times = self.now_ms + opens_in_s * 1000, self.now_ms + closes_in_s * 1000
        self.do(self.line.sell(*times))
        if self.model.schedule(*times, self.now_ms):
            self.saved = "open"  # what an admin decided was for the epoch before

    @rule(people=people)
    def join(self, people: list[tuple[str, str]]) -> None:
        state, last, joined, left = self.do(self.line.scripts.join(EVENT, self.model.epoch, people))
        assert [tuple(each) for each in joined] == self.model.join(people, self.now_ms)
        assert (state, last, left) == (self.model.state, self.model.number, self.model.bound - self.model.number)
        for (holder, _), each in zip(people, joined, strict=True):
            if each.number:
                raw = next(raw for raw in HOLDERS if holder_text(raw) == holder)
                self.tickets.add((self.model.epoch, each.number, raw))

    @rule(data=st.data(), size=st.integers(1, 6))
    def poll(self, data: st.DataObject, size: int) -> None:
        """People show their tickets to the web process, which tells Redis."""
        view = self.do(self.line.follow())
        mine = sorted(ticket for ticket in self.tickets if ticket[0] == view.epoch)
        if not mine:
            return
        shown = data.draw(st.lists(st.sampled_from(mine), max_size=size, unique=True))
        for _, number, holder in shown:
            self.line.presence.see(view, number, holder)
        self.do(self.line.presence.flush())
        for _, number, holder in shown:
            self.model.restore(number, holder_text(holder), self.now_ms)
        if shown:
            self.model.listen(self.now_ms)
        for _, number, _ in shown:
            self.model.see(number, self.now_ms)

    @rule(ms=st.sampled_from([0, 1, 33, 100, 100, 250, 1000, 7000]))
    def wait(self, ms: int) -> None:
        self.line.clock.pass_ms(ms)

    @rule(times=st.integers(0, 12))
    def be_away_for_long(self, times: int) -> None:
        """So long passes, while a web process tells so often that it sees nobody."""
        for _ in range(times):
            self.line.clock.pass_ms(LONG_MS // max(times, 1))
            self.do(self.line.scripts.seen(EVENT, self.model.epoch, []))
            self.model.listen(self.now_ms)
        if not times:
            self.line.clock.pass_ms(LONG_MS)

    @rule(by_ms=st.sampled_from([-60_000, -3_000, -70, 15, 70, 400, 3_000, 60_000, 3_600_000]))
    def set_redis_clock_wrong(self, by_ms: int) -> None:
        self.line.clock.wrong_by_ms += by_ms

    @rule(
        which=st.integers(0, WORKERS - 1), ms=st.sampled_from([0, 10, 50, 100, 100, 100, 600]), ticks=st.integers(1, 6)
    )
    def tick(self, which: int, ms: int, ticks: int) -> None:
        for _ in range(ticks):
            self.line.clock.pass_ms(ms)
            self.one_tick(which)

    @rule(ms=st.sampled_from([50, 100, 400]), order=st.lists(st.integers(0, WORKERS - 1), min_size=4, max_size=10))
    def work(self, ms: int, order: list[int]) -> None:
        """Several workers, as they happen to come."""
        for which in order:
            self.line.clock.pass_ms(ms)
            self.one_tick(which)

    def one_tick(self, which: int) -> None:
        self.line.scripts.ticked.clear()
        self.do(self.line.workers[which].tick())
        ticked = [tick for tick in self.line.scripts.ticked if tick.epoch == self.model.epoch]
        if not ticked:
            assert self.model.state == "closed" or self.line.scripts.ticked, "the line is not served"
            return
        (tick,) = ticked
        assert tick.answer.turns_ended == self.model.due(self.now_ms)
        outcome, due = self.model.admit(Clocks(self.now_ms, tick.since_ms, tick.steady_ms))
        told = [entry for _, entry in self.news() if entry[b"k"] == b"admit"]
        logged = [(numbers(entry[b"a"]), numbers(entry[b"s"]), int(entry[b"c"])) for entry in told]
        assert logged == [outcome[:3]] or (not outcome.moved and logged == [])
        assert [due_of(entry) for entry in told if entry[b"a"]] == [due] * bool(outcome.let_in)
        assert (tick.answer.admitted, tick.answer.cursor) == (len(outcome.let_in), outcome.cursor)
        excess = self.allowance.take(self.line.clock.steady_ms, len(outcome.let_in))
        assert not excess, f"{outcome.let_in}: faster than the rate"

    def news(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        entries: list[tuple[bytes, dict[bytes, bytes]]] = self.do(self.line.entries(self.log_id))
        if entries:
            self.log_id = entries[-1][0]
        return entries

    @rule()
    def tell_absent(self) -> None:
        """Nobody is told of more people ahead because of it, but for those of them who came back."""
        before, was = self.do(self.line.follow()), set(self.model.absent)
        people = {n: before.position(n).ahead for n in range(self.model.cursor + 1, self.model.number + 1)}
        told = self.do(self.line.scripts.tell_absent(EVENT, self.model.epoch))
        assert told == self.model.tell_absent(self.now_ms)
        view = self.do(self.line.follow())
        for number, ahead in people.items():
            back = [n for n in was - self.model.absent if self.model.cursor < n < number]
            assert view.position(number).ahead <= ahead + len(back)

    @rule(which=st.integers(0, WORKERS - 1))
    def restart_worker(self, which: int) -> None:
        self.line.workers[which] = self.line.worker()
        self.do(self.line.workers[which].refresh())

    @precondition(lambda self: self.model.number)
    @rule(data=st.data(), times=st.integers(1, 2))
    def claim(self, data: st.DataObject, times: int) -> None:
        number = self.some_number(data, sorted(self.model.admitted))
        holder = self.holder_of(number, data)
        for _ in range(times):
            answer = self.do(self.line.scripts.claim(EVENT, self.model.epoch, number, holder))
            assert answer == self.model.claim(number, holder, self.now_ms)

    @rule(data=st.data(), times=st.integers(1, 2))
    def leave(self, data: st.DataObject, times: int) -> None:
        number = self.some_number(data, sorted({*self.model.wishes, *self.model.skipped}))
        holder = self.holder_of(number, data)
        for _ in range(times):
            self.leaves += 1
            release_id, sent = f"leave:{self.leaves}", len(self.model.sent)
            left = self.do(self.line.scripts.leave(EVENT, self.model.epoch, number, holder, release_id=release_id))
            assert left.status == self.model.leave(number, holder, release_id)
            assert bool(left.lane_entry) == (len(self.model.sent) > sent)

    @rule(come=st.lists(st.sampled_from(HOLDERS), min_size=1, max_size=4), pass_s=st.sampled_from([3, 30]))
    def come_straight_in(self, come: list[bytes], pass_s: int) -> None:
        """People come to a room on standby, by a web process that counts time since it last knew the bucket."""
        steady_ms, model = self.line.clock.steady_ms, self.model
        known_ms, at_ms = self.known if self.known_of is model else (None, steady_ms)
        call = TickCall(EVENT, model.epoch, steady_ms - at_ms, known_ms)
        persons = [Person(holder_text(holder)) for holder in come]
        self.news()
        entered = self.do(enter(self.line.scripts, call, persons, self.now_ms, made_in=0, pass_s=pass_s))
        numbers_given, due = model.enter(
            [one.holder for one in persons], Clocks(self.now_ms, known_ms, steady_ms - at_ms), pass_s
        )
        assert entered.numbers == numbers_given
        let_in = [number for number in numbers_given if number]
        told = [entry for _, entry in self.news() if entry[b"k"] == b"admit"]
        assert [(numbers(entry[b"a"]), due_of(entry)) for entry in told] == ([(let_in, due)] if let_in else [])
        assert not self.allowance.take(steady_ms, len(let_in)), f"{let_in}: faster than the rate"
        assert entered.refilled_ms == model.bucket.refilled_ms
        self.known, self.known_of = (entered.refilled_ms, steady_ms), model
        given = zip(come, numbers_given, strict=True)
        self.tickets |= {(model.epoch, number, holder) for holder, number in given if number}

    @precondition(lambda self: self.model.active)
    @rule(data=st.data(), times=st.integers(1, 2))
    def end_visit(self, data: st.DataObject, times: int) -> None:
        """A site ends a visit, once or again; it knows of it by its number, and the lane hears nothing of it."""
        number = data.draw(st.sampled_from(sorted(self.model.active)))
        for _ in range(times):
            left = self.do(self.line.scripts.leave(EVENT, self.model.epoch, number, "", release_id=""))
            assert left == (self.model.leave(number, "", ""), "")

    @rule(browser=st.sampled_from(HOLDERS), account=st.sampled_from(HOLDERS), times=st.integers(1, 2))
    def merge(self, browser: bytes, account: bytes, times: int) -> None:
        """Somebody logs in: what their browser has becomes the account's. Old tickets stay in old hands."""
        if browser == account:
            return
        for _ in range(times):
            names = holder_text(browser), holder_text(account)
            place = GuestPlace(EVENT, self.model.epoch, names[0])
            (answer,) = self.do(merge(self.line.scripts, [place], names[1]))
            assert answer == self.model.merge(*names, self.now_ms)
            if answer[1]:
                self.tickets.add((self.model.epoch, answer[1], account))

    def some_number(self, data: st.DataObject, likely: list[int]) -> int:
        one_of_the_line = st.integers(self.model.opened_after + 1, self.model.number + 1)
        return data.draw(st.sampled_from(likely) | one_of_the_line if likely else one_of_the_line)

    def holder_of(self, number: int, data: st.DataObject) -> str:
        """Mostly whose it is; sometimes somebody else, who gets nothing of it."""
        own = [holder for holder, kept in self.model.holders.items() if kept == number]
        return data.draw(st.sampled_from([*own * 20, *map(holder_text, HOLDERS)]))

    @rule(epoch=st.integers(-1, 1).filter(bool))
    def come_with_another_epoch(self, epoch: int) -> None:
        other = self.model.epoch + epoch
        assert self.do(self.line.scripts.join(EVENT, other, [("stranger", "")])) == ("old_epoch", 0, [], 0)
        assert self.do(self.line.scripts.claim(EVENT, other, 1, "stranger")) == ("old_epoch", 0)
        assert self.do(self.line.scripts.leave(EVENT, other, 1, "stranger", release_id="d")).status == "old_epoch"
        assert self.do(merge(self.line.scripts, [GuestPlace(EVENT, other, "stranger")], "account")) == [
            ("old_epoch", 0)
        ]
        given = [1] if self.model.number else []  # the ticket of a number proves that it was given
        assert self.do(self.line.scripts.seen(EVENT, other, given)) == 0
        assert self.do(self.line.scripts.tick(EVENT, other, 1000)).room == "old_epoch"

    @rule(
        state=st.sampled_from([None, "open", "paused", "draining", "closed"]),
        rate=st.sampled_from([None, 0.5, 4.0, 30.0]),
        burst=st.none() | st.integers(1, 6),
        max_active=st.none() | st.integers(1, 12),
        door=st.sampled_from([None, None, *Door]),
        message=st.sampled_from([None, "", "The band is late."]),
        messages=st.sampled_from([None, None, {}, {"ko": "늦습니다."}, {"ko": "늦습니다.", "en": "It is late."}]),
    )
    def change_settings(
        self,
        state: str | None,
        rate: float | None,
        burst: int | None,
        max_active: int | None,
        door: Door | None,
        message: str | None,
        messages: Messages | None,
    ) -> None:
        others = {"burst": burst, "max_active": max_active, "door": door}
        said = {"message": message, "messages": messages}
        wanted = RoomChange(state=RoomState(state) if state else None, rate_per_second=rate, **others, **said)  # type: ignore[arg-type]
        given = {"state": state, "rate": rate, **others}
        if message is not None or messages is not None:
            given |= {"message": _first(message, messages), "messages": _stored(messages)}
        over = state == "open" and self.model.closes_ms <= self.now_ms
        try:
            self.do(self.line.room_control.change(EVENT, "someone", wanted))
        except RefusedChange:
            assert over or not self.model.change({"state": state or ""}, self.now_ms)
            return
        assert not over
        if state == "open" and self.model.opens_ms > self.now_ms:
            self.model.opens_ms = self.now_ms  # whoever opens the line opens the sale
        assert self.model.change({name: value for name, value in given.items() if value is not None}, self.now_ms)
        self.allowance.change(self.line.clock.steady_ms, self.model.rate, at_once(self.model.rate, self.model.burst))
        if any(value is not None for value in given.values()):
            self.saved = self.model.state_after if self.model.state == "recovering" else self.model.state

    @rule()
    def keep(self) -> None:
        self.do(self.line.keep())
        if self.model.bound - self.model.number < NUMBERS_AHEAD // 2:
            self.reserved = self.model.bound = max(self.reserved, self.model.number + NUMBERS_AHEAD)

    @rule(ticked=st.booleans(), down_ms=st.sampled_from([1_000, 40_000]))
    def lose_redis(self, ticked: bool, down_ms: int) -> None:
        """All of Redis's data is gone. Some time later the keeper notices."""
        self.do(self.line.redis.flushall())
        self.line.clock.pass_ms(down_ms)
        if ticked:
            self.do(self.line.workers[0].tick())
            assert self.do(self.line.scripts.join(EVENT, self.model.epoch, [("early", "")])) == ("missing", 0, [], 0)
        self.do(self.line.keep())
        self.log_id = b"0-0"
        self.news()
        self.lost()

    def lost(self) -> None:
        """The model after a loss: everyone's place is theirs again once they show their ticket."""
        model, last = self.model, self.reserved
        after = model.opened_after
        self.reserved = last + NUMBERS_AHEAD
        again = Model(
            timing=TIMING,
            state=model.state,
            epoch=model.epoch,
            number=last,
            bound=self.reserved,
            cursor=model.cursor,  # as the processes that are alive remember
            rate=model.rate,
            burst=model.burst,
            max_active=model.max_active,
            door=model.door,
        )
        again.bucket = Bucket(0.0, self.now_ms)
        again.opened_after, again.message, again.messages = after, model.message, model.messages
        again.opens_ms, again.closes_ms = model.opens_ms, model.closes_ms
        again.state, again.reason = "closed", "" if self.saved == "closed" else "sale_ended"
        if self.saved != "closed" and model.closes_ms > self.now_ms:
            by_clock = "scheduled" if model.opens_ms > self.now_ms else "open"
            again.state_after = self.saved if self.saved in ("paused", "draining") else by_clock
            again.reason = ""
            again.state = "recovering"
            again.recover_until_ms = self.now_ms + sale_schedule.RECOVER_MS
            again.ended = dict.fromkeys(range(after + 1, last + 1), "unproven")
        if again.state == "closed":
            again.message = again.messages = ""
        self.model = again

    @invariant()
    def redis_is_as_promised(self) -> None:
        model = self.model
        stored = self.do(self.line.stored(model.epoch))
        counts = (
            model.epoch,
            model.number,
            model.bound,
            model.cursor,
            model.opened_after,
            model.burst,
            model.max_active,
        )
        assert stored["room"] == [
            model.state,
            model.reason,
            model.message,
            model.messages,
            model.rate,
            *model.bucket,
            *counts,
        ]
        for name in ("holders", "wishes", "admitted", "active"):
            assert stored[name] == getattr(model, name), name
        assert set(stored["returned"]) == model.returned
        assert stored["sent"][-len(model.sent) :] == model.sent

    @invariant()
    def a_view_that_followed_equals_one_that_starts_now(self) -> None:
        followed, fresh, model = self.do(self.line.follow()), self.do(self.line.snapshot()), self.model
        for name in ("epoch", "state", "cursor", "rate_per_s", "burst", "max_active", "message", "messages", "rev"):
            assert getattr(followed, name) == getattr(fresh, name), name
        assert (followed.admitted, followed.active) == (fresh.admitted, fresh.active) == (model.admitted, model.active)
        for number in range(model.opened_after + 1, model.number + 2):
            assert followed.position(number) == fresh.position(number), number
            assert (number in followed.skipped) == (number in fresh.skipped) == (number in model.skipped), number
            assert (number in fresh.ended) == (number in model.ended), number
            assert (number in followed.taken) == (number in fresh.taken) == (number in model.taken), number
            assert (number in fresh.unproven) == (model.ended.get(number) == "unproven"), number
        between = range(model.cursor + 1, model.number + 1)
        waiting = 0 if model.state == "closed" else sum(number not in model.ended for number in between)
        assert fresh.waiting == waiting
        not_counted = model.ended.keys() | model.absent
        for number in between:
            ahead = sum(other not in not_counted for other in range(model.cursor + 1, number))
            assert number in model.ended or fresh.position(number).ahead == ahead

    @invariant()
    def the_invariants_hold(self) -> None:
        assert self.do(invariants.check(self.line.redis, self.line.db, EVENT)) == []


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(600)  # 1,200 steps, each followed by a look at everything
def test_the_line_is_what_the_model_says(
    redis_socket: Path, tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(scripts, "_now", lambda now_ms: clock.redis_ms if now_ms is None else now_ms)
    monkeypatch.setattr(admitter, "time", SimpleNamespace(monotonic=lambda: clock.steady_ms / 1000))
    monkeypatch.setattr(admitter, "QUIET_ROUNDS", 1)
    monkeypatch.setattr(live_rooms, "SOON_MS", 10**15)  # of Redis's own clock, which is another one here
    monkeypatch.setattr(admitter, "TELL_ABSENT_S", float("inf"))  # a step of its own
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", NUMBERS_AHEAD)
    monkeypatch.setattr(scripts, "HOLDER_BUCKETS", HOLDER_BUCKETS)
    monkeypatch.setattr(invariants, "HOLDER_BUCKETS", HOLDER_BUCKETS)

    async def open_stores() -> Stores:
        db = open_database(f"sqlite+aiosqlite:///{tmp_path / 'line.db'}")
        await db.create_all()
        return Stores(Redis(unix_socket_path=str(redis_socket)), db, clock)

    async def close_stores(stores: Stores) -> None:
        await stores.redis.flushall()
        await stores.redis.aclose()
        await stores.db.close()

    stores = runner.run(open_stores())
    try:
        machine = type("Machine", (LineMachine,), {"stores": stores, "runner": runner})
        run_state_machine_as_test(
            machine,
            settings=settings(max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
        )
    finally:
        runner.run(close_stores(stores))
