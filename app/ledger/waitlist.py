"""The waiting lists: who waits for seats of an event, in order of joining, and what became of them.

A holder has at most one live entry per event, by a unique index and here. Only the lane changes `waiting` to `offered`,
in the transaction that makes the reservation (seats.py); every other change is made here, conditional on the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.reservation import ReservationStatus
from app.domain.waitlist import LIVE_STATES, WAITING_MAX, ListState, Waiting
from app.domain.wish import Wish, pack_wish, unpack_wish
from app.ledger.database import Database, Transaction
from app.ledger.tables.base import has_word
from app.ledger.tables.events import events
from app.ledger.tables.reservations import reservations
from app.ledger.tables.waitlist import waitlist

LISTED_MAX = 100  # entries of one person
SETTLED_MAX = 500  # entries per pass
_c = waitlist.c
_is_live = has_word(_c.state, *LIVE_STATES)
_is_waiting = has_word(_c.state, ListState.waiting)
_is_offered = has_word(_c.state, ListState.offered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`place` counts from 1 and is set while waiting. `reservation_id` and `offer_ends_at` belong to an offer."""

    id: int
    event_id: str
    holder: str
    wish: Wish
    state: ListState
    joined_at: datetime
    place: int | None = None
    reservation_id: str | None = None
    offer_ends_at: datetime | None = None


class ListFull(Exception):
    """The waiting list has no room for another entry."""


async def join(db: Database, event_id: str, holder: str, wish: Wish, now: datetime) -> tuple[Entry, bool]:
    """Put a holder on the list, once: their live entry, and whether it is new. Raises ListFull."""
    try:
        return await _join(db, event_id, holder, wish, now)
    except IntegrityError:  # another request of the same holder was first; this one finds its entry
        return await _join(db, event_id, holder, wish, now)


async def _join(db: Database, event_id: str, holder: str, wish: Wish, now: datetime) -> tuple[Entry, bool]:
    mine = (_c.event_id == event_id) & (_c.holder == holder)
    async with db.write(about=f"waitlist:{event_id}") as tx:
        await _settle(tx, mine, now)
        known = await _entries(tx, mine & _is_live, 1)
        if known:
            return known[0], False
        waiting = await tx.scalar(select(func.count()).where((_c.event_id == event_id) & _is_waiting))
        if (waiting or 0) >= WAITING_MAX:
            raise ListFull(event_id)
        values = {"event_id": event_id, "holder": holder, "wish": pack_wish(wish), "joined_at": now}
        await tx.execute(insert(waitlist).values(**values, state=ListState.waiting.value))
        return (await _entries(tx, mine & _is_live, 1))[0], True


async def own(db: Database, event_id: str, holders: Sequence[str]) -> Entry | None:
    """A person's live entry, else their newest. A person may have several holder ids."""
    async with db.read() as tx:
        found = await _entries(tx, (_c.event_id == event_id) & _c.holder.in_(holders), 1)
    return found[0] if found else None


async def of_holders(db: Database, holders: Sequence[str]) -> list[Entry]:
    """A person's entries for all events, live ones first, then the newest."""
    async with db.read() as tx:
        return await _entries(tx, _c.holder.in_(holders), LISTED_MAX)


async def leave(db: Database, entry_id: int, now: datetime) -> bool:
    """End a waiting or offered entry; False if it had ended. The caller has the lane cancel an offer's reservation."""
    async with db.write() as tx:
        leaving = update(waitlist).where((_c.id == entry_id) & _is_live)
        return (await tx.execute(leaving.values(state=ListState.left.value, ended_at=now))).rowcount == 1


def waiting(tx: Connection, event_id: str, now: datetime) -> list[Waiting]:
    """The waiting entries of an event, in order, locked until `tx` ends. Empty unless the event is on sale."""
    rows = tx.execute(_find_waiting, {"event": event_id, "now": now}).all()
    return [Waiting(id=row.id, holder=row.holder, wish=unpack_wish(row.wish)) for row in rows]


async def events_waiting(db: Database, after: str, limit: int) -> list[str]:
    """At most `limit` events with people waiting, by id, starting after `after`."""
    async with db.read() as tx:
        return list((await tx.execute(_events_waiting, {"after": after, "most": limit})).scalars())


