"""What must hold in SQL whatever happened before: seats, reservations and money agree."""

from __future__ import annotations

from sqlalchemy import text

from app.ledger.database import Database
from app.ledger.tables import metadata

RULES = {
    "a seat that is not available has exactly one live reservation, a free one none": """
        SELECT s.idx, s.status, count(r.id) FROM seats s
        LEFT JOIN reservation_seats p ON p.event_id = s.event_id AND p.idx = s.idx AND p.live
        LEFT JOIN reservations r ON r.id = p.reservation_id
        GROUP BY s.event_id, s.idx, s.status HAVING count(p.reservation_id)
            != CASE WHEN s.status = 'available' THEN 0 ELSE 1 END
    """,
    "a held seat is pending, a sold one confirmed": """
        SELECT s.idx, s.status, r.status FROM seats s
        JOIN reservation_seats p ON p.event_id = s.event_id AND p.idx = s.idx AND p.live
        JOIN reservations r ON r.id = p.reservation_id
        WHERE (s.status, r.status) NOT IN (VALUES ('held', 'pending'), ('sold', 'confirmed'))
    """,
    "money is captured exactly for confirmed reservations": """
        SELECT r.id, r.status, count(p.id) FROM reservations r
        LEFT JOIN payments p ON p.reservation_id = r.id AND p.status = 'captured'
        GROUP BY r.id, r.status HAVING count(p.id)
            != CASE WHEN r.status = 'confirmed' THEN 1 ELSE 0 END
    """,
    "what is left of a payment is the price": """
        SELECT r.id FROM reservations r JOIN payments p ON p.reservation_id = r.id
        WHERE p.amount != r.total_price AND p.status = 'captured'
    """,
}


async def broken(db: Database) -> list[str]:
    """The rules that do not hold, each with the rows that break it."""
    found = []
    async with db.read() as tx:
        for rule, query in RULES.items():
            rows = (await tx.execute(text(query))).all()
            if rows:
                found.append(f"{rule}: {rows}")
    return found


async def empty(db: Database) -> None:
    """Take every row out of the store, so that the next example starts from nothing."""
    async with db.write() as tx:
        for table in reversed(metadata.sorted_tables):
            await tx.execute(table.delete())
