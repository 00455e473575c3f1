"""The waiting list of an event: people for whose wish there were too few seats, in the order in which they joined it.

Whoever is on the list came before everybody who stands in line now (see `may_join`), so seats that come free go to the
list first: the lane offers them, in the transaction that frees them, to the first one whose wish they fit. A wish that
does not fit waits and holds up nobody behind it. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.wish import Wish

WAITING_MAX = 1000  # of one event: the lane looks at all of them whenever seats come free


class ListState(StrEnum):
    """waiting → offered → bought | lapsed; waiting → left | ended. An offer that is given up is left."""

    waiting = "waiting"
    offered = "offered"  # seats are held for them: see the reservation
    bought = "bought"
    lapsed = "lapsed"  # the offer was not taken up, or was cancelled
    left = "left"
    ended = "ended"  # the event was cancelled, or its sale ended


LIVE_STATES = frozenset({ListState.waiting, ListState.offered})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Somebody on the list, as the lane sees them."""

    id: int
    holder: str
    wish: Wish


def fits(wish: Wish, left: Mapping[str, int]) -> bool:
    """Whether the free seats, per grade, are enough for a wish, as the lane chooses for it. Of all seats: whether they
    ever can be."""
    if not wish.grades:
        return sum(left.values()) >= wish.quantity
    return any(left.get(grade, 0) >= wish.quantity for grade in wish.grades)


def may_join(*, number: int | None, cursor: int, people_waiting: int) -> bool:
    """Whether somebody may join the list of an event with a waiting room without passing anybody who stands in line:
    the line has moved past their number already, or nobody is waiting in it."""
    return people_waiting == 0 or (number is not None and number <= cursor)