async def settle(db: Database, event_ids: Sequence[str], now: datetime) -> int:
    """End a bounded number of entries: offers bought or lapsed, and those who wait for one of these events if its sale
    is over. Returns how many.
    """
    waiting = select(_c.id).join(events).where(_c.event_id.in_(event_ids), _is_waiting, _sale_over(now))
    async with db.read() as tx:  # most passes find nothing: no write lock for that
        ids = [
            id_ for query in (_offers_over, waiting) for id_ in (await tx.execute(query.limit(SETTLED_MAX))).scalars()
        ]
    if not ids:
        return 0
    async with db.write() as tx:
        return await _settle(tx, _c.id.in_(ids), now)


async def _settle(tx: Transaction, where: ColumnElement[bool], now: datetime) -> int:
    status = select(reservations.c.status).where(reservations.c.id == _c.reservation_id).scalar_subquery()
    offered = where & _is_offered & (status != ReservationStatus.pending.value)
    bought = case((status == ReservationStatus.confirmed.value, ListState.bought.value), else_=ListState.lapsed.value)
    over = update(waitlist).where(offered).values(state=bought, ended_at=now)
    unsold = select(events.c.id).where(events.c.id == _c.event_id, _sale_over(now))
    ended = update(waitlist).where(where & _is_waiting & unsold.exists())
    closed = (await tx.execute(over)).rowcount
    return closed + (await tx.execute(ended.values(state=ListState.ended.value, ended_at=now))).rowcount


async def _entries(tx: Transaction, where: ColumnElement[bool], limit: int) -> list[Entry]:
    """Live entries first, then the newest. An offer whose reservation is paid or has ended has the state bought or
    lapsed, even before `settle` stores it."""
    other = waitlist.alias()
    is_ahead = has_word(other.c.state, ListState.waiting) & (other.c.id <= _c.id)
    before = (other.c.event_id == _c.event_id) & is_ahead
    place = select(func.count()).select_from(other).where(before).scalar_subquery()
    query = (
        select(waitlist, place.label("place"), reservations.c.status, reservations.c.expires_at)
        .outerjoin(reservations, reservations.c.id == _c.reservation_id)
        .where(where)
        .order_by(case((_is_live, 0), else_=1), _c.id.desc())
    )
    rows = (await tx.execute(query.limit(limit))).all()
    return [
        Entry(
            id=row.id,
            event_id=row.event_id,
            holder=row.holder,
            wish=unpack_wish(row.wish),
            state=_shown(ListState(row.state), row.status),
            joined_at=row.joined_at,
            place=row.place if row.state == ListState.waiting else None,
            reservation_id=row.reservation_id,
            offer_ends_at=row.expires_at,
        )
        for row in rows
    ]


def _shown(state: ListState, reservation: str | None) -> ListState:
    if state is not ListState.offered or reservation == ReservationStatus.pending:
        return state
    return ListState.bought if reservation == ReservationStatus.confirmed else ListState.lapsed


def _sale_over(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    return events.c.cancelled_at.is_not(None) | (events.c.ends_at <= now)


_offers_over = (
    select(_c.id).join(reservations).where(_is_offered, reservations.c.status != ReservationStatus.pending.value)
)
_lists = waitlist.alias()
_waits = has_word(_lists.c.state, ListState.waiting)
# Each next event is looked up by itself: a list of a thousand is not read to learn that there is one.
_first = select(func.min(_c.event_id).label("event_id")).where(_is_waiting, _c.event_id > bindparam("after"))
_known = _first.cte("known", recursive=True)
_next = select(func.min(_lists.c.event_id)).where(_waits, _lists.c.event_id > _known.c.event_id).scalar_subquery()
_known = _known.union_all(select(_next).where(_known.c.event_id.is_not(None)))
_events_waiting = select(_known.c.event_id).where(_known.c.event_id.is_not(None)).limit(bindparam("most"))
_sold_now = select(events.c.id).where(events.c.id == bindparam("event"), events.c.opens_at <= bindparam("now"))
_find_waiting = (
    select(_c.id, _c.holder, _c.wish)
    .where(_c.event_id == bindparam("event"), _is_waiting)
    .where(_c.event_id.in_(_sold_now.where(~_sale_over(bindparam("now", type_=events.c.opens_at.type)))))
    .order_by(_c.id)
    .limit(WAITING_MAX)
    .with_for_update()
)
