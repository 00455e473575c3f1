"""The pure core: where a batch is cut makes no difference to anyone, and what it writes is exactly what it decided."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.layout import Seat
from app.domain.reservation import (
    Batch,
    Known,
    PaymentStatus,
    Reservation,
    ReservationStatus,
    SeatSnapshot,
    SeatStatus,
)
from app.lane.commands import Cancel, Command, Expire, Outcome, OutcomeStatus, ReleasePlace
from app.lane.decide import Decisions, decide
from app.lane.state import LaneState
from tests.lane.world import HOLD_FOR, START, confirm, hold, wishing

ROW = tuple(
    Seat(idx=idx, section="A", row="1", number=idx + 1, grade="R" if idx < 4 else "S", price=10, x=float(idx), y=0.0)
    for idx in range(8)
)
EMPTY = SeatSnapshot(event_id="gig", version=0, seats=ROW, statuses=bytes(8), focal=(4.0, -1.0), layout={})


class Store:
    """What the batches leave behind, with the guards that SQL would apply."""

    def __init__(self) -> None:
        self.statuses = [SeatStatus.available] * 8
        self.reservations: dict[str, Reservation] = {}
        self.replies: dict[str, str] = {}
        self.captured: set[str] = set()
        self.version = 0

    def write(self, batch: Batch) -> None:
        for (was, becomes), idxs in batch.moves.items():
            assert was is not becomes
            for idx in idxs:
                assert self.statuses[idx] is was
                self.statuses[idx] = becomes
        for (before, after), ids in batch.transitions.items():
            for name in ids:
                assert self.reservations[name].status is before
                self.reservations[name] = replace(self.reservations[name], status=after)
        for made in batch.made:
            assert made.id not in self.reservations
            self.reservations[made.id] = replace(made, reference=None)  # known from the payment
        for payment in batch.payments:
            if payment.status is PaymentStatus.captured:
                assert payment.reservation_id not in self.captured
                self.captured.add(payment.reservation_id)
                self.refer(payment.reservation_id, payment.reference)
        for name in batch.refunds:
            self.captured.remove(name)
            self.refer(name, None)
        self.replies.update(batch.replies)
        self.version = batch.version
        self.check()

    def refer(self, name: str, reference: str | None) -> None:
        self.reservations[name] = replace(self.reservations[name], reference=reference)

    def check(self) -> None:
        live = [r for r in self.reservations.values() if r.live]
        taken = [idx for r in live for idx in r.seats]
        assert len(taken) == len(set(taken)), "a seat has two live reservations"
        assert set(taken) == {idx for idx, status in enumerate(self.statuses) if status is not SeatStatus.available}
        places = [(r.epoch, r.number) for r in live if r.number is not None]
        assert len(places) == len(set(places)), "a place in line has two live reservations"
        assert self.captured == {r.id for r in live if r.status is ReservationStatus.confirmed}

    def known(self, commands: Sequence[Command], state: LaneState) -> Known:
        asked = {command.id for command in commands}
        ended = {name: self.reservations[name] for name in state.needs(commands) if name in self.reservations}
        return Known(replies={name: reply for name, reply in self.replies.items() if name in asked}, ended=ended)


Step = tuple[list[Command], float]


def play(steps: Sequence[Step]) -> tuple[list[Outcome], Store]:
    """Decide batch after batch, each at its time."""
    state, store, outcomes, ids = LaneState(EMPTY, ()), Store(), list[Outcome](), itertools.count()
    for commands, seconds in steps:
        decisions = decided(state, commands, store.known(commands, state), seconds, ids)
        store.write(decisions.batch)
        for idx, status in decisions.seats:
            assert store.statuses[idx] == status
        outcomes += decisions.outcomes
        assert state.version == store.version
        assert bytes(state.statuses) == bytes(store.statuses)
    return outcomes, store


def decided(
    state: LaneState, commands: Sequence[Command], known: Known, seconds: float, ids: itertools.count[int]
) -> Decisions:
    now = START + timedelta(seconds=seconds)
    return decide(state, commands, known, now=now, hold_for=HOLD_FOR, new_id=lambda: f"r_{next(ids)}")


names = st.integers(0, 5).map(lambda n: f"r_{n}")
ids = st.integers(0, 30).map(str)
places = st.none() | st.integers(1, 3)
one_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        lambda i, seats, number: hold("h" + i, sorted(seats), number=number),
        ids,
        st.sets(st.integers(0, 8), min_size=1, max_size=3),
        places,
    ),
    st.builds(lambda i, n, number: wishing("w" + i, n, ["S"], number=number), ids, st.integers(1, 4), places),
    st.builds(lambda i, name, ref: confirm("p" + i, name, reference=ref), ids, names, st.sampled_from(["a", "b"])),
    st.builds(lambda i, name: Cancel(id="c" + i, reservation_id=name), ids, names),
    st.builds(lambda i, name: Expire(id="e" + i, reservation_id=name), ids, names),
    st.builds(lambda i, number: ReleasePlace(id="d" + i, epoch=1, number=number), ids, st.integers(1, 3)),
)
at_times = st.lists(st.tuples(st.lists(one_command, max_size=12), st.sampled_from([0.0, 200.0, 300.0])), max_size=4)


@given(at_times)
def test_one_batch_or_one_command_at_a_time_gives_the_same_answers_and_the_same_store(steps: list[Step]) -> None:
    later = list(itertools.accumulate(seconds for _, seconds in steps))
    whole = [(commands, at) for (commands, _), at in zip(steps, later, strict=True)]
    single = [([command], at) for commands, at in whole for command in commands]
    outcomes, store = play(whole)
    one_by_one, other = play(single)
    assert outcomes == one_by_one
    assert (store.statuses, store.reservations, store.captured) == (
        other.statuses,
        other.reservations,
        other.captured,
    )


def test_a_batch_that_only_refuses_leaves_the_version_alone() -> None:
    outcomes, store = play([([hold("a", [99]), confirm("b", "r_none")], 0.0)])
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.unknown_seat, OutcomeStatus.not_found]
    assert store.version == 0
    assert sorted(store.replies) == ["a", "b"]


def test_a_hold_that_is_made_and_cancelled_within_one_batch_moves_no_seat() -> None:
    _, store = play([([hold("a", [1]), Cancel(id="b", reservation_id="r_0")], 0.0)])
    assert store.reservations["r_0"].status is ReservationStatus.cancelled
    assert store.version == 1


def test_a_reservation_that_gives_back_its_middle_seat_is_in_two_groups() -> None:
    give_back = Cancel(id="c", reservation_id="r_0", seat_ids=["s1"])
    known = Known(replies={}, ended={})
    done = decided(LaneState(EMPTY, ()), [hold("h", [0, 1, 2]), give_back], known, 0.0, itertools.count())
    groups = [outcome.reservation.groups for outcome in done.outcomes if outcome.reservation is not None]
    assert groups == [1, 2]
