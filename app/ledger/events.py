"""Events with their grades and seats: created as a whole, searched and read.

An event is created in one transaction together with its lane and its room, so no other code checks for those. A seat
snapshot is read at one moment: its statuses belong to its version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, insert, select

from app.domain.layout import Seat
from app.domain.reservation import SEATS_PER_BUYER, SeatSnapshot, SeatStatus, SingleSeats
from app.domain.sale import SaleStatus
from app.ledger import audit_log
from app.ledger.database import Database, Transaction
from app.ledger.statements import as_json, insert_rows
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.lane import lanes
from app.ledger.tables.rooms import rooms

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
    """An event to create. The best seats are those nearest to `focal`. `layout` and `details` are stored as given.

    `seats_per_buyer`: how many seats one person may hold and buy in all; None: no limit. `single_seats`: whether buyers
    who pick seats may leave one alone between others.
    """

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
    seats_per_buyer: int | None = SEATS_PER_BUYER
    single_seats: SingleSeats = "allowed"
    focal: tuple[float, float] = (0.0, 0.0)
    layout: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    room: Mapping[str, Any] = field(default_factory=dict)  # the first config of its room


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade. `seats_left`: how many of its seats were free when it was read."""

    name: str
    price: int
    seats_total: int
    seats_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event. `version` rises with every change; `poster` is the name of its picture, None without one.

    `seats_per_buyer`: how many seats one person may hold and buy in all; None: no limit. `single_seats`: whether buyers
    who pick seats may leave one alone between others.
    """

    id: str
    title: str
    venue: str
    description: str
    starts_at: datetime
    opens_at: datetime
    closes_at: datetime | None
    time_zone: str
    admission: str
    seats_per_buyer: int | None
    single_seats: SingleSeats
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
        if (await tx.execute(select(rooms.c.event_id).where(rooms.c.event_id == spec.id))).first():
            return False  # of an event, or of an origin's room
        await tx.execute(insert(events), [_event_row(spec, now)])
        await tx.execute(insert(lanes), [{"event_id": spec.id, "fence": 0, "version": 0}])
        room = {"event_id": spec.id, "epoch": 1, "number_bound": 0, "cursor": 0, "config": dict(spec.room)}
        has_room = spec.admission == "room"  # which never changes
        await tx.execute(insert(rooms), [{**room, "retired_at": None if has_room else now}])
        if spec.grades:
            totals = Counter(seat.grade for seat in spec.seats)
            rows = [_grade_row(spec.id, index, g, totals[g.name]) for index, g in enumerate(spec.grades)]
            await tx.execute(insert(grades), rows)
        if spec.seats:
            cells = [(spec.id, idx, *_seat_cells(seat)) for idx, seat in enumerate(spec.seats)]
            await tx.execute(_make_seats, {"rows": as_json(cells)})
        if by is not None:
            await by.record(tx, spec.id, now)
    return True


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
    c, limit = events.c, min(wanted.limit, PAGE_MAX)
    count = select(func.count()).select_from(events)
    coming = select(events).where(c.starts_at >= now, *where).order_by(c.starts_at, c.id)
    past = select(events).where(c.starts_at < now, *where).order_by(c.starts_at.desc(), c.id.desc())
    async with db.read() as tx:
        total = await tx.scalar(count.where(*where)) or 0
        total_coming = await tx.scalar(count.where(c.starts_at >= now, *where)) or 0
        found = await read(tx, coming.limit(limit).offset(wanted.offset))
        if len(found) < limit:
            behind = max(0, wanted.offset - total_coming)
            found += await read(tx, past.limit(limit - len(found)).offset(behind))
    return found, total


def _has_word(word: str) -> ColumnElement[bool]:
    return events.c.searched.contains(word.casefold(), autoescape=True)


def _has_status(status: SaleStatus, now: datetime) -> ColumnElement[bool]:
    """The rule of app/domain/sale.py in SQL; a test compares the two."""
    ends_at = events.c.ends_at
    match status:
        case SaleStatus.cancelled:
            return events.c.cancelled_at.is_not(None)
        case SaleStatus.ended:
            return and_(events.c.cancelled_at.is_(None), ends_at <= now)
        case SaleStatus.on_sale:
            return and_(events.c.cancelled_at.is_(None), ends_at > now, events.c.opens_at <= now)
        case SaleStatus.upcoming:
            return and_(events.c.cancelled_at.is_(None), ends_at > now, events.c.opens_at > now)


async def free_seats(db: Database, now: datetime) -> dict[str, dict[str, int]]:
    """Event id → grade → free seats, of every event on sale."""
    g = grades.c
    query = select(g.event_id, g.place, g.name, _left).join(events)
    query = query.where(g.seats > 0, _has_status(SaleStatus.on_sale, now))
    found: dict[str, dict[str, int]] = {}
    async with db.read() as tx:
        for event_id, _, grade, left in sorted(tuple(row) for row in await tx.execute(query)):
            found.setdefault(event_id, {})[grade] = left
    return found


async def get(db: Database, event_id: str) -> Event | None:
    """One event, or None."""
    async with db.read() as tx:
        found = await read(tx, select(events).where(events.c.id == event_id))
    return found[0] if found else None


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
            seats.c.name,
            seats.c.marks,
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
        seats=tuple(seat_of(row[:-1]) for row in rows),
        statuses=bytes(SeatStatus[row[-1]] for row in rows),
        focal=(focal_x, focal_y),
        layout=layout,
    )


def seat_of(row: Sequence[Any]) -> Seat:
    """A seat from its columns in the order of Seat; the marks are one text."""
    cells = (*row[:-1], tuple(filter(None, row[-1].split("+"))))
    return Seat(*cells)


async def read(tx: Transaction, query: Select[Any]) -> list[Event]:
    """The events that a query finds, in its order, with their grades."""
    rows = (await tx.execute(query)).mappings().all()
    by_event = await _grades(tx, [row["id"] for row in rows])
    return [_event(row, by_event.get(row["id"], ())) for row in rows]


async def _grades(tx: Transaction, event_ids: Sequence[str]) -> dict[str, tuple[Grade, ...]]:
    columns = (grades.c.event_id, grades.c.name, grades.c.price, grades.c.seats, _left)
    query = select(*columns).where(grades.c.event_id.in_(event_ids)).order_by(grades.c.event_id, grades.c.place)
    found: dict[str, tuple[Grade, ...]] = {}
    for event_id, name, price, total, left in (await tx.execute(query)).all():
        grade = Grade(name=name, price=price, seats_total=total, seats_left=left)
        found[event_id] = (*found.get(event_id, ()), grade)
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
        "seats_per_buyer": spec.seats_per_buyer,
        "single_seats": spec.single_seats,
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


def _grade_row(event_id: str, index: int, grade: GradeSpec, seats_total: int) -> dict[str, Any]:
    return {"event_id": event_id, "name": grade.name, "place": index, "price": grade.price, "seats": seats_total}


def _seat_cells(seat: SeatSpec) -> tuple[str | int | float, ...]:
    return (seat.section, seat.row, seat.number, seat.grade, seat.x, seat.y, SeatStatus.available.name)


_left = grades.c.seats - grades.c.held - grades.c.sold - grades.c.blocked
_make_seats = insert_rows(seats, "event_id", "idx", "section", "row", "number", "grade", "x", "y", "status")
