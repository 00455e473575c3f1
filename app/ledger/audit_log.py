"""The audit log: which admin or payment provider did what, to what, and when. Entries are added and read, never
changed. Those about money are kept for ever, others as long as the settings say (retention.py).

`record` takes the transaction of the action itself, so that action and entry are stored together or not at all. Given
the database instead, it stores the entry in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select

from app.ledger.database import Database, Transaction
from app.ledger.tables.audit_log import audit_log
from app.ledger.tables.base import UtcDateTime

ENTRIES_PER_PAGE_MAX = 200
PRUNE_MAX = 500  # entries that are deleted in a transaction
ROOM_CHANGE = "room.change"
WAS = "was"  # in a change: the old values of what was changed
BUYER = "buyer"  # `who` of what a buyer did; which one, the reservation says
PAYMENT_RETURNED = "payment.returned"  # by the payment provider, unasked; `who` is its name
REFUSED = "refused"  # the action of the entry with the id `change["of"]` had no effect
UNANSWERED = "unanswered"  # that action got no answer in time; it may still have an effect
CANCEL_RESERVATION, REFUND_RESERVATION = "reservation.cancel", "reservation.refund"
CANCEL_EVENT, CHANGE_GATEWAY = "event.cancel", "gateway.change"
KEPT_ACTIONS = frozenset(  # about money, or what became of an action that may be
    {CANCEL_RESERVATION, REFUND_RESERVATION, PAYMENT_RETURNED, CANCEL_EVENT, CHANGE_GATEWAY, REFUSED, UNANSWERED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`action` is `thing.verb`, `subject` the id of the thing, `change` the requested values."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    event_id: str | None
    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries to list; None matches all. `before`: only entries with a smaller id, to continue a listing."""

    who: str | None = None
    action: str | None = None
    subject: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


async def record(
    store: Database | Transaction,
    *,
    who: str,
    action: str,
    subject: str,
    event_id: str | None,
    change: Mapping[str, Any],
    now: datetime,
) -> int:
    """Add an entry and return its id. `change` must be JSON and is kept for years, so it must not contain secrets."""
    values = _values(who, action, subject, event_id, change, now)
    if isinstance(store, Database):
        async with store.write() as tx:
            return _id_of(await tx.execute(insert(audit_log).values(values)))
    return _id_of(await store.execute(insert(audit_log).values(values)))


def record_in(
    tx: Connection,
    *,
    who: str,
    action: str,
    subject: str,
    event_id: str | None,
    change: Mapping[str, Any],
    now: datetime,
) -> int:
    """`record` for work that runs in `Database.run`."""
    return _id_of(tx.execute(insert(audit_log).values(_values(who, action, subject, event_id, change, now))))


async def listed(db: Database, wanted: AuditFilter, limit: int) -> list[Entry]:
    """At most `limit` entries, newest first."""
    query = _filtered(wanted).order_by(audit_log.c.id.desc()).limit(min(limit, ENTRIES_PER_PAGE_MAX))
    async with db.read() as tx:
        rows = (await tx.execute(query)).mappings().all()
    return [Entry(**row) for row in rows]


async def last_of(db: Database, actions: Collection[str], since: datetime, limit: int) -> dict[str, datetime]:
    """Subject → time of the latest of these actions since then, oldest first; the newest `limit` of them."""
    c = audit_log.c
    last = func.max(c.at).label("last")
    query = select(c.subject, last).where(c.action.in_(actions) & (c.at >= since)).group_by(c.subject)
    async with db.read() as tx:
        rows = (await tx.execute(query.order_by(last.desc()).limit(limit))).all()
    return {subject: at for subject, at in reversed(rows)}  # noqa: C416  # rows are not pairs to mypy


async def room_changes(db: Database, event_id: str, limit: int) -> list[Entry]:
    """The latest changes of a room, newest first, without those that were refused."""
    of_room = (audit_log.c.event_id == event_id) & audit_log.c.action.in_((ROOM_CHANGE, REFUSED))
    query = select(audit_log).where(of_room).order_by(audit_log.c.id.desc()).limit(min(limit, ENTRIES_PER_PAGE_MAX) * 2)
    async with db.read() as tx:
        rows = (await tx.execute(query)).mappings().all()
    refused = {row["change"].get("of") for row in rows if row["action"] == REFUSED}
    changes = [Entry(**row) for row in rows if row["action"] == ROOM_CHANGE and row["id"] not in refused]
    return changes[:limit]


async def prunable_actions(db: Database) -> list[str]:
    """The actions in the audit log that are not about money, each found by one look into the index."""
    actions: list[str] = []
    last: str | None = ""
    async with db.read() as tx:
        while (last := await tx.scalar(_NEXT_ACTION, {"after": last})) is not None:
            actions.append(last)
    return [action for action in actions if action not in KEPT_ACTIONS]


async def prune(db: Database, action: str, before: datetime) -> int:
    """Delete a bounded number of entries of one action that are older; returns how many."""
    async with db.write(about="retention:audit") as tx:
        return (await tx.execute(_FORGET_AUDIT, {"action": action, "before": before, "most": PRUNE_MAX})).rowcount


async def count(db: Database, action: str, before: datetime) -> int:
    """How many entries of one action are older."""
    async with db.read() as tx:
        return await tx.scalar(_COUNT_AUDIT, {"action": action, "before": before}) or 0


def _filtered(wanted: AuditFilter) -> Select[Any]:
    query = select(audit_log)
    for name in ("who", "action", "subject", "event_id"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit_log.c[name] == value)
    if wanted.since is not None:
        query = query.where(audit_log.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit_log.c.at < wanted.until)
    if wanted.before is not None:
        query = query.where(audit_log.c.id < wanted.before)
    return query


def _values(
    who: str, action: str, subject: str, event_id: str | None, change: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    return {"at": now, "who": who, "action": action, "subject": subject, "event_id": event_id, "change": dict(change)}


def _id_of(inserted: Any) -> int:
    return int(inserted.inserted_primary_key[0])


_NEXT_ACTION = select(func.min(audit_log.c.action)).where(audit_log.c.action > bindparam("after"))
_is_old = (audit_log.c.action == bindparam("action")) & (audit_log.c.at < bindparam("before", type_=UtcDateTime))
_FORGET_AUDIT = delete(audit_log).where(
    audit_log.c.id.in_(select(audit_log.c.id).where(_is_old).limit(bindparam("most")))
)
_COUNT_AUDIT = select(func.count()).select_from(audit_log).where(_is_old)
