"""The draws of openings in SQL: the seed before the first entry, the entries and their root once, when entries close,
and once what was taken of a beacon.

The order follows from a row alone (app/domain/draw.py), so whoever draws, however often, draws the same.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from app.domain.beacon import randomness_of
from app.domain.draw import commitment_of, key_of, order_of
from app.ledger.database import Database, Transaction
from app.ledger.tables.draws import draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One opening's draw. `entries`, `people` (entries that were not given up) and `root` are None until entries close.

    `secret` makes the leaves' nonces and is never published; `seed` is, once the room has opened (`drawn_at`). `round`:
    of the beacon, named before entries close, or None; `signature`: of that round, b"" if the draw does without one,
    and None until that is decided. The order follows from what is fixed then.
    """

    event_id: str
    epoch: int
    seed: bytes
    secret: bytes
    entries: int | None
    people: int | None
    root: bytes | None
    round: int | None
    signature: bytes | None
    drawn_at: datetime | None

    @property
    def randomness(self) -> bytes:
        return randomness_of(self.signature or b"")

    @property
    def order(self) -> array[int] | None:
        """The entries in the order of the draw, computed; None until everything that it follows from is fixed."""
        if self.root is None or self.entries is None or self.signature is None:
            return None
        return order_of(key_of(self.seed, self.root, self.randomness), self.entries)

    @property
    def commitment(self) -> bytes:
        return commitment_of(self.seed)


async def get(db: Database, event_id: str, epoch: int) -> Draw | None:
    async with db.read() as tx:
        return await _row(tx, event_id, epoch)


async def commit(db: Database, event_id: str, epoch: int, seed: bytes, secret: bytes) -> Draw:
    """The draw of this epoch: with these values, 32 random bytes each, unless it has some already."""
    async with db.write() as tx:
        there = await _row(tx, event_id, epoch)
        if there is not None:
            return there
        values = {"event_id": event_id, "epoch": epoch, "seed": seed, "secret": secret}
        await tx.execute(insert(draws), [values])
        made = await _row(tx, event_id, epoch)
        assert made is not None, "it was just made"
        return made


async def name_round(db: Database, draw: Draw, round_number: int | None) -> None:
    """Name the beacon's round for entries that have not been closed, instead of one named before."""
    async with db.write() as tx:
        this = (draws.c.event_id == draw.event_id) & (draws.c.epoch == draw.epoch)
        await tx.execute(update(draws).where(this, draws.c.root.is_(None)).values(round=round_number))


async def fix(db: Database, draw: Draw, entries: int, people: int, root: bytes, round_number: int | None) -> Draw:
    """Fix the entries, their root, and the round that was named when they closed, unless they are fixed already.

    Answers the draw as it is from now on; without a round it is decided that there is no beacon.
    """
    values = {"entries": entries, "people": people, "root": root, "round": round_number}
    if round_number is None:
        values["signature"] = b""
    return await _decide(db, draw, draws.c.root.is_(None), values)


async def take(db: Database, draw: Draw, signature: bytes) -> Draw:
    """Take this signature of the round, b"" for none, unless that is decided already; the draw as it is from now on."""
    return await _decide(db, draw, draws.c.signature.is_(None), {"signature": signature})


async def _decide(db: Database, draw: Draw, undecided: ColumnElement[bool], values: dict[str, Any]) -> Draw:
    async with db.write() as tx:
        this = (draws.c.event_id == draw.event_id) & (draws.c.epoch == draw.epoch)
        await tx.execute(update(draws).where(this, undecided).values(values))
        decided = await _row(tx, draw.event_id, draw.epoch)
        assert decided is not None, "draws are never deleted"
        return decided


async def reveal(db: Database, draw: Draw, now: datetime) -> None:
    """Note that the room has opened in this order: its seed may be published. Once."""
    async with db.write() as tx:
        this = (draws.c.event_id == draw.event_id) & (draws.c.epoch == draw.epoch)
        await tx.execute(update(draws).where(this, draws.c.drawn_at.is_(None)).values(drawn_at=now))


async def _row(tx: Transaction, event_id: str, epoch: int) -> Draw | None:
    this = (draws.c.event_id == event_id) & (draws.c.epoch == epoch)
    row = (await tx.execute(select(draws).where(this))).mappings().first()
    return None if row is None else Draw(**row)
