"""Origins and their rooms: made, changed and read, each change with its entry of the audit log in one transaction.

Secrets come sealed and API keys hashed (app/origins/): nothing here can use either. A room of an origin has its row in
`rooms` like a room of an event, in the same transaction, and with it an id that nothing else has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Table, delete, func, insert, select, update

from app.domain.passing import Mode, PassAlgorithm
from app.ledger import audit_log
from app.ledger.database import Database, Transaction
from app.ledger.events import AdminAction
from app.ledger.tables.origins import origin_logos, origin_rooms, origins
from app.ledger.tables.rooms import rooms

ORIGINS_MAX = 200  # every web process has them all in memory, and looks once a second which of them have changed
ROOMS_MAX = 1_000  # of all origins together
NAMED = {  # column → what a change calls it; none is a secret
    **{name: name for name in ("name", "hosts", "look", "translations", "mode", "rules")},
    "target_url": "targetUrl",
    "frame_ancestors": "frameAncestors",
    "bind_tokens": "bindTokens",
    "customer_id": "customerId",
    "opens_at": "opensAt",
    "closes_at": "closesAt",
    "pass_s": "passSeconds",
    "pass_algorithm": "passAlgorithm",
}


class NotMade(StrEnum):
    """Why nothing was made, changed or deleted."""

    id_taken = "id_taken"
    customer_taken = "customer_taken"
    too_many = "too_many"
    unknown = "unknown"
    unknown_origin = "unknown_origin"
    changed = "changed"  # somebody has changed it since the caller read it
    has_rooms = "has_rooms"
    window_empty = "window_empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A site behind rooms. The secret and the hashed key of before its last rotation are good until `before_until`."""

    id: str
    name: str
    hosts: Sequence[str]
    target_url: str
    customer_id: str | None  # its name in connectors
    look: Mapping[str, Any]
    logo: Mapping[str, Any] | None  # its name and size
    frame_ancestors: Sequence[str]
    bind_tokens: bool
    secret: bytes
    secret_before: bytes | None
    api_key: bytes
    api_key_before: bytes | None
    before_until: datetime | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRoom:
    """A room of an origin. `config`: its settings, as last changed. `closes_at` None: it stays open."""

    id: str
    origin_id: str
    name: str
    translations: Mapping[str, str]
    opens_at: datetime
    closes_at: datetime | None
    mode: Mode
    pass_s: int
    pass_algorithm: PassAlgorithm
    target_url: str | None
    rules: Sequence[Mapping[str, Any]]  # which requests need a pass
    version: int
    created_at: datetime
    config: Mapping[str, Any]


Stamps = tuple[tuple[str, int], ...]


async def create(db: Database, made: Origin, by: AdminAction, now: datetime) -> NotMade | None:
    """Make an origin; why not, else None."""
    async with db.write(about="origins") as tx:
        if refused := await _no_place(tx, origins, made.id, ORIGINS_MAX):
            return refused
        if await _is_customer(tx, made.customer_id, made.id):
            return NotMade.customer_taken
        await tx.execute(insert(origins), [{name: getattr(made, name) for name in Origin.__slots__}])
        await _record(tx, by, made.id, now)
    return None


async def edit(
    db: Database, origin_id: str, values: Mapping[str, Any], by: AdminAction, now: datetime, version: int | None = None
) -> NotMade | None:
    """Set these columns of an origin, made from this version of it; why not, else None."""
    async with db.write(about="origins") as tx:
        if await _is_customer(tx, values.get("customer_id"), origin_id):
            return NotMade.customer_taken
        told = await _with_old(tx, origins, origin_id, values, by)
        if refused := await _set(tx, origins, origin_id, values, version):
            return refused
        await _record(tx, told, origin_id, now)
    return None


async def remove(db: Database, origin_id: str, by: AdminAction, now: datetime) -> NotMade | None:
    """Delete an origin that has no rooms; why not, else None."""
    async with db.write(about="origins") as tx:
        if await tx.scalar(select(origin_rooms.c.id).where(origin_rooms.c.origin_id == origin_id).limit(1)):
            return NotMade.has_rooms
        await tx.execute(delete(origin_logos).where(origin_logos.c.origin_id == origin_id))
        if (await tx.execute(delete(origins).where(origins.c.id == origin_id))).rowcount != 1:
            return NotMade.unknown
        await _record(tx, by, origin_id, now)
    return None


async def create_room(db: Database, made: OriginRoom, by: AdminAction, now: datetime) -> NotMade | None:
    """Make a room of an origin with all that belongs to it; why not, else None."""
    async with db.write(about="origins") as tx:
        if await tx.scalar(select(origins.c.id).where(origins.c.id == made.origin_id)) is None:
            return NotMade.unknown_origin
        if await tx.scalar(select(rooms.c.event_id).where(rooms.c.event_id == made.id)):
            return NotMade.id_taken  # by another room, or by an event
        if refused := await _no_place(tx, origin_rooms, made.id, ROOMS_MAX):
            return refused
        room = {"event_id": made.id, "epoch": 1, "number_bound": 0, "cursor": 0, "config": dict(made.config)}
        await tx.execute(insert(rooms), [room])
        kept = {name: getattr(made, name) for name in OriginRoom.__slots__ if name != "config"}
        kept |= {"mode": made.mode.value, "pass_algorithm": made.pass_algorithm.value}
        await tx.execute(insert(origin_rooms), [kept])
        await _record(tx, by, made.id, now)
    return None


