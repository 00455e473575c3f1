"""Events with their grades and seats: created as a whole, searched and read.

An event is created in one transaction together with its lane and its room, so no other code checks for those. A seat
snapshot is read at one moment: its statuses belong to its version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, insert, select

from app.domain.layout import Seat
from app.domain.reservation import SeatSnapshot, SeatStatus
from app.domain.sale import SaleStatus, Sold, sale_ends_at
from app.ledger import audit_log
from app.ledger.database import Database, Transaction
from app.ledger.statements import as_json, insert_rows
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.lane import lanes
from app.ledger.tables.rooms import rooms

EVENTS_LISTED_MAX = 500
PAGE_MAX = 100
WORDS_MAX = 8  # of a search


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeSpec:
    """A grade to create: its name and the price of its seats."""

    name: str
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatSpec:
    """A seat to create. Its index in the list becomes its `idx`; `number` counts along its row."""

    section: str
    row: str
    number: int
    grade: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """An event to create. The best seats are those nearest to `focal`. `layout` and `details` are stored as given."""

    id: str
    title: str
    venue: str
    starts_at: datetime
    opens_at: datetime
    grades: Sequence[GradeSpec]
    seats: Sequence[SeatSpec]
    closes_at: datetime | None = None
    description: str = ""
    time_zone: str = "Asia/Seoul"
    admission: str = "room"  # room: through the waiting room; open: reserve needs no pass
    focal: tuple[float, float] = (0.0, 0.0)
    layout: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    room: Mapping[str, Any] = field(default_factory=dict)  # the first config of its room


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade. `seats_total` is set by `counted` and `read` only, which count the seats."""

    name: str
    price: int
    seats_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event. `version` rises with every change; `poster` is the name of its picture, None without one."""

    id: str
    title: str
    venue: str
    description: str
    starts_at: datetime
    opens_at: datetime
    closes_at: datetime | None
    time_zone: str
    admission: str
    details: Mapping[str, Any]
    version: int
    created_at: datetime
    cancelled_at: datetime | None
    grades: tuple[Grade, ...]
    poster: str | None = None  # its name, with the size it has
    poster_width: int | None = None
    poster_height: int | None = None


@dataclass(frozen=True, slots=True)
class AdminAction:
    """An admin's change of an event, as the audit log records it."""

    who: str
    action: str
    change: Mapping[str, Any]

    async def record(self, tx: Transaction, event_id: str, now: datetime) -> None:
        """Add it to the audit log, in the transaction of the change itself."""
        await audit_log.record(
            tx, who=self.who, action=self.action, subject=event_id, event_id=event_id, change=self.change, now=now
        )


async def create(db: Database, spec: EventSpec, now: datetime, by: AdminAction | None = None) -> bool:
    """Create an event with all that belongs to it; False, and nothing changed, if its id is taken."""
    async with db.write() as tx:
        if (await tx.execute(select(events.c.id).where(events.c.id == spec.id))).first():
            return False
        await tx.execute(insert(events), [_event_row(spec, now)])
        await tx.execute(insert(lanes), [{"event_id": spec.id, "fence": 0, "version": 0}])
        room = {"event_id": spec.id, "epoch": 1, "number_bound": 0, "cursor": 0, "config": dict(spec.room)}
        await tx.execute(insert(rooms), [room])
        if spec.grades:
            await tx.execute(insert(grades), [_grade_row(spec.id, index, g) for index, g in enumerate(spec.grades)])
        if spec.seats:
            rows = [(spec.id, idx, *_seat_cells(seat)) for idx, seat in enumerate(spec.seats)]
            await tx.execute(_make_seats, {"rows": as_json(rows)})
        if by is not None:
            await by.record(tx, spec.id, now)
    return True


