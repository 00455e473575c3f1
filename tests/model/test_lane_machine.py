"""The lane against a plain-Python model, on real Redis and SQLite: whatever is asked, in whatever order, with
allocators that crash, steal the lane from each other and repeat commands, both agree about every seat and answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from app import redis_keys
from app.domain.reservation import SEATS_PER_BUYER, SeatStatus
from app.lane.commands import (
    Cancel,
    Command,
    Confirm,
    Expire,
    Hold,
    OfferToWaitlist,
    Outcome,
    OutcomeStatus,
    ReleasePlace,
    Reverse,
)
from app.ledger import events, reservations
from tests.lane.audit import broken, empty
from tests.lane.killing import Fuse, fused, killable_ledger, killable_redis, was_killed
from tests.lane.listening import hear
from tests.lane.world import EVENT, HOLD_FOR, World, confirm, hold, make_world, wishing
from tests.model.stores import Stores, empty_database
from tests.postgres import Postgres
from workers.allocator import Allocator

pytestmark = pytest.mark.both_databases

SEATS = 12
HOLDERS = ("ann", "bob", "cat", "dan", "eve")


@dataclass
class Held:
    """A reservation as the model knows it."""

    holder: str
    seats: frozenset[int]
    place: int | None
    ends: float
    status: str = "pending"
    reference: str | None = None

    @property
    def live(self) -> bool:
        return self.status in ("pending", "confirmed")


@dataclass
class Model:
    """What the lane promises, with no thought for how."""

    held: dict[str, Held] = field(default_factory=dict)
    first_answers: dict[str, Outcome] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)

    def status(self, idx: int) -> str:
        for each in self.held.values():
            if each.live and idx in each.seats:
                return "held" if each.status == "pending" else "sold"
        return "available"

    def free(self) -> set[int]:
        return {idx for idx in range(SEATS) if self.status(idx) == "available"}

    def check(self, command: Command, outcome: Outcome, now: float) -> None:
        """The outcome is the promised one; the model takes it in."""
        first = self.first_answers.get(command.id)
        if first is not None:
            assert outcome == first
            return
        expected = self.expected(command, now)
        assert outcome.status == expected, (command, outcome, expected)
        if outcome.status != "not_due":
            self.first_answers[command.id] = outcome
        self.take(command, outcome, now)

    def expected(self, command: Command, now: float) -> str:
        if isinstance(command, Hold):
            return self.expected_hold(command)
        assert not isinstance(command, OfferToWaitlist), "the machine has no waiting list"
        if isinstance(command, ReleasePlace):
            holding = self.holding(command.number) if command.epoch == 1 else None
            return "not_found" if holding is None else "gone" if holding.status == "confirmed" else "cancelled"
        found = self.held.get(command.reservation_id)
        if found is None:
            return "not_found"
        match command:
            case Confirm():
                return self.expected_confirm(command, found, now)
            case Cancel():
                if command.holder not in (None, found.holder):
                    return "not_found"
                some = {int(name[1:]) for name in command.seat_ids or ()}
                if found.live and not some <= found.seats:
                    return "unknown_seat"
                if found.live and some and some != found.seats:
                    return "reduced"
                return "gone" if found.status == "expired" else "cancelled"
            case Reverse():
                paid = found.status == "confirmed" and found.reference == command.reference
                return "cancelled" if paid else "gone"
            case Expire():
                if found.status != "pending":
                    return "gone"
                return "expired" if now >= found.ends else "not_due"

    def expected_hold(self, command: Hold) -> str:
        if command.number is not None and self.holding(command.number) is not None:
            return "already_holding"
        has = sum(len(each.seats) for each in self.held.values() if each.live and each.holder == command.holder)
        if has + command.quantity > SEATS_PER_BUYER:
            return "buyer_limit"
        if command.wish is not None:
            return "held" if self.grade_for(command) is not None else "unavailable"
        wanted = {int(name[1:]) for name in command.seat_ids or ()}
        if not wanted <= set(range(SEATS)):
            return "unknown_seat"
        return "held" if wanted <= self.free() else "unavailable"

    def expected_confirm(self, command: Confirm, found: Held, now: float) -> str:
        if found.holder != command.holder:
            return "not_found"
        if found.status == "confirmed":
            return "confirmed" if found.reference == command.reference else "gone"
        return "confirmed" if found.status == "pending" else "gone"

    def holding(self, place: int) -> Held | None:
        return next((each for each in self.held.values() if each.live and each.place == place), None)

    def grade_for(self, command: Hold) -> set[int] | None:
        """The free seats of the first grade that has enough for the wish."""
        assert command.wish is not None
        grades = {"R": set(range(6)), "S": set(range(6, 12))}
        for grade in command.wish.grades or (None,):
            seats = self.free() & (set(range(SEATS)) if grade is None else grades.get(grade, set()))
            if len(seats) >= command.wish.quantity:
                return seats
        return None

    def take(self, command: Command, outcome: Outcome, now: float) -> None:
        match command, outcome.status:
            case Hold(), "held":
                assert outcome.reservation is not None
                seats = frozenset(outcome.reservation.seats)
                if command.wish is not None:
                    assert len(seats) == command.wish.quantity
                    assert seats <= (self.grade_for(command) or set())
                else:
                    assert seats == {int(name[1:]) for name in command.seat_ids or ()}
                ends = now + HOLD_FOR.total_seconds()
                self.held[outcome.reservation.id] = Held(command.holder, seats, command.number, ends)
            case Hold(), "unavailable":
                per_grade = {"R": len(self.free() & set(range(6))), "S": len(self.free() & set(range(6, 12)))}
                assert outcome.left == per_grade
            case Confirm(), "confirmed":
                sold = self.held[command.reservation_id]
                sold.status, sold.reference = "confirmed", command.reference
                if sold.place is not None:
                    self.finished.add(sold.place)
            case ((Cancel() | Reverse()), "cancelled"):
                ended = self.held[command.reservation_id]
                ended.status = {"pending": "cancelled", "confirmed": "refunded"}.get(ended.status, ended.status)
            case Cancel(), "reduced":
                rest = self.held[command.reservation_id]
                rest.seats -= {int(name[1:]) for name in command.seat_ids or ()}
                assert outcome.reservation is not None
                assert frozenset(outcome.reservation.seats) == rest.seats
            case ReleasePlace(), "cancelled":
                dropped = self.holding(command.number)
                assert dropped is not None
                dropped.status = "cancelled"
            case Expire(), "expired":
                self.held[command.reservation_id].status = "expired"
            case _:
                pass


class KillableStores(Stores):
    """And clients of both for one that is killed."""

    def __init__(self, socket: Path, database: str) -> None:
        super().__init__(socket, database)
        self.fuse = Fuse()
        self.victim_db = killable_ledger(self.db, self.fuse)
        self.victim_redis = killable_redis(self.redis, self.fuse)

    def close(self) -> None:
        self.run(self.victim_db.close())
        self.run(self.victim_redis.aclose())
        super().close()


class LaneMachine(RuleBasedStateMachine):
    stores: KillableStores

    @initialize()
    def begin(self) -> None:
        self.world: World = self.run(make_world(self.stores.redis, self.stores.db))
        self.workers: list[Allocator] = [self.world.allocator(), self.world.allocator()]
        self.model = Model()
        self.waiting: list[Command] = []
        self.asked: list[Command] = []

    def run(self, work: Awaitable[Any]) -> Any:
        return self.stores.run(work)

    def teardown(self) -> None:
        self.run(self.stores.redis.flushall())
        self.run(empty(self.stores.db))

    def ask(self, command: Command) -> None:
        self.run(self.world.send(command))
        self.waiting.append(command)
        self.asked.append(command)

    def some_reservation(self, data: st.DataObject) -> tuple[str, str]:
        """(id, holder) of one of the reservations, or of none."""
        choices = [(name, each.holder) for name, each in self.model.held.items()]
        return data.draw(st.sampled_from([*choices, ("r_none", "ann")]))

    @rule(
        seats=st.sets(st.integers(0, SEATS), min_size=1, max_size=3),
        holder=st.sampled_from(HOLDERS),
        place=st.none() | st.integers(1, 4),
    )
    def hold_seats(self, seats: set[int], holder: str, place: int | None) -> None:
        self.ask(hold(f"c{len(self.asked)}", sorted(seats), holder=holder, number=place))

    @rule(
        quantity=st.integers(1, 7),
        grades=st.lists(st.sampled_from(["R", "S", "none"]), max_size=2, unique=True),
        holder=st.sampled_from(HOLDERS),
        place=st.none() | st.integers(1, 4),
    )
    def wish(self, quantity: int, grades: list[str], holder: str, place: int | None) -> None:
        self.ask(wishing(f"c{len(self.asked)}", quantity, grades, holder=holder, number=place))

    @rule(data=st.data(), reference=st.sampled_from(["p1", "p2"]), own=st.booleans())
    def pay(self, data: st.DataObject, reference: str, own: bool) -> None:
        reservation_id, holder = self.some_reservation(data)
        who = holder if own else "mallory"
        self.ask(confirm(f"c{len(self.asked)}", reservation_id, holder=who, reference=reference))

    @rule(data=st.data(), who=st.sampled_from(["owner", "operator", "mallory"]))
    def cancel(self, data: st.DataObject, who: str) -> None:
        reservation_id, holder = self.some_reservation(data)
        given_name = {"owner": holder, "operator": None, "mallory": "mallory"}[who]
        self.ask(Cancel(id=f"c{len(self.asked)}", reservation_id=reservation_id, holder=given_name))

    @rule(data=st.data(), own=st.booleans())
    def give_back(self, data: st.DataObject, own: bool) -> None:
        """Some seats of a reservation; now and then one that is not its."""
        reservation_id, holder = self.some_reservation(data)
        of_it = sorted(self.model.held[reservation_id].seats) if reservation_id in self.model.held else []
        some = data.draw(st.sets(st.sampled_from([*of_it, 3]), min_size=1))
        names = [f"s{idx}" for idx in sorted(some)]
        given_name = holder if own else None
        self.ask(Cancel(id=f"c{len(self.asked)}", reservation_id=reservation_id, holder=given_name, seat_ids=names))

    @rule(data=st.data(), reference=st.sampled_from(["p1", "p2"]))
    def pay_back(self, data: st.DataObject, reference: str) -> None:
        reservation_id, _ = self.some_reservation(data)
        self.ask(Reverse(id=f"c{len(self.asked)}", reservation_id=reservation_id, reference=reference))

    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        reservation_id, _ = self.some_reservation(data)
        self.ask(Expire(id=f"expire:{reservation_id}", reservation_id=reservation_id))

    @rule(place=st.integers(1, 4), epoch=st.sampled_from([1, 1, 2]))
    def leave_the_line(self, place: int, epoch: int) -> None:
        self.ask(ReleasePlace(id=f"c{len(self.asked)}", epoch=epoch, number=place))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self.ask(data.draw(st.sampled_from(self.asked)))

    @rule(seconds=st.sampled_from([1.0, 299.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.allocate(0)
        self.world.time.pass_s(seconds)

    @rule(worker=st.integers(0, 1))
    def allocate(self, worker: int) -> None:
        self.run(self.workers[worker].run(EVENT))
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(call=st.integers(1, 20))
    def crash(self, call: int) -> None:
        """An allocator dies at one of its calls; its lease runs out and another carries on."""
        victim = self.world.allocator(self.stores.victim_redis, self.stores.victim_db)
        victim.finish = fused(self.stores.fuse, victim.finish)
        self.stores.fuse.arm(call)
        self.run(dies(victim))
        self.run(self.stores.redis.delete(redis_keys.lane_lease(EVENT)))
        self.allocate(0)

    @precondition(lambda self: self.waiting)
    @rule(thefts=st.integers(1, 8))
    def steal(self, thefts: int) -> None:
        """The lease runs out while an allocator works, again and again, and two of them go on at once."""
        self.run(both(self.stores.redis, thefts, *self.workers))
        self.allocate(1)

    def settle(self) -> None:
        """Every command is answered, in order, as the model expects; the stores and every listener agree."""
        answers = self.run(self.world.answers())
        now = self.world.time.seconds
        for command in self.waiting:
            last = answers[command.id]
            early = [each for each in last if each.status is OutcomeStatus.not_due]
            final = [each for each in last if each.status is not OutcomeStatus.not_due]
            is_due = self.model.expected(command, now) != "not_due" or command.id in self.model.first_answers
            if is_due or early:
                self.model.check(command, (final if is_due else early)[-1], now)
            else:  # the batch was repeated: an Expire that came too early got the answer its id has had since
                assert isinstance(command, Expire)
                assert final
        self.waiting.clear()
        for outcomes in answers.values():
            assert len({str(each) for each in outcomes if each.status is not OutcomeStatus.not_due}) <= 1
        self.agree()

    def agree(self) -> None:
        assert self.run(self.stores.redis.xlen(redis_keys.lane(EVENT))) == 0
        assert self.run(broken(self.stores.db)) == []
        snapshot = self.run(events.seat_snapshot(self.stores.db, EVENT))
        expected = [self.model.status(idx) for idx in range(SEATS)]
        assert [SeatStatus(status).name for status in snapshot.statuses] == expected
        view = self.run(hear(self.stores.redis, snapshot))
        assert [view.status(idx).name for idx in range(SEATS)] == expected
        for reservation_id, held in self.model.held.items():
            stored = self.run(reservations.get(self.stores.db, reservation_id))
            assert (stored.status.value, frozenset(stored.seats)) == (held.status, held.seats)
        assert {number for _, _, number in self.world.finished} == self.model.finished


async def dies(victim: Allocator) -> None:
    try:
        await victim.run(EVENT)
    except BaseException as error:
        if not was_killed(error):
            raise


async def both(redis: Redis, thefts: int, first: Allocator, second: Allocator) -> None:
    running = asyncio.gather(first.run(EVENT), second.run(EVENT))
    for _ in range(thefts):
        await redis.delete(redis_keys.lane_lease(EVENT))
    await running
    await redis.delete(redis_keys.lane_lease(EVENT))


@pytest.fixture
def stores(redis_socket: Path, tmp_path: Path, sql_server: Postgres | None) -> Iterator[KillableStores]:
    with empty_database(tmp_path, sql_server) as url:
        stores = KillableStores(redis_socket, url)
        yield stores
        stores.close()


def test_the_lane_does_what_its_model_does(stores: KillableStores) -> None:
    machine = type("Machine", (LaneMachine,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
