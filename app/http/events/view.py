"""An event as templates are given it: plain values with nothing left to decide, in the reader's language. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.sale import SaleStatus, Supply, sale_ends_at, status_of, supply_of
from app.http.kit.i18n import Lang
from app.http.kit.shapes import Poster, poster_of
from app.ledger.events import Event

RoomWord = Literal["scheduled", "lobby", "open", "paused", "draining", "closed", "recovering", "direct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeView:
    """`left` is None where nothing can be said: it was not asked for, or the grade has no seat yet."""

    name: str
    price: int
    left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event as pages show it; `stopped` names why nothing can be bought any more, or is empty."""

    event_id: str
    title: str
    venue: str
    description: str
    starts_at: datetime
    opens_at: datetime
    closes_at: datetime
    status: SaleStatus
    zone: str
    room: RoomWord
    stopped: Literal["", "ended", "cancelled"]
    supply: Supply
    grades: tuple[GradeView, ...]
    poster: Poster | None

    @property
    def nothing_left(self) -> Literal["", "no_seats", "sold_out"]:
        """Why there is nothing to be had though it is on sale, or nothing."""
        if self.status is not SaleStatus.on_sale or self.supply == "some":
            return ""
        return "no_seats" if self.supply == "none" else "sold_out"

    @property
    def lacks_a_grade(self) -> bool:
        """Whether it is on sale and a grade is sold out."""
        return self.status is SaleStatus.on_sale and any(grade.left == 0 for grade in self.grades)

    @property
    def price_from(self) -> int | None:
        return min((grade.price for grade in self.grades), default=None)


_STOPPED: dict[SaleStatus, Literal["ended", "cancelled"]] = {
    SaleStatus.ended: "ended",
    SaleStatus.cancelled: "cancelled",
}


def event_view(
    event: Event,
    room: RoomWord,
    left: Mapping[str, int] | None,
    now: datetime,
    lang: Lang,
    supply: Supply | None = None,
) -> EventView:
    """The event in the reader's language, where its details have it. `left` is free seats by grade; who does not know
    them may know the `supply`.
    """
    words = event.details.get(lang, {})
    status = status_of(event, now)
    return EventView(
        event_id=event.id,
        title=words.get("title", event.title),
        venue=words.get("venue", event.venue),
        description=words.get("description", event.description),
        starts_at=event.starts_at,
        opens_at=event.opens_at,
        closes_at=sale_ends_at(event),
        status=status,
        zone=event.time_zone,
        room="direct" if event.admission == "open" else room,
        stopped=_STOPPED.get(status, ""),
        supply=supply or _supply(event, left),
        grades=tuple(
            GradeView(name=grade.name, price=grade.price, left=None if left is None else left.get(grade.name))
            for grade in event.grades
        ),
        poster=poster_of(event.poster, event.poster_width, event.poster_height),
    )


def _supply(event: Event, left: Mapping[str, int] | None) -> Supply:
    has_free = left is None or any(left.values())
    return supply_of(has_seats=any(grade.seats_total for grade in event.grades), has_free=has_free)
