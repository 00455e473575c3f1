"""Deletes what nobody needs any more: what an ended sale leaves beside its orders, and old entries of the audit log.

Of a sale that ended long enough ago: the holds that ended without any charge, and the entries of its waiting list that
have ended. Never what is live, never a reservation for which money was asked, never an audit entry about money. A few
rows in a transaction, so that nobody waits long; whoever goes on after an interruption finds the rest. A sale is looked
at until it is pruned, and then never again unless its event is edited: how many there ever were makes no difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import String, bindparam, delete, exists, func, select, tuple_, update

from app.domain.reservation import ReservationStatus
from app.domain.waitlist import LIVE_STATES, ListState
from app.ledger import audit_log
from app.ledger.database import Database, Transaction
from app.ledger.statements import as_json, one_of
from app.ledger.tables.base import UtcDateTime, has_word
from app.ledger.tables.events import TO_PRUNE, events
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.waitlist import waitlist

PORTION_MAX = 500  # rows in a transaction
SALES_MAX = 100_000  # in a round
PAUSE_S = 0.02  # between two transactions, for others who write
UNPAID = (ReservationStatus.expired, ReservationStatus.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """For how long what is kept: of a sale after its end, and of the audit log. None: for ever."""

    sales: timedelta | None
    audit: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows were deleted, or would be. `sales`: of how many ended sales, which are looked at no more."""

    sales: int = 0
    holds: int = 0
    waitlist: int = 0
    audit: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            sales=self.sales + other.sales,
            holds=self.holds + other.holds,
            waitlist=self.waitlist + other.waitlist,
            audit=self.audit + other.audit,
        )

    @property
    def rows(self) -> int:
        return self.holds + self.waitlist + self.audit


async def prune(db: Database, keep: Keep, now: datetime) -> AsyncGenerator[Pruned]:
    """Delete everything that is older than is kept. Yields after each transaction what was deleted by then.

    Safe beside a running system and in several processes at once; after an interruption the next call goes on. Raises
    StoreError.
    """
    done = Pruned()
    for event_id in [] if keep.sales is None else await ended_sales(db, now - keep.sales):
        async for part in _prune_sale(db, event_id, now):
            done += part
            yield done
            await asyncio.sleep(PAUSE_S if part.rows else 0)
    if keep.audit is not None:
        for action in await audit_log.prunable_actions(db):
            while count := await audit_log.prune(db, action, now - keep.audit):
                done += Pruned(audit=count)
                yield done
                await asyncio.sleep(PAUSE_S)


async def would_prune(db: Database, keep: Keep, now: datetime) -> Pruned:
    """What `prune` would delete now. Raises StoreError."""
    found = Pruned()
    for event_id in [] if keep.sales is None else await ended_sales(db, now - keep.sales):
        holds, entries = await count_sale(db, event_id)
        found += Pruned(sales=1, holds=holds, waitlist=entries)
    if keep.audit is not None:
        for action in await audit_log.prunable_actions(db):
            found += Pruned(audit=await audit_log.count(db, action, now - keep.audit))
    return found


async def _prune_sale(db: Database, event_id: str, now: datetime) -> AsyncIterator[Pruned]:
    """Yields what each transaction has deleted."""
    while count := await prune_waitlist(db, event_id):
        yield Pruned(waitlist=count)
    for status in UNPAID:
        after: After | None = START
        while after is not None:
            count, after = await prune_holds(db, event_id, status, after)
            yield Pruned(holds=count)
    yield Pruned(sales=int(await mark_pruned(db, event_id, now)))


async def ended_sales(db: Database, before: datetime) -> list[str]:
    """The events whose sale ended before then and that are not pruned, the oldest first."""
    query = select(_e.id).where(TO_PRUNE, _e.ends_at < before).order_by(_e.ends_at, _e.id).limit(SALES_MAX)
    async with db.read() as tx:
        return list((await tx.execute(query)).scalars())


After = tuple[datetime, str]  # the time and id of the last hold that was looked at
START: After = (datetime(1970, 1, 1, tzinfo=UTC), "")


