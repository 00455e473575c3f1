"""The logos of origins: which one an origin has is in its row, with the size; the picture itself is beside it.

What the audit log keeps of a change is the name and the size, never the picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.tables.origins import origin_logos, origins


async def put(
    db: Database, origin_id: str, logo: Mapping[str, Any] | None, data: bytes, by: AdminAction, now: datetime
) -> bool:
    """Give an origin this logo (its name and size, and the picture), or none. False if there is no such origin."""
    async with db.write(about="origins") as tx:
        row = (await tx.execute(select(origins.c.logo).where(origins.c.id == origin_id).with_for_update())).first()
        if row is None:
            return False
        await tx.execute(delete(origin_logos).where(origin_logos.c.origin_id == origin_id))
        if logo is not None:
            await tx.execute(insert(origin_logos), [{"origin_id": origin_id, "name": logo["name"], "data": data}])
        values = {"logo": logo, "version": origins.c.version + 1}
        await tx.execute(update(origins).where(origins.c.id == origin_id).values(values))
        told = replace(by, change={"logo": logo, audit_log.WAS: {"logo": row.logo}})
        await audit_log.record(
            tx, who=told.who, action=told.action, subject=origin_id, event_id=None, change=told.change, now=now
        )
    return True


async def read(db: Database, names: Collection[str]) -> dict[str, bytes]:
    """The pictures of these names."""
    if not names:
        return {}
    async with db.read() as tx:
        rows = await tx.execute(select(origin_logos.c.name, origin_logos.c.data).where(origin_logos.c.name.in_(names)))
        return {row.name: row.data for row in rows}
