"""The simulated provider's own records: its charges, its answers, and the webhooks that it still has to send.

They play the part of another company's database: only the simulator (app/payments/providers/simulator.py) and its
webhook sender use them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from app.domain.charge import SimulatedCharge
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.statements import insert_new, upsert
from app.ledger.tables.gateway_simulator import gateway_book, gateway_fault_profiles, gateway_refunds

_b = gateway_book.c


async def record(db: Database, wanted: SimulatedCharge, now: datetime) -> SimulatedCharge:
    """Record a charge; if its id is recorded already, change nothing. Returns the recorded charge."""

    def work(tx: Connection) -> SimulatedCharge:
        row = {**msgspec.to_builtins(wanted, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        return _booked(tx.execute(select(gateway_book).where(_b.charge_id == wanted.charge_id)).one())

    return await db.run(work, repeatable=True)


async def find(db: Database, charge_id: str) -> SimulatedCharge | None:
    row = await db.look(lambda tx: tx.execute(select(gateway_book).where(_b.charge_id == charge_id)).first())
    return None if row is None else _booked(row)


async def changed_since(db: Database, since: datetime, after: str, limit: int) -> list[SimulatedCharge]:
    """A page of the charges that were made or changed since then, in order of id, starting after the id `after`."""
    query = select(gateway_book).where((_b.at >= since) & (_b.charge_id > after)).order_by(_b.charge_id).limit(limit)
    return [_booked(row) for row in await db.look(lambda tx: tx.execute(query).all())]


async def refund(db: Database, refunded: SimulatedCharge, now: datetime) -> None:
    """Refund a charge. If its id is not recorded yet, record `refunded`, so that it can never be captured."""

    def work(tx: Connection) -> None:
        row = {**msgspec.to_builtins(refunded, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        taken = (_b.charge_id == refunded.charge_id) & _b.status.in_(("captured", "pending"))
        tx.execute(
            update(gateway_book).where(taken).values(status="refunded", settles_at=None, refunded=_b.amount, at=now)
        )

    await db.run(work, repeatable=True)


async def refund_part(db: Database, charge_id: str, amount: int, part: int, now: datetime) -> None:
    """Refund a part of a captured charge, once. Of a charge of which so much is not left, nothing is refunded."""

    def work(tx: Connection) -> None:
        taken = (_b.charge_id == charge_id) & (_b.status == "captured") & (_b.refunded + amount <= _b.amount)
        row = {"charge_id": charge_id, "part": part, "amount": amount}
        if tx.execute(insert_new(gateway_refunds).values(row)).rowcount:
            tx.execute(update(gateway_book).where(taken).values(refunded=_b.refunded + amount, at=now))

    await db.run(work, repeatable=True)


async def capture_due(db: Database, now: datetime, limit: int) -> int:
    """Capture the pending charges whose time has come; returns how many."""
    due = select(_b.charge_id).where((_b.status == "pending") & (_b.settles_at <= now)).limit(limit)
    statement = (
        update(gateway_book)
        .where(_b.charge_id.in_(due) & (_b.status == "pending"))
        .values(status="captured", settles_at=None, webhook_at=now, at=now)
    )
    return await db.run(lambda tx: tx.execute(statement).rowcount)


async def claim_webhooks(db: Database, now: datetime, claim: timedelta, limit: int) -> list[SimulatedCharge]:
    """Charges whose webhook is due, earliest first, claimed for the caller: for the time `claim` no other caller gets
    them.
    """
    is_due = (_b.webhooks_left > 0) & (_b.webhook_at <= now)
    due = select(_b.charge_id).where(is_due).order_by(_b.webhook_at).limit(limit)
    statement = update(gateway_book).where(_b.charge_id.in_(due) & is_due).values(webhook_at=now + claim)
    return [_booked(row) for row in await db.run(lambda tx: tx.execute(statement.returning(gateway_book)).all())]


async def webhook_sent(
    db: Database, booked: SimulatedCharge, *, accepted: bool, again_in: timedelta, now: datetime
) -> None:
    """Record that a webhook was sent. One that was not accepted is due again after `again_in`."""
    left = booked.webhooks_left - 1 if accepted else booked.webhooks_left
    mine = (_b.charge_id == booked.charge_id) & (_b.webhooks_left == booked.webhooks_left)
    statement = update(gateway_book).where(mine).values(webhooks_left=left, webhook_at=now + again_in)
    await db.run(lambda tx: tx.execute(statement))


async def fault_profiles(db: Database) -> dict[str, Any]:
    """Payment method → fault profile, for the methods that have one."""
    rows = await db.look(lambda tx: tx.execute(select(gateway_fault_profiles)).all())
    return {method: profile for method, profile in rows}  # noqa: C416  # rows are not pairs to mypy


async def set_fault_profile(db: Database, method: str, profile: dict[str, Any]) -> None:
    statement = upsert(gateway_fault_profiles, ["method"], ["profile"]).values(method=method, profile=profile)
    await db.run(lambda tx: tx.execute(statement), repeatable=True)


async def change_fault_profile(
    db: Database, method: str, profile: dict[str, Any], was: dict[str, Any], *, who: str, now: datetime
) -> None:
    """The same by an admin, which the audit log has with the old values. `was`: the profile of a method without one."""
    await db.run(lambda tx: _change_fault_profile(tx, method, profile, was, who, now), repeatable=True)


def _change_fault_profile(
    tx: Connection, method: str, profile: dict[str, Any], was: dict[str, Any], who: str, now: datetime
) -> None:
    c = gateway_fault_profiles.c
    stored = tx.execute(select(c.profile).where(c.method == method).with_for_update()).scalar()
    old = {**was, **(stored or {})}
    tx.execute(upsert(gateway_fault_profiles, ["method"], ["profile"]).values(method=method, profile=profile))
    changed = {name: value for name, value in old.items() if {**was, **profile}.get(name) != value}
    change = {**profile, audit_log.WAS: changed} if changed else profile
    action = audit_log.CHANGE_GATEWAY
    audit_log.record_in(tx, who=who, action=action, subject=method, event_id=None, change=change, now=now)


def _booked(row: Row[Any]) -> SimulatedCharge:
    return msgspec.convert({str(column.key): row._mapping[column] for column in _b}, SimulatedCharge)
