"""Writes the batches of the lane, one transaction each. Nothing else writes reservations or makes payments.

A writer has a fence number, which grows with each new owner of the lane: as soon as another process has taken a newer
one, the writes of the older owner are refused. Each group of changes is one bulk UPDATE or INSERT, and an UPDATE must
change exactly the expected rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Integer,
    bindparam,
    delete,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from app.domain.reservation import (
    LIVE,
    Batch,
    Known,
    Payment,
    PaymentStatus,
    Reduced,
    Reservation,
    ReservationStatus,
    SeatSnapshot,
    SeatStatus,
)
from app.domain.sale import status_of
from app.domain.waitlist import ListState
from app.ledger import reservations as reading
from app.ledger import users
from app.ledger import waitlist as waitlisted
from app.ledger.database import Database
from app.ledger.events import read_snapshot
from app.ledger.statements import as_json, insert_rows, one_of
from app.ledger.tables.base import UtcDateTime, has_word, stored
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.lane import commands, lanes
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.waitlist import waitlist

LANE_BUSY_FOR = timedelta(days=1)  # after the sale: what was held and paid comes to its end
PRUNE_MAX = 5000  # old command rows deleted at once, so that the allocator never waits long for the write lock


Row = tuple[str | int | bool | None, ...]


class Decided(Protocol):
    """What `decide` returns: it contains the batch to write."""

    @property
    def batch(self) -> Batch: ...


D = TypeVar("D", bound=Decided)


class GuardBroken(RuntimeError):
    """The rows in SQL differ from the state on which the batch was decided. Nothing was written; read the state
    again."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """The fence number of a lane's owner, and the version of the seat map that it knows."""

    fence: int
    version: int


async def take_fence(db: Database, event_id: str) -> Fenced | None:
    """Take a new fence number, after which no earlier owner can write. None for an unknown event."""
    row = await db.run(lambda tx: tx.execute(_raise_fence, {"event": event_id}).first(), repeatable=True)
    return None if row is None else Fenced(*row)


async def load(db: Database, event_id: str) -> tuple[SeatSnapshot, list[Reservation]] | None:
    """The seats and the live reservations of an event, at one moment; None for an unknown event."""

    def work(tx: Connection) -> tuple[SeatSnapshot, list[Reservation]] | None:
        snapshot = read_snapshot(tx, event_id)
        return None if snapshot is None else (snapshot, reading.live(tx, event_id))

    return await db.look(work)


async def apply(
    db: Database,
    fenced: Fenced,
    event_id: str,
    command_ids: Sequence[str],
    reservation_ids: Sequence[str],
    decide: Callable[[Known], D],
    now: datetime,
    holders: Sequence[str] = (),
    ending: Sequence[str] = (),
) -> D | None:
    """Decide and write one batch in one transaction; None, without calling `decide`, if the fence number or the version
    has changed.

    `ending`: the holds that the commands end unless a payment keeps them.

    `decide` runs in another thread and gets what SQL knows: stored replies, the named reservations, the waiting list,
    the state of the sale, and who of `holders` and of the waiting list are one person. If it raises, nothing
    was written.
    """

    def work(tx: Connection) -> D | None:
        mine = {"event": event_id, "mine": fenced.fence, "known": fenced.version}
        lane = tx.execute(_check_fence, mine).first()
        if lane is None:
            return None
        replies = tx.execute(_find_replies, {"event": event_id, "ids": as_json(command_ids)}).all()
        ended = reading.of_ids(tx, event_id, reservation_ids) if reservation_ids else {}
        waiting = waitlisted.waiting(tx, event_id, now)
        asking = () if lane.seats_per_buyer is None else (*holders, *(entry.holder for entry in waiting))
        asked: dict[str, bool] = {}
        if ending:
            reading.lock(tx, ending)  # a payment that is begun now comes before, or finds the hold ended
            asked = reading.asked(tx, ending, now)
        known = Known(
            replies={row.id: row.reply for row in replies},
            ended=ended,
            waiting=waiting,
            sale=status_of(lane, now),
            begun=lane.starts_at <= now,
            may_leave_singles=lane.single_seats == "allowed",
            seats_per_buyer=lane.seats_per_buyer,
            kept={name for name, kept in asked.items() if kept},
            asked=asked.keys(),
            persons=users.persons(tx, asking) if asking else {},
        )
        decided = decide(known)
        _write(tx, event_id, decided.batch, now)
        if decided.batch.version != fenced.version:
            new = {"event": event_id, "mine": fenced.fence, "to": decided.batch.version}
            _exactly(tx, _set_version, new, 1)
        return decided

    return await db.run(work)


