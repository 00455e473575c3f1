"""Whether an event is sold now: by its sale window, its start, its cancellation and a moment, and by nothing else.

Pure. The status is never stored: whoever answers computes it, so it is right to the second everywhere at once.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol


class SaleStatus(StrEnum):
    upcoming = "upcoming"
    on_sale = "on_sale"
    ended = "ended"
    cancelled = "cancelled"


class Sold(Protocol):
    """What has a sale: times are aware."""

    @property
    def opens_at(self) -> datetime: ...
    @property
    def closes_at(self) -> datetime | None: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def cancelled_at(self) -> datetime | None: ...


def sale_ends_at(event: Sold) -> datetime:
    """The first moment at which nothing is sold any more: the end of the sale, or the start of the event."""
    return event.starts_at if event.closes_at is None else event.closes_at


def status_of(event: Sold, now: datetime) -> SaleStatus:
    """upcoming → on_sale → ended, each from its very moment on; cancelled whatever the clock says."""
    if event.cancelled_at is not None:
        return SaleStatus.cancelled
    if now >= sale_ends_at(event):
        return SaleStatus.ended
    return SaleStatus.on_sale if now >= event.opens_at else SaleStatus.upcoming


Supply = Literal["some", "none", "sold_out"]  # of seats to be had; none: it has no seats yet


def supply_of(*, has_seats: bool, has_free: bool) -> Supply:
    if has_free:
        return "some"
    return "sold_out" if has_seats else "none"