async def edit_room(
    db: Database, room_id: str, values: Mapping[str, Any], by: AdminAction, now: datetime, version: int | None = None
) -> NotMade | None:
    """Set these columns of a room, made from this version of it; why not, else None."""
    async with db.write(about="origins") as tx:
        query = select(origin_rooms.c.opens_at, origin_rooms.c.closes_at).where(origin_rooms.c.id == room_id)
        before = (await tx.execute(query.with_for_update())).mappings().first()
        if before is None:
            return NotMade.unknown
        times = {**before, **values}
        if times["closes_at"] is not None and times["closes_at"] <= times["opens_at"]:
            return NotMade.window_empty
        told = await _with_old(tx, origin_rooms, room_id, values, by)
        if refused := await _set(tx, origin_rooms, room_id, values, version):
            return refused
        await _record(tx, told, room_id, now)
    return None


async def remove_room(db: Database, room_id: str, admitted: int, by: AdminAction, now: datetime) -> NotMade | None:
    """Delete a room of an origin that had let in so many people; why not, else None. Its row in `rooms` stays, retired:
    its id is never given again. The origin's version grows, so that the sum of all versions grows with every change."""
    async with db.write(about="origins") as tx:
        room = select(origin_rooms.c.origin_id, origin_rooms.c.version).where(origin_rooms.c.id == room_id)
        before = (await tx.execute(room.with_for_update())).first()
        if (await tx.execute(delete(origin_rooms).where(origin_rooms.c.id == room_id))).rowcount != 1:
            return NotMade.unknown
        assert before is not None, "it was there to be deleted"
        grown = {"version": origins.c.version + before.version + 1}
        await tx.execute(update(origins).where(origins.c.id == before.origin_id).values(grown))
        values = {"retired_at": now, "admitted": admitted}
        await tx.execute(update(rooms).where(rooms.c.event_id == room_id).values(values))
        await _record(tx, by, room_id, now)
    return None


async def has_room(db: Database, room_id: str) -> bool:
    """Whether this is a room of an origin."""
    async with db.read() as tx:
        return await tx.scalar(select(origin_rooms.c.id).where(origin_rooms.c.id == room_id)) is not None


async def listed(db: Database) -> list[Origin]:
    """Every origin, by id; they are ORIGINS_MAX at most."""
    async with db.read() as tx:
        rows = (await tx.execute(select(origins).order_by(origins.c.id))).mappings().all()
    return [Origin(**row) for row in rows]


async def listed_rooms(db: Database) -> list[OriginRoom]:
    """Every room of an origin, by id; they are ROOMS_MAX at most."""
    query = select(origin_rooms, rooms.c.config).join(rooms, rooms.c.event_id == origin_rooms.c.id)
    async with db.read() as tx:
        rows = (await tx.execute(query.order_by(origin_rooms.c.id))).mappings().all()
    return [_room(row) for row in rows]


def _room(row: RowMapping) -> OriginRoom:
    words = {"mode": Mode(row["mode"]), "pass_algorithm": PassAlgorithm(row["pass_algorithm"])}
    return OriginRoom(**{**row, **words})


async def stamps(db: Database) -> tuple[Stamps, Stamps]:
    """Which origins and which rooms there are, each with its version: they change with everything else of them."""
    async with db.read() as tx:
        return await _stamps(tx, origins), await _stamps(tx, origin_rooms)


async def _stamps(tx: Transaction, table: Table) -> Stamps:
    rows = await tx.execute(select(table.c.id, table.c.created_at, table.c.version).order_by(table.c.id))
    return tuple((f"{row.id} {row.created_at}", row.version) for row in rows)


async def _no_place(tx: Transaction, table: Table, wanted: str, most: int) -> NotMade | None:
    if await tx.scalar(select(table.c.id).where(table.c.id == wanted)):
        return NotMade.id_taken
    return NotMade.too_many if (await tx.scalar(select(func.count()).select_from(table)) or 0) >= most else None


async def _is_customer(tx: Transaction, customer_id: str | None, own_id: str) -> bool:
    """Whether another origin has this name in connectors, in capitals or not."""
    if customer_id is None:
        return False
    same = func.lower(origins.c.customer_id) == customer_id.lower()
    return await tx.scalar(select(origins.c.id).where(same, origins.c.id != own_id)) is not None


async def _set(
    tx: Transaction, table: Table, wanted: str, values: Mapping[str, Any], version: int | None
) -> NotMade | None:
    own = table.c.id == wanted
    if version is not None:
        own &= table.c.version == version
    done = await tx.execute(update(table).where(own).values({**values, "version": table.c.version + 1}))
    if done.rowcount == 1:
        return None
    is_there = await tx.scalar(select(table.c.id).where(table.c.id == wanted))
    return NotMade.changed if is_there else NotMade.unknown


async def _with_old(
    tx: Transaction, table: Table, wanted: str, values: Mapping[str, Any], by: AdminAction
) -> AdminAction:
    """The action with the old values of what it changes; those that it does not name are told by nothing."""
    columns = [table.c[name] for name in values if NAMED.get(name) in by.change]
    if not columns:
        return by
    row = (await tx.execute(select(*columns).where(table.c.id == wanted).with_for_update())).mappings().first()
    old = {} if row is None else {NAMED[name]: was for name, was in row.items() if was != values[name]}
    return replace(by, change={**by.change, audit_log.WAS: msgspec.to_builtins(old)})


async def _record(tx: Transaction, by: AdminAction, subject: str, now: datetime) -> None:
    await audit_log.record(tx, who=by.who, action=by.action, subject=subject, event_id=None, change=by.change, now=now)