async def listed(db: Database) -> list[Event]:
    """The EVENTS_LISTED_MAX events that start last, in order of their start: the oldest events are left out."""
    last = select(events).order_by(events.c.starts_at.desc(), events.c.id.desc()).limit(EVENTS_LISTED_MAX)
    async with db.read() as tx:
        return (await _described(tx, last))[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`text`: each of its words must occur in the title, venue or description, in any language."""

    text: str = ""
    status: SaleStatus | None = None
    limit: int = PAGE_MAX
    offset: int = 0


async def search(db: Database, wanted: Search, now: datetime) -> tuple[list[Event], int]:
    """One page of matching events and the number of all matches. Future events come first, the next one at the top."""
    where = [_has_word(word) for word in wanted.text.split()[:WORDS_MAX]]
    if wanted.status is not None:
        where.append(_has_status(wanted.status, now))
    coming = events.c.starts_at >= now
    order = (case((coming, 0), else_=1), case((coming, events.c.starts_at)), events.c.starts_at.desc(), events.c.id)
    page = select(events).where(*where).order_by(*order).limit(min(wanted.limit, PAGE_MAX)).offset(wanted.offset)
    async with db.read() as tx:
        total = (await tx.execute(select(func.count()).select_from(events).where(*where))).scalar_one()
        return await _described(tx, page), total


def _has_word(word: str) -> ColumnElement[bool]:
    return events.c.searched.contains(word.casefold(), autoescape=True)


def _has_status(status: SaleStatus, now: datetime) -> ColumnElement[bool]:
    """The rule of app/domain/sale.py in SQL; a test compares the two."""
    ends_at = func.coalesce(events.c.closes_at, events.c.starts_at)
    match status:
        case SaleStatus.cancelled:
            return events.c.cancelled_at.is_not(None)
        case SaleStatus.ended:
            return and_(events.c.cancelled_at.is_(None), ends_at <= now)
        case SaleStatus.on_sale:
            return and_(events.c.cancelled_at.is_(None), ends_at > now, events.c.opens_at <= now)
        case SaleStatus.upcoming:
            return and_(events.c.cancelled_at.is_(None), ends_at > now, events.c.opens_at > now)


async def without_free_seats(db: Database, now: datetime) -> dict[str, bool]:
    """The events on sale that have no free seat: event id → whether it has any seats."""
    of_event = select(seats.c.idx).where(seats.c.event_id == events.c.id)
    free = of_event.where(seats.c.status == SeatStatus.available.name)
    query = select(events.c.id, of_event.exists()).where(_has_status(SaleStatus.on_sale, now), ~free.exists())
    async with db.read() as tx:
        return {event_id: bool(has_seats) for event_id, has_seats in (await tx.execute(query)).all()}


async def get(db: Database, event_id: str) -> Event | None:
    """One event, or None."""
    async with db.read() as tx:
        found = await _described(tx, select(events).where(events.c.id == event_id))
    return found[0] if found else None


async def counted(db: Database, event_id: str) -> Event | None:
    """One event with the number of seats of each grade, which is slower to read; None if there is none."""
    async with db.read() as tx:
        found = await read(tx, select(events).where(events.c.id == event_id))
    return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When an event's sale opens and closes."""

    event_id: str
    opens_at: datetime
    closes_at: datetime
    cancelled: bool

    @property
    def opens_ms(self) -> int:
        """The opening as Unix time in milliseconds."""
        return int(self.opens_at.timestamp() * 1000)

    @property
    def closes_ms(self) -> int:
        """The closing as Unix time in milliseconds."""
        return int(self.closes_at.timestamp() * 1000)


async def windows(db: Database) -> dict[str, Window]:
    """The sale times of every event that has a waiting room, by id."""
    async with db.read() as tx:
        rows = (await tx.execute(_windows)).all()
    return {row.id: window_of(row, row.id) for row in rows}


def window_of(event: Sold, event_id: str) -> Window:
    """The sale times of an event or of a row of its columns."""
    return Window(
        event_id=event_id,
        opens_at=event.opens_at,
        closes_at=sale_ends_at(event),
        cancelled=event.cancelled_at is not None,
    )


_windows: Select[Any] = select(
    events.c.id, events.c.opens_at, events.c.closes_at, events.c.starts_at, events.c.cancelled_at
).where(events.c.admission == "room")


async def seat_snapshot(db: Database, event_id: str) -> SeatSnapshot | None:
    """The seat map of an event at one version, or None for an unknown event."""
    return await db.look(lambda tx: read_snapshot(tx, event_id))


def read_snapshot(tx: Connection, event_id: str) -> SeatSnapshot | None:
    """`seat_snapshot` inside a transaction."""
    head = select(lanes.c.version, events.c.layout, events.c.focal_x, events.c.focal_y)
    found = tx.execute(head.join(events).where(lanes.c.event_id == event_id)).first()
    if found is None:
        return None
    version, layout, focal_x, focal_y = found
    query = (
        select(
            seats.c.idx,
            seats.c.section,
            seats.c.row,
            seats.c.number,
            seats.c.grade,
            grades.c.price,
            seats.c.x,
            seats.c.y,
            seats.c.status,
        )
        .join(grades, (grades.c.event_id == seats.c.event_id) & (grades.c.name == seats.c.grade))
        .where(seats.c.event_id == event_id)
        .order_by(seats.c.idx)
    )
    rows = tx.execute(query).all()
    return SeatSnapshot(
        event_id=event_id,
        version=version,
        seats=tuple(Seat(*row[:-1]) for row in rows),
        statuses=bytes(SeatStatus[row[-1]] for row in rows),
        focal=(focal_x, focal_y),
        layout=layout,
    )


async def read(tx: Transaction, query: Select[Any]) -> list[Event]:
    """The events that a query finds, in its order, with their grades and the number of seats of each."""
    found = await _described(tx, query)
    by_grade = (seats.c.event_id, seats.c.grade)
    totals_of = (
        select(*by_grade, func.count()).where(seats.c.event_id.in_([event.id for event in found])).group_by(*by_grade)
    )
    totals = {(event_id, grade): total for event_id, grade, total in (await tx.execute(totals_of)).all()}
    return [
        replace(event, grades=tuple(replace(g, seats_total=totals.get((event.id, g.name), 0)) for g in event.grades))
        for event in found
    ]


async def _described(tx: Transaction, query: Select[Any]) -> list[Event]:
    """`read` without counting seats."""
    rows = (await tx.execute(query)).mappings().all()
    by_event = await _grades(tx, [row["id"] for row in rows])
    return [_event(row, by_event.get(row["id"], ())) for row in rows]


async def _grades(tx: Transaction, event_ids: Sequence[str]) -> dict[str, tuple[Grade, ...]]:
    columns = (grades.c.event_id, grades.c.name, grades.c.price)
    query = select(*columns).where(grades.c.event_id.in_(event_ids)).order_by(grades.c.event_id, grades.c.place)
    found: dict[str, tuple[Grade, ...]] = {}
    for event_id, name, price in (await tx.execute(query)).all():
        found[event_id] = (*found.get(event_id, ()), Grade(name=name, price=price))
    return found


def _event(row: RowMapping, event_grades: tuple[Grade, ...]) -> Event:
    kept = {name: row[name] for name in Event.__slots__ if name != "grades"}
    return Event(**kept, grades=event_grades)


def _event_row(spec: EventSpec, now: datetime) -> dict[str, Any]:
    return {
        "id": spec.id,
        "title": spec.title,
        "venue": spec.venue,
        "description": spec.description,
        "starts_at": spec.starts_at,
        "opens_at": spec.opens_at,
        "closes_at": spec.closes_at,
        "time_zone": spec.time_zone,
        "admission": spec.admission,
        "focal_x": spec.focal[0],
        "focal_y": spec.focal[1],
        "layout": dict(spec.layout),
        "details": dict(spec.details),
        "searched": searched_text(spec.title, spec.venue, spec.description, spec.details),
        "version": 1,
        "created_at": now,
        "cancelled_at": None,
    }


def searched_text(title: str, venue: str, description: str, details: Mapping[str, Any]) -> str:
    """The text that a search looks through: all texts of the event in all languages, case-folded."""
    others = [str(text) for words in details.values() if isinstance(words, Mapping) for text in words.values()]
    return "\n".join([title, venue, description, *others]).casefold()


def _grade_row(event_id: str, index: int, grade: GradeSpec) -> dict[str, Any]:
    return {"event_id": event_id, "name": grade.name, "place": index, "price": grade.price}


def _seat_cells(seat: SeatSpec) -> tuple[str | int | float, ...]:
    return (seat.section, seat.row, seat.number, seat.grade, seat.x, seat.y, SeatStatus.available.name)


_make_seats = insert_rows(seats, "event_id", "idx", "section", "row", "number", "grade", "x", "y", "status")
