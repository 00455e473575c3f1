"""The simulated gateway's durable book: what it was asked, what it answered, what it still has to tell us.

It stands for a company elsewhere: only `app.payments.simulator` and the audit may look into it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from app.domain.charge import Booked
from app.ledger.database import Database
from app.ledger.statements import insert_new, upsert
from app.ledger.tables.gateway_simulator import gateway_book, gateway_moods

_b = gateway_book.c


async def record(db: Database, wanted: Booked, now: datetime) -> Booked:
    """Book a charge once; the one booked first if its id is known."""

    def work(tx: Connection) -> Booked:
        row = {**msgspec.to_builtins(wanted, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        return _booked(tx.execute(select(gateway_book).where(_b.charge_id == wanted.charge_id)).one())

    return await db.run(work, repeatable=True)


async def find(db: Database, charge_id: str) -> Booked | None:
    row = await db.look(lambda tx: tx.execute(select(gateway_book).where(_b.charge_id == charge_id)).first())
    return None if row is None else _booked(row)


async def give_back(db: Database, unknown: Booked, now: datetime) -> None:
    """Give a charge back; one that is not known is booked as `unknown` says, so that it can never be taken."""

    def work(tx: Connection) -> None:
        row = {**msgspec.to_builtins(unknown, builtin_types=(datetime,)), "at": now}
        tx.execute(insert_new(gateway_book).values(row))
        taken = (_b.charge_id == unknown.charge_id) & _b.status.in_(("captured", "pending"))
        tx.execute(update(gateway_book).where(taken).values(status="refunded", settles_at=None, at=now))

    await db.run(work, repeatable=True)


async def settle(db: Database, now: datetime, limit: int) -> int:
    """Take the money of those charges whose time has come; gives how many."""
    due = select(_b.charge_id).where((_b.status == "pending") & (_b.settles_at <= now)).limit(limit)
    statement = (
        update(gateway_book)
        .where(_b.charge_id.in_(due) & (_b.status == "pending"))
        .values(status="captured", settles_at=None, news_at=now, at=now)
    )
    return await db.run(lambda tx: tx.execute(statement).rowcount)


async def take_news(db: Database, now: datetime, claim: timedelta, limit: int) -> list[Booked]:
    """Charges the gateway has something to tell about, longest due first. Whoever takes them tells them: for as long as
    `claim` nobody else is given them.
    """
    is_due = (_b.news_left > 0) & (_b.news_at <= now)
    due = select(_b.charge_id).where(is_due).order_by(_b.news_at).limit(limit)
    statement = update(gateway_book).where(_b.charge_id.in_(due) & is_due).values(news_at=now + claim)
    return [_booked(row) for row in await db.run(lambda tx: tx.execute(statement.returning(gateway_book)).all())]


async def told(db: Database, booked: Booked, *, heard: bool, again_in: timedelta, now: datetime) -> None:
    """One piece of news was told; if nobody `heard` it, it is told again later."""
    left = booked.news_left - 1 if heard else booked.news_left
    mine = (_b.charge_id == booked.charge_id) & (_b.news_left == booked.news_left)
    statement = update(gateway_book).where(mine).values(news_left=left, news_at=now + again_in)
    await db.run(lambda tx: tx.execute(statement))


async def moods(db: Database) -> dict[str, Any]:
    """How the simulator was told to behave, by method."""
    rows = await db.look(lambda tx: tx.execute(select(gateway_moods)).all())
    return {row.method: row.mood for row in rows}


async def set_mood(db: Database, method: str, mood: dict[str, Any]) -> None:
    statement = upsert(gateway_moods, ["method"], ["mood"]).values(method=method, mood=mood)
    await db.run(lambda tx: tx.execute(statement), repeatable=True)


def _booked(row: Row[Any]) -> Booked:
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, Booked)
