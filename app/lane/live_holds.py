"""Holds without a line that are live, by holder and by address: so many may be at once, however many there ever were.

Kept by the lane's state, which stores a hold and ends it; only holds whose address counts are in it.
"""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import NamedTuple

from app.domain.reservation import Reservation, ReservationStatus


class HoldsMax(NamedTuple):
    """How many may be live at once, of one holder and of one address."""

    per_holder: int = 8
    per_address: int = 40


HOLDS_MAX = HoldsMax()


class LiveHolds:
    def __init__(self) -> None:
        self._ends: dict[str, dict[str, datetime]] = {}  # holder or network → reservation id → its end

    def note(self, reservation: Reservation) -> None:
        """Count a reservation while it is pending, and no longer."""
        if not reservation.network:
            return
        for who in (reservation.holder, reservation.network):
            if reservation.status is ReservationStatus.pending:
                self._ends.setdefault(who, {})[reservation.id] = reservation.expires_at
            elif (live := self._ends.get(who)) is not None:
                live.pop(reservation.id, None)
                if not live:
                    del self._ends[who]

    def wait_s(self, holder: str, network: str, most: HoldsMax, now: datetime) -> int | None:
        """Seconds until one more may be made at the latest; None: it may be made now."""
        if not network:
            return None
        limits = ((holder, most.per_holder), (network, most.per_address))
        full = [live for who, times in limits if len(live := self._ends.get(who, {})) >= times]
        return max(1, ceil((max(min(live.values()) for live in full) - now).total_seconds())) if full else None
