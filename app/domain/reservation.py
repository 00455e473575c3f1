"""Reservations: their states, and what one batch of the lane changes.

Pure types shared by the lane (which decides), the ledger (which writes) and the web (which shows). Nothing here
reads a clock: every time is an argument, aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple

import msgspec

from app.domain.layout import Seat
from app.domain.sale import SaleStatus
from app.domain.waitlist import Waiting

SEATS_PER_HOLD_MAX = 100
NETWORK_CHARS = 16  # of the keyed hash of an address
SEATS_PER_BUYER = 8  # of an event that says nothing else
SingleSeats = Literal["allowed", "refused"]


class SeatStatus(IntEnum):
    """One byte per seat in the snapshot; `.name` is the word everywhere else."""

    available = 0
    held = 1
    sold = 2
    blocked = 3  # not put on sale by an admin


class ReservationStatus(StrEnum):
    """pending → confirmed | cancelled | expired; confirmed → refunded. Nothing leaves the last three."""

    pending = "pending"
    confirmed = "confirmed"
    cancelled = "cancelled"
    expired = "expired"
    refunded = "refunded"


class PaymentStatus(StrEnum):
    """captured → refund_due → refunded; money that came too late is refund_due from the start."""

    captured = "captured"
    refund_due = "refund_due"
    refunded = "refunded"


LIVE = frozenset({ReservationStatus.pending, ReservationStatus.confirmed})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatSnapshot:
    """The whole map at one version: `statuses[idx]` is a SeatStatus. `layout` is for drawing; we only carry it."""

    event_id: str
    version: int
    seats: tuple[Seat, ...]
    statuses: bytes
    focal: tuple[float, float]
    layout: dict[str, object]


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Seats (sorted positions) of one event set aside for one holder, with the price of each at that time.

    `reference`: of the payment captured for it. `groups`: how many groups the seats make, each side by side.

    `network`: while it is held without a line, the keyed hash of the address that it was made from, if that counts.

    `kept_until`: until then a payment that is under way keeps the hold.
    """

    id: str
    event_id: str
    holder: str
    status: ReservationStatus
    seats: tuple[int, ...]
    total_price: int
    created_at: datetime
    expires_at: datetime
    epoch: int | None = None
    number: int | None = None
    reference: str | None = None
    prices: tuple[int, ...] = ()
    groups: int | None = None
    network: str = ""
    kept_until: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        """When the hold ends if it is not paid."""
        return self.expires_at if self.kept_until is None else max(self.expires_at, self.kept_until)

    @property
    def live(self) -> bool:
        return self.status in LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Money taken for a reservation: `captured` while it pays for confirmed seats, else `refund_due` and paid back."""

    reservation_id: str
    method: str
    reference: str
    amount: int
    status: PaymentStatus


class Reduced(NamedTuple):
    """Some seats of a live reservation that were given back: what it costs without them, and what they had cost.

    `refund`: that money was paid for and must be refunded. A seat is given back once, so the first one names the part.
    """

    reservation_id: str
    seats: tuple[int, ...]
    total_price: int
    amount: int
    refund: bool
    groups: int  # that the seats that are left make, each side by side

    @property
    def part(self) -> int:
        """Which part of its payment is refunded; 0 is what is still paid for."""
        return self.seats[0] + 1


Move = tuple[SeatStatus, SeatStatus]
Transition = tuple[ReservationStatus, ReservationStatus]


@dataclass(slots=True)
class Batch:
    """What one transaction of the lane writes: net changes only, each group one guarded bulk statement."""

    version: int  # of the seat map once written
    moves: dict[Move, list[int]] = field(default_factory=dict)
    counts: dict[tuple[str, SeatStatus], int] = field(
        default_factory=dict
    )  # (grade, status) → so many seats more or less
    transitions: dict[Transition, list[str]] = field(default_factory=dict)
    made: list[Reservation] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    reduced: list[Reduced] = field(default_factory=list)  # not of those that it makes
    part_refunds: list[Reduced] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)
    replies: list[tuple[str, str]] = field(default_factory=list)
    offers: list[tuple[int, str]] = field(default_factory=list)  # (entry of the waiting list, its reservation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store knows about a batch: first replies by command id, reservations that ended, who is on the waiting
    list, in order, how the sale is, and whether the event has begun. `kept`: of the holds that are to end, those
    that a payment keeps; `asked`: those for which money was asked.

    `may_leave_singles`: whether a buyer may pick seats that leave a free seat alone needlessly.
    `seats_per_buyer`: how many seats of the event one person may hold and buy in all; None: no limit. `persons`: for a
    holder id of an account, all holder ids of that account; a holder that is missing is a person of their own.
    """

    replies: Mapping[str, str]
    ended: Mapping[str, Reservation]
    waiting: Sequence[Waiting] = ()
    sale: SaleStatus = SaleStatus.on_sale
    begun: bool = False
    may_leave_singles: bool = True
    seats_per_buyer: int | None = None
    kept: Set[str] = frozenset()
    asked: Set[str] = frozenset()
    persons: Mapping[str, Sequence[str]] = field(default_factory=dict)


def seat_id(idx: int) -> str:
    return f"s{idx}"


def seat_index(name: str, seats_total: int) -> int | None:
    """The position of seat `name` in a map of `seats_total`, or None when there is no such seat."""
    digits = name[1:]
    if name[:1] != "s" or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    idx = int(digits)
    return idx if idx < seats_total and digits == str(idx) else None
