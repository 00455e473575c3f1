"""Fills a database with events, seats, reservations and money, as if Tiketi had run for years. By bulk statements.

For what measures or proves that the work of a request, a tick and a second does not grow with what ever was. The same
statements run on SQLite and PostgreSQL. An event's rows follow from its position and its size alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    String,
    Table,
    bindparam,
    case,
    cast,
    insert,
    literal,
    null,
    select,
    update,
)

from app.domain.reservation import PaymentStatus, ReservationStatus, SeatStatus
from app.ledger.database import Database
from app.ledger.tables.accounts import user_holders, users
from app.ledger.tables.audit_log import audit_log
from app.ledger.tables.base import UtcDateTime
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.gateway_simulator import gateway_book
from app.ledger.tables.lane import commands, lanes
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.posters import posters
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.rooms import rooms

PRICE = 50_000
SEATS_PER_ROW = 100
METHOD = "kakao_pay"
ROWS_PER_STATEMENT = 1_000  # of those that are not made by the database itself


class When(StrEnum):
    past = "past"
    live = "live"
    coming = "coming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """So many events alike, of `seats` seats each. The last `pending` reservations of each are held; of every ten
    others the first six are confirmed, two expired, one was cancelled and one refunded. Each is for one seat.
    """

    when: When
    events: int
    seats: int = 0
    reservations: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What to make. Events are called `past-0`, `live-0`, …, accounts `u-0`, …"""

    sold: tuple[Sold, ...]
    users: int = 0
    audit_entries: int = 0


@dataclass(frozen=True, slots=True)
class _Event:
    id: str
    of: Sold
    opens_at: datetime
    closes_at: datetime