async def prune_holds(db: Database, event_id: str, status: ReservationStatus, after: After) -> tuple[int, After | None]:
    """Delete those of the next PORTION_MAX holds with this status for which no money was asked.

    How many there were, and where to go on; None at the end.
    """
    given = {"event": event_id, "status": status.value, "at": after[0], "after": after[1], "most": PORTION_MAX}
    async with db.write(about=f"retention:{event_id}") as tx:
        rows = (await tx.execute(_NEXT_HOLDS, given)).all()
        ids = list((await tx.execute(_WITHOUT_MONEY, {"ids": as_json([row.id for row in rows])})).scalars())
        if ids:
            await _delete_holds(tx, event_id, status, ids)
    return len(ids), (rows[-1].created_at, rows[-1].id) if len(rows) == PORTION_MAX else None


async def _delete_holds(tx: Transaction, event_id: str, status: ReservationStatus, ids: Collection[str]) -> None:
    """The statistics go on counting them."""
    given = {"ids": as_json([*ids])}
    await tx.execute(_FORGET_SEATS, given)
    await tx.execute(_FORGET_HOLDS, given)
    counter = {ReservationStatus.expired: _e.pruned_expired, ReservationStatus.cancelled: _e.pruned_cancelled}[status]
    await tx.execute(update(events).where(_e.id == event_id).values({counter.name: counter + len(ids)}))


async def prune_waitlist(db: Database, event_id: str) -> int:
    """Delete a bounded number of entries that have ended; returns how many."""
    async with db.write(about=f"retention:{event_id}") as tx:
        return (await tx.execute(_FORGET_ENTRIES, {"event": event_id, "most": PORTION_MAX})).rowcount


async def mark_pruned(db: Database, event_id: str, now: datetime) -> bool:
    """Look at this sale no more, unless something of it has yet to end."""
    async with db.write(about=f"retention:{event_id}") as tx:
        return (await tx.execute(_MARK, {"event": event_id, "now": now})).rowcount == 1


async def count_sale(db: Database, event_id: str) -> tuple[int, int]:
    """How many holds and waiting list entries of an ended sale could be deleted."""
    given = {"event": event_id}
    async with db.read() as tx:
        return await tx.scalar(_COUNT_HOLDS, given) or 0, await tx.scalar(_COUNT_ENTRIES, given) or 0


_e, _r, _w = events.c, reservations.c, waitlist.c
_of_event = _r.event_id == bindparam("event")
_without_money = (
    ~exists().where(charges.c.reservation_id == _r.id)
    & ~exists().where(payments.c.reservation_id == _r.id)
    & ~exists().where(_w.reservation_id == _r.id)  # its entry has yet to end
)
_NEXT_HOLDS = (
    select(_r.id, _r.created_at)
    .where(_of_event, _r.status == bindparam("status", type_=String))
    .where(tuple_(_r.created_at, _r.id) > tuple_(bindparam("at", type_=UtcDateTime), bindparam("after", type_=String)))
    .order_by(_r.created_at, _r.id)
    .limit(bindparam("most"))
)
_WITHOUT_MONEY = select(_r.id).where(one_of(_r.id, "ids"), _without_money)
_FORGET_SEATS = delete(reservation_seats).where(one_of(reservation_seats.c.reservation_id, "ids"))
_FORGET_HOLDS = delete(reservations).where(one_of(_r.id, "ids"))
_COUNT_HOLDS = select(func.count()).select_from(reservations).where(_of_event, has_word(_r.status, *UNPAID))
_COUNT_HOLDS = _COUNT_HOLDS.where(_without_money)
_has_ended = has_word(_w.state, *(frozenset(ListState) - LIVE_STATES))
_ended_entries = select(_w.id).where(_w.event_id == bindparam("event"), _has_ended)
_FORGET_ENTRIES = delete(waitlist).where(_w.id.in_(_ended_entries.limit(bindparam("most"))))
_COUNT_ENTRIES = select(func.count()).select_from(_ended_entries.subquery())
_pending = exists().where(_of_event, has_word(_r.status, ReservationStatus.pending))
_listed = exists().where(_w.event_id == bindparam("event"), has_word(_w.state, *LIVE_STATES))
_MARK = (
    update(events)
    .where(_e.id == bindparam("event"), ~_pending, ~_listed)
    .values(pruned_at=bindparam("now", type_=UtcDateTime))
)
