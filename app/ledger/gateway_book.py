"""The simulated provider's own records: what it was asked, what it answered, which webhooks it still has to send.

They stand for another company's database: only the simulator (app/payments/providers/simulator.py) and its webhook
sender use them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from app.domain.charge import SimulatedCharge
from app.ledger.database import Database
from app.ledger.statements import insert_new, upsert
from app.ledger.tables.gateway_simulator import gateway_book, gateway_fault_profiles

_b = gateway_book.c


async def record(db: Database, wanted: SimulatedCharge, now: datetime) -> SimulatedCharge:
    """Record a charge once; gives the one that was recorded first if its id is known."""

    def work(tx: Connection) -> SimulatedCharge:
        row = {**msgspec.to_builtins(wanted, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        return _booked(tx.execute(select(gateway_book).where(_b.charge_id == wanted.charge_id)).one())

    return await db.run(work, repeatable=True)


async def find(db: Database, charge_id: str) -> SimulatedCharge | None:
    row = await db.look(lambda tx: tx.execute(select(gateway_book).where(_b.charge_id == charge_id)).first())
    return None if row is None else _booked(row)


async def changed_since(db: Database, since: datetime, after: str, limit: int) -> list[SimulatedCharge]:
    """Charges made or changed since then, whose id comes after `after`: the next page of them, in the order of ids."""
    query = select(gateway_book).where((_b.at >= since) & (_b.charge_id > after)).order_by(_b.charge_id).limit(limit)
    return [_booked(row) for row in await db.look(lambda tx: tx.execute(query).all())]


async def refund(db: Database, unknown: SimulatedCharge, now: datetime) -> None:
    """Refund a charge. One that is not known is recorded as `unknown` says, so that its money can never be taken."""

    def work(tx: Connection) -> None:
        row = {**msgspec.to_builtins(unknown, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        taken = (_b.charge_id == unknown.charge_id) & _b.status.in_(("captured", "pending"))
        tx.execute(update(gateway_book).where(taken).values(status="refunded", settles_at=None, at=now))

    await db.run(work, repeatable=True)


async def capture_due(db: Database, now: datetime, limit: int) -> int:
    """Take the money of pending charges whose time has come; gives how many."""
    due = select(_b.charge_id).where((_b.status == "pending") & (_b.settles_at <= now)).limit(limit)
    statement = (
        update(gateway_book)
        .where(_b.charge_id.in_(due) & (_b.status == "pending"))
        .values(status="captured", settles_at=None, webhook_at=now, at=now)
    )
    return await db.run(lambda tx: tx.execute(statement).rowcount)


async def claim_webhooks(db: Database, now: datetime, claim: timedelta, limit: int) -> list[SimulatedCharge]:
    """Charges for which a webhook is due, longest due first. The caller sends them: for as long as `claim` nobody else
    is given the same ones.
    """
    is_due = (_b.webhooks_left > 0) & (_b.webhook_at <= now)
    due = select(_b.charge_id).where(is_due).order_by(_b.webhook_at).limit(limit)
    statement = update(gateway_book).where(_b.charge_id.in_(due) & is_due).values(webhook_at=now + claim)
    return [_booked(row) for row in await db.run(lambda tx: tx.execute(statement.returning(gateway_book)).all())]


async def webhook_sent(
    db: Database, booked: SimulatedCharge, *, accepted: bool, again_in: timedelta, now: datetime
) -> None:
    """Note that one webhook was sent; one that was not accepted stays due and is sent again after `again_in`."""
    left = booked.webhooks_left - 1 if accepted else booked.webhooks_left
    mine = (_b.charge_id == booked.charge_id) & (_b.webhooks_left == booked.webhooks_left)
    statement = update(gateway_book).where(mine).values(webhooks_left=left, webhook_at=now + again_in)
    await db.run(lambda tx: tx.execute(statement))


async def fault_profiles(db: Database) -> dict[str, Any]:
    """How the simulator shall behave, by method; a method that nobody changed is not named."""
    rows = await db.look(lambda tx: tx.execute(select(gateway_fault_profiles)).all())
    return {method: profile for method, profile in rows}  # noqa: C416  # rows are not pairs to mypy


async def set_fault_profile(db: Database, method: str, profile: dict[str, Any]) -> None:
    statement = upsert(gateway_fault_profiles, ["method"], ["profile"]).values(method=method, profile=profile)
    await db.run(lambda tx: tx.execute(statement), repeatable=True)


def _booked(row: Row[Any]) -> SimulatedCharge:
    return msgspec.convert({str(column.key): row._mapping[column] for column in _b}, SimulatedCharge)