async def fill(
    db: Database, size: Size, now: datetime, progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Make everything, an event in a transaction. The database has its tables and none of these rows yet.

    `progress` is told how many reservations there are, of how many.
    """
    done, total = 0, sum(sold.events * sold.reservations for sold in size.sold)
    for event in _events(size, now):
        progress(done, total)
        done += event.of.reservations
        await db.run(lambda tx, event=event: _make(tx, event))  # type: ignore[misc]  # mypy does not see its type
    await db.run(lambda tx: _make_accounts(tx, size, now))
    await db.run(lambda tx: _make_entries(tx, size, now))


def reservation_id(event_id: str, index: int) -> str:
    return f"r-{event_id}-{index}"


def holder_id(event_id: str, index: int) -> str:
    return f"h-{event_id}-{index}"


def charge_id(event_id: str, index: int) -> str:
    return f"c-{event_id}-{index}"


def _events(size: Size, now: datetime) -> Iterator[_Event]:
    """Past sales ended on one day each, live ones opened an hour ago, coming ones open weeks from now."""
    count = dict.fromkeys(When, 0)
    for sold in size.sold:
        for _ in range(sold.events):
            number = count[sold.when]
            count[sold.when] += 1
            ends_at = {
                When.past: now - timedelta(days=2 + number),
                When.live: now + timedelta(days=2),
                When.coming: now + timedelta(days=60 + number),
            }[sold.when]
            opens_at = now - timedelta(hours=1) if sold.when is When.live else ends_at - timedelta(days=20)
            yield _Event(f"{sold.when}-{number}", sold, opens_at, ends_at)


def _make(tx: Connection, event: _Event) -> None:
    row = {"id": event.id, "title": event.id, "venue": "Hall", "searched": event.id, "created_at": event.opens_at}
    row |= {"starts_at": event.closes_at, "opens_at": event.opens_at, "closes_at": event.closes_at}
    tx.execute(
        insert(events), [{**row, "focal_x": 0.0, "focal_y": 0.0, "layout": {}, "details": {}, "poster": event.id}]
    )
    poster = {"hash": event.id, "source": event.id, "width": 1, "height": 1, "large": b"1", "thumb": b"1"}
    tx.execute(insert(posters), [{**poster, "unused_since": None}])
    tx.execute(insert(grades), [{"event_id": event.id, "name": "R", "place": 0, "price": PRICE}])
    tx.execute(insert(lanes), [{"event_id": event.id, "fence": 1, "version": 1}])
    counted = {"epoch": 1, "number_bound": event.of.reservations, "cursor": 0}
    tx.execute(insert(rooms), [{"event_id": event.id, **counted, "config": {}}])
    given = {
        "event": event.id,
        "of_seats": event.of.seats,
        "pending_from": event.of.reservations - event.of.pending,
        "sold_at": event.opens_at + timedelta(minutes=5),
        "ends_at": event.closes_at,
    }
    if event.of.seats:
        tx.execute(_SEATS, {**given, "rows": event.of.seats})
        tx.execute(update(grades).where(grades.c.event_id == event.id).values(seats=event.of.seats))
    if event.of.reservations:
        for statement in (_RESERVATIONS, _CLAIMS, _CHARGES, _PAYMENTS, _BOOK, _REPLIES):
            tx.execute(statement, {**given, "rows": event.of.reservations})
        for status, seat_status in _SEAT_STATUS.items():
            taken = {"event": event.id, "status": status.value, "becomes": seat_status.name}
            count = tx.execute(_TAKE_SEATS, taken).rowcount
            of_event = update(grades).where(grades.c.event_id == event.id)
            tx.execute(of_event.values({seat_status.name: count}))


def _make_accounts(tx: Connection, size: Size, now: datetime) -> None:
    made_at = now - timedelta(days=30)
    for start in range(0, size.users, ROWS_PER_STATEMENT):
        some = range(start, min(start + ROWS_PER_STATEMENT, size.users))
        row = {"name": "A buyer", "password_hash": "", "role": "buyer", "created_at": made_at}
        tx.execute(insert(users), [{"id": f"u-{n}", "email": f"u-{n}@example.com", **row} for n in some])
        links = [{"holder": holder_id("past-0", n), "user_id": f"u-{n}", "linked_at": made_at} for n in some]
        tx.execute(insert(user_holders), links)


def _make_entries(tx: Connection, size: Size, now: datetime) -> None:
    for start in range(0, size.audit_entries, ROWS_PER_STATEMENT):
        some = range(start, min(start + ROWS_PER_STATEMENT, size.audit_entries))
        tx.execute(insert(audit_log), [_entry(n, now) for n in some])


def _entry(number: int, now: datetime) -> dict[str, object]:
    at = now - timedelta(days=400) + timedelta(minutes=number)
    did = {"who": f"{number % 7}@example.com", "action": f"event.{number % 11}", "subject": f"past-{number}"}
    return {"at": at, **did, "event_id": None, "change": {}}


_SEAT_STATUS = {ReservationStatus.pending: SeatStatus.held, ReservationStatus.confirmed: SeatStatus.sold}
_first = select(literal(0).label("i")).cte("n", recursive=True)
_numbers = _first.union_all(select(_first.c.i + 1).where(_first.c.i + 1 < bindparam("rows", type_=Integer)))
_i = _numbers.c.i
_event = bindparam("event", type_=String)
_of_seats = bindparam("of_seats", type_=Integer)
_pending_from = bindparam("pending_from", type_=Integer)
_sold_at = bindparam("sold_at", type_=UtcDateTime)
_is_pending = _i >= _pending_from
_is_paid = (_i < _pending_from) & ((_i % 10 < 6) | (_i % 10 == 9))


def _named(prefix: str) -> ColumnElement[str]:
    return literal(prefix + "-") + _event + literal("-") + cast(_i, String)


def _insert(table: Table, values: dict[str, Any], where: ColumnElement[bool] | None = None) -> Insert:
    query = select(*values.values()).select_from(_numbers)
    return insert(table).from_select(list(values), query if where is None else query.where(where))


_status = case(
    (_is_pending, ReservationStatus.pending.value),
    (_i % 10 < 6, ReservationStatus.confirmed.value),
    (_i % 10 < 8, ReservationStatus.expired.value),
    (_i % 10 < 9, ReservationStatus.cancelled.value),
    else_=ReservationStatus.refunded.value,
)
_is_live = _is_pending | (_i % 10 < 6)
_SEATS = _insert(
    seats,
    {
        "event_id": _event,
        "idx": _i,
        "section": literal("A"),
        "row": cast(_i // SEATS_PER_ROW, String),
        "number": _i % SEATS_PER_ROW + 1,
        "grade": literal("R"),
        "x": _i % SEATS_PER_ROW,
        "y": _i // SEATS_PER_ROW,
        "status": literal(SeatStatus.available.name),
    },
)
_RESERVATIONS = _insert(
    reservations,
    {
        "id": _named("r"),
        "event_id": _event,
        "epoch": literal(1),
        "number": _i + 1,
        "holder": _named("h"),
        "status": _status,
        "total_price": literal(PRICE),
        "created_at": _sold_at,
        "expires_at": bindparam("ends_at", type_=UtcDateTime),
        "ended_at": case((_is_live, null()), else_=_sold_at),
    },
)
_CLAIMS = _insert(
    reservation_seats,
    {
        "reservation_id": _named("r"),
        "idx": case(
            (_is_pending, _of_seats - 1 - (_i - _pending_from)),  # from the end; who has paid, from the beginning
            else_=_i // 10 * 6 + _i % 10 % 6,
        ),
        "event_id": _event,
        "live": _is_live,
        "price": literal(PRICE),
    },
)
_CHARGES = _insert(
    charges,
    {
        "id": _named("c"),
        "reservation_id": _named("r"),
        "event_id": _event,
        "method": literal(METHOD),
        "amount": literal(PRICE, BigInteger),
        "status": literal("settled"),
        "next_at": _sold_at,
        "created_at": _sold_at,
    },
    _is_paid,
)
_is_refunded = _i % 10 == 9
_PAYMENTS = _insert(
    payments,
    {
        "reservation_id": _named("r"),
        "method": literal(METHOD),
        "reference": _named("c"),
        "amount": literal(PRICE, BigInteger),
        "status": case((_is_refunded, PaymentStatus.refunded.value), else_=PaymentStatus.captured.value),
        "created_at": _sold_at,
        "refunded_at": case((_is_refunded, _sold_at), else_=null()),
    },
    _is_paid,
)
_BOOK = _insert(
    gateway_book,
    {
        "charge_id": _named("c"),
        "method": literal(METHOD),
        "amount": literal(PRICE, BigInteger),
        "status": case((_is_refunded, "refunded"), else_="captured"),
        "reason": literal(""),
        "webhooks_left": literal(0),
        "at": _sold_at,
    },
    _is_paid,
)
_REPLIES = _insert(
    commands, {"event_id": _event, "id": literal("hold:") + cast(_i, String), "reply": literal("{}"), "at": _sold_at}
)
_TAKE_SEATS = (
    update(seats)
    .where(
        seats.c.event_id == bindparam("event"),
        seats.c.idx.in_(
            select(reservation_seats.c.idx)
            .join(reservations)
            .where(
                reservations.c.event_id == bindparam("event"),
                reservations.c.status == bindparam("status"),
                reservation_seats.c.live,
            )
        ),
    )
    .values(status=bindparam("becomes"))
)