async def prune_commands(db: Database, before: datetime) -> int:
    """Delete a bounded number of replies that were stored before then; returns how many."""
    old = select(commands.c.event_id, commands.c.id).where(commands.c.at < before).limit(PRUNE_MAX)
    async with db.write(about="commands") as tx:
        return (await tx.execute(delete(commands).where(tuple_(commands.c.event_id, commands.c.id).in_(old)))).rowcount


async def busy_lanes(db: Database, now: datetime) -> list[str]:
    """The events whose sale has opened and ended less than LANE_BUSY_FOR ago, if at all: their lanes have commands."""
    query = select(events.c.id).where(events.c.ends_at > now - LANE_BUSY_FOR, events.c.opens_at <= now)
    async with db.read() as tx:
        return list((await tx.execute(query)).scalars())


async def some_lanes(db: Database, after: str, limit: int) -> list[str]:
    """At most `limit` events that have a lane, by id, starting after `after`."""
    query = select(lanes.c.event_id).where(lanes.c.event_id > after).order_by(lanes.c.event_id).limit(limit)
    async with db.read() as tx:
        return list((await tx.execute(query)).scalars())


def _write(tx: Connection, event_id: str, batch: Batch, now: datetime) -> None:
    for (was, becomes), idxs in batch.moves.items():
        values = {"event": event_id, "was": was.name, "becomes": becomes.name, "idxs": as_json(idxs)}
        _exactly(tx, _move_seats, values, len(idxs))
    for grade in {grade for grade, _ in batch.counts}:
        more = {f"{status.name}_more": batch.counts.get((grade, status), 0) for status in _COUNTED}
        _exactly(tx, _count_seats, {"event": event_id, "grade": grade, **more}, 1)
    for one in batch.reduced:
        _reduce(tx, one)
    for (before, after), ids in batch.transitions.items():
        ended_at = None if after in LIVE else now
        change = {"was": before.value, "becomes": after.value, "ended": ended_at, "ids": as_json(ids)}
        _exactly(tx, _turn_reservations, change, len(ids))
        if ended_at is not None:
            tx.execute(_free_seats, {"ids": as_json(ids)})
    _insert(tx, _make_reservations, [_reservation_row(r, now) for r in batch.made])
    _insert(tx, _make_pairs, _pair_rows(event_id, batch.made))
    for entry, reservation in batch.offers:
        _exactly(tx, _offer, {"entry": entry, "reservation": reservation, "at": now}, 1)
    _write_payments(tx, batch, now)
    at = stored(now)
    _insert(tx, _make_commands, [(event_id, command_id, reply, at) for command_id, reply in batch.replies])


def _reduce(tx: Connection, one: Reduced) -> None:
    of = {"of": one.reservation_id}
    _exactly(tx, _set_price, {**of, "price_": one.total_price, "groups_": one.groups}, 1)
    _exactly(tx, _return_seats, {**of, "idxs": as_json(one.seats)}, len(one.seats))


def _write_payments(tx: Connection, batch: Batch, now: datetime) -> None:
    captured = [p for p in batch.payments if p.status is PaymentStatus.captured]
    too_late = [p for p in batch.payments if p.status is PaymentStatus.refund_due]
    _insert(tx, _take_payments, [_payment_row(p, now) for p in captured])
    for one in batch.part_refunds:
        part = {"of": one.reservation_id, "less": one.amount, "part_": one.part, "at": now}
        _exactly(tx, _split_payment, part, 1)
        _exactly(tx, _lessen_payment, part, 1)
    if batch.refunds:
        _exactly(tx, _refund, {"ids": as_json(batch.refunds), "at": now}, len(batch.refunds))
    _insert(tx, _note_payments, [_payment_row(p, now) for p in too_late])


def _exactly(tx: Connection, statement: Executable, values: dict[str, Any], rows: int) -> None:
    changed = tx.execute(statement, values).rowcount
    if changed != rows:
        raise GuardBroken(f"{changed} of {rows} rows were as expected: {statement}")


def _insert(tx: Connection, statement: Executable, rows: Sequence[Row]) -> None:
    if rows:
        tx.execute(statement, {"rows": as_json(rows)})


def _reservation_row(reservation: Reservation, now: datetime) -> Row:
    return (
        reservation.id,
        reservation.event_id,
        reservation.epoch,
        reservation.number,
        reservation.holder,
        reservation.status.value,
        reservation.total_price,
        stored(reservation.created_at),
        stored(reservation.expires_at),
        None if reservation.live else stored(now),
        reservation.groups,
        (reservation.status is ReservationStatus.pending and reservation.network) or None,
    )


def _pair_rows(event_id: str, made: Sequence[Reservation]) -> list[Row]:
    return [(r.id, event_id, idx, r.live, price) for r in made for idx, price in zip(r.seats, r.prices, strict=True)]


