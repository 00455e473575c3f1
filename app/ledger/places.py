"""What SQL has stored about one place in line: reservations, charges, payments, admin actions, and the lane's replies.

Reads only, for the trace of one number; everything is of one moment, and each list has a named limit.

A number is given once per event, so it identifies a place without the epoch. Holders are not read: they must not be
shown here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from app.domain.charge import ChargeStatus
from app.domain.reservation import PaymentStatus, ReservationStatus
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.audit_log import audit_log as audit_log_table
from app.ledger.tables.lane import commands
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.rooms import rooms

RESERVATIONS_MAX = 20  # of one place: it has one live reservation at most, so more than a few are rare
ROWS_MAX = 200  # charges, payments and admin actions of these reservations, each


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceReservation:
    """`expires_at` ends a hold; `ended_at` is when the reservation was cancelled, expired or refunded."""

    id: str
    epoch: int
    status: ReservationStatus
    seats: int
    total_price: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCharge:
    """One charge. Only its beginning has a stored time; `status` is the current one."""

    id: str
    reservation_id: str
    method: str
    amount: int
    status: ChargeStatus
    error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacePayment:
    """Money taken for a reservation; `reference` is the id of its charge. `part`: 0 for what is left of it, else a part
    that goes back for seats that were given back."""

    reservation_id: str
    method: str
    reference: str
    amount: int
    status: PaymentStatus
    created_at: datetime
    refunded_at: datetime | None
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceAction:
    """What an admin did to a reservation; `refused` if it had no effect."""

    at: datetime
    who: str
    action: str
    reservation_id: str
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRecords:
    """`number_bound`: no number above it was ever given."""

    epoch: int
    number_bound: int
    reservations: Sequence[PlaceReservation]
    charges: Sequence[PlaceCharge]
    payments: Sequence[PlacePayment]
    actions: Sequence[PlaceAction]


async def records(db: Database, event_id: str, number: int) -> PlaceRecords | None:
    """What is stored about this number, oldest first; None for an unknown event. Raises StoreError."""
    return await db.look(lambda tx: _records(tx, event_id, number))


async def replies(db: Database, event_id: str, command_ids: Sequence[str]) -> dict[str, tuple[str, datetime]]:
    """Command id → (packed outcome, its time), for those of these commands whose outcome is still stored."""
    c = commands.c
    query = select(c.id, c.reply, c.at).where(c.event_id == event_id, one_of(c.id, "ids"))
    rows = await db.look(lambda tx: tx.execute(query, {"ids": as_json(command_ids)}).all())
    return {row.id: (row.reply, row.at) for row in rows}


def _records(tx: Connection, event_id: str, number: int) -> PlaceRecords | None:
    room = tx.execute(select(rooms.c.epoch, rooms.c.number_bound).where(rooms.c.event_id == event_id)).first()
    if room is None:
        return None
    reserved = _reservations(tx, event_id, number) if number <= room.number_bound else []
    ids = as_json([reservation.id for reservation in reserved])
    return PlaceRecords(
        epoch=room.epoch,
        number_bound=room.number_bound,
        reservations=reserved,
        charges=[PlaceCharge(**{**row, "status": ChargeStatus(row["status"])}) for row in _of(tx, _CHARGES, ids)],
        payments=[PlacePayment(**{**row, "status": PaymentStatus(row["status"])}) for row in _of(tx, _PAYMENTS, ids)],
        actions=_actions(_of(tx, _ACTIONS, ids)),
    )


def _reservations(tx: Connection, event_id: str, number: int) -> list[PlaceReservation]:
    c = reservations.c
    of_it = (reservation_seats.c.reservation_id == c.id) & ~reservation_seats.c.returned
    seats = select(func.count()).where(of_it).scalar_subquery().label("seats")
    stored = (c.id, c.epoch, c.status, c.total_price, c.created_at, c.expires_at, c.ended_at, seats)
    query = select(*stored).where(c.event_id == event_id, c.number == number).limit(RESERVATIONS_MAX)
    found = [
        PlaceReservation(**{**row, "status": ReservationStatus(row["status"])}) for row in tx.execute(query).mappings()
    ]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def _of(tx: Connection, query: Select[Any], reservation_ids: str) -> Sequence[Any]:
    return tx.execute(query.limit(ROWS_MAX), {"ids": reservation_ids}).mappings().all()


def _actions(rows: Sequence[Any]) -> list[PlaceAction]:
    """The admin actions. An entry that says that another one had no effect becomes that one's `refused` instead."""
    refused = {row["change"].get("of") for row in rows if row["action"] == audit_log.REFUSED}
    return [
        PlaceAction(
            at=row["at"],
            who=row["who"],
            action=row["action"],
            reservation_id=row["subject"],
            refused=row["id"] in refused,
        )
        for row in rows
        if row["action"] not in (audit_log.REFUSED, audit_log.UNANSWERED)
    ]


_h, _p, _t = charges.c, payments.c, audit_log_table.c
_CHARGES = (
    select(_h.id, _h.reservation_id, _h.method, _h.amount, _h.status, _h.error, _h.created_at)
    .where(one_of(_h.reservation_id, "ids"))
    .order_by(_h.created_at, _h.id)
)
_PAYMENTS = (
    select(_p.reservation_id, _p.method, _p.reference, _p.amount, _p.status, _p.created_at, _p.refunded_at, _p.part)
    .where(one_of(_p.reservation_id, "ids"))
    .order_by(_p.id)
)
_ACTIONS = (
    select(_t.id, _t.at, _t.who, _t.action, _t.subject, _t.change)
    .where(one_of(_t.subject, "ids"))
    .order_by(_t.id + 0)  # by the id alone SQLite would read all of the log in its order
)
