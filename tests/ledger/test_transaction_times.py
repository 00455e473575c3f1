"""Transactions are measured from the first one on: a listener that came later could break one that begins."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url

from app.ledger.database import open_database


async def test_the_first_transaction_is_measured_already(tmp_path: Path) -> None:
    db = open_database(make_url(f"sqlite+aiosqlite:///{tmp_path}/a.db"))
    async with db.read():
        pass
    async with db.write():
        pass
    await db.close()
    assert {kind: sum(times.counts) for kind, times in db.times.times_s.items()} == {"read": 1, "write": 1}