def _payment_row(payment: Payment, now: datetime) -> Row:
    return (
        payment.reservation_id,
        payment.method,
        payment.reference,
        payment.amount,
        payment.status.value,
        stored(now),
        stored(now) if payment.status is PaymentStatus.refund_due else None,
    )


_COUNTED = (SeatStatus.held, SeatStatus.sold, SeatStatus.blocked)  # of a grade's seats; all others are free
# Built once: making a statement costs more than running it.
_raise_fence = (
    update(lanes)
    .where(lanes.c.event_id == bindparam("event"))
    .values(fence=lanes.c.fence + 1)
    .returning(lanes.c.fence, lanes.c.version)
)
_check_fence = (
    select(
        lanes.c.version,
        events.c.opens_at,
        events.c.closes_at,
        events.c.starts_at,
        events.c.cancelled_at,
        events.c.seats_per_buyer,
        events.c.single_seats,
    )
    .join(events)
    .where(
        lanes.c.event_id == bindparam("event"),
        lanes.c.fence == bindparam("mine"),
        lanes.c.version == bindparam("known"),
    )
    .with_for_update(of=lanes)
)
_set_version = (
    update(lanes)
    .where(lanes.c.event_id == bindparam("event"), lanes.c.fence == bindparam("mine"))
    .values(version=bindparam("to"))
)
_find_replies = select(commands.c.id, commands.c.reply).where(
    commands.c.event_id == bindparam("event"), one_of(commands.c.id, "ids")
)
_move_seats = (
    update(seats)
    .where(
        seats.c.event_id == bindparam("event"),
        one_of(seats.c.idx, "idxs"),
        seats.c.status == bindparam("was"),
    )
    .values(status=bindparam("becomes"))
)
_count_seats = (
    update(grades)
    .where(grades.c.event_id == bindparam("event"), grades.c.name == bindparam("grade"))
    .values({status.name: grades.c[status.name] + bindparam(f"{status.name}_more") for status in _COUNTED})
)
_turn_reservations = (
    update(reservations)
    .where(one_of(reservations.c.id, "ids"), reservations.c.status == bindparam("was"))
    .values(status=bindparam("becomes"), ended_at=bindparam("ended"), network=None)  # only holds are counted by it
)
_free_seats = update(reservation_seats).where(one_of(reservation_seats.c.reservation_id, "ids")).values(live=False)
_set_price = (
    update(reservations)
    .where(reservations.c.id == bindparam("of"), has_word(reservations.c.status, *LIVE))
    .values(total_price=bindparam("price_"), groups=bindparam("groups_"))
)
_return_seats = (
    update(reservation_seats)
    .where(
        reservation_seats.c.reservation_id == bindparam("of"),
        one_of(reservation_seats.c.idx, "idxs"),
        reservation_seats.c.live,
    )
    .values(live=False, returned=True)
)
_captured = (payments.c.reservation_id == bindparam("of")) & has_word(payments.c.status, PaymentStatus.captured)
_split_payment = insert(payments).from_select(
    ["reservation_id", "method", "reference", "amount", "status", "created_at", "next_at", "part"],
    select(
        payments.c.reservation_id,
        payments.c.method,
        payments.c.reference,
        bindparam("less", type_=BigInteger),
        literal(PaymentStatus.refund_due.value),
        payments.c.created_at,
        bindparam("at", type_=UtcDateTime),
        bindparam("part_", type_=Integer),
    ).where(_captured),
)
_lessen_payment = update(payments).where(_captured).values(amount=payments.c.amount - bindparam("less"))
_refund = (
    update(payments)
    .where(
        one_of(payments.c.reservation_id, "ids"),
        has_word(payments.c.status, PaymentStatus.captured),
    )
    .values(status=PaymentStatus.refund_due.value, next_at=bindparam("at"))
)
_make_reservations = insert_rows(
    reservations,
    *("id", "event_id", "epoch", "number", "holder", "status", "total_price", "created_at", "expires_at", "ended_at"),
    "groups",
    "network",
)
_make_pairs = insert_rows(reservation_seats, "reservation_id", "event_id", "idx", "live", "price")
_payment_columns = ("reservation_id", "method", "reference", "amount", "status", "created_at", "next_at")
_take_payments = insert_rows(payments, *_payment_columns)
_note_payments = insert_rows(payments, *_payment_columns).on_conflict_do_nothing()  # two Confirms may report the same
_offer = (
    update(waitlist)
    .where(waitlist.c.id == bindparam("entry"), waitlist.c.state == ListState.waiting.value)
    .values(state=ListState.offered.value, reservation_id=bindparam("reservation"), offered_at=bindparam("at"))
)
_make_commands = insert_rows(commands, "event_id", "id", "reply", "at")
