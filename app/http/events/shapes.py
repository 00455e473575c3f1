"""An event as it travels: what the API answers and what an admin sends, and the one way from the latter to the ledger.

A time without an offset is read by the clock of the event's own zone. What an admin sends is checked here, so the form
of the pages and the API refuse the same things for the same reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from slugify import slugify

from app.domain.line import LOBBY_MINUTES_MAX, Door, Opening
from app.domain.local_time import MOMENT, MOMENT_CHARS_MAX, ZONE_CHARS_MAX, BadTime, moment_of, zone_of
from app.domain.patterns import MANY_LINES, ONE_LINE
from app.domain.reservation import SEATS_PER_BUYER, SingleSeats
from app.domain.sale import SaleStatus, status_of
from app.http.kit.problems import Problem
from app.http.kit.shapes import Poster, Shape, poster_of
from app.ledger.editing import Edit
from app.ledger.events import Event, EventSpec, GradeSpec

GRADES_MAX = 50
PRICE_MAX = 100_000_000
SLUG_CHARS_MAX = 24

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=ONE_LINE)]
GradeName = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=ONE_LINE)]
Description = Annotated[str, msgspec.Meta(max_length=5_000, pattern=MANY_LINES)]
Moment = Annotated[str, msgspec.Meta(max_length=MOMENT_CHARS_MAX, pattern=MOMENT)]
ZoneName = Annotated[str, msgspec.Meta(min_length=1, max_length=ZONE_CHARS_MAX)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Admission = Literal["room", "open"]
SeatsPerBuyer = Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None


class Words(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is said of an event in another language; what is missing is shown in the event's own."""

    title: Title | UnsetType = UNSET
    venue: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class Translations(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    ko: Words | UnsetType = UNSET
    en: Words | UnsetType = UNSET


class EventShown(Shape, frozen=True, kw_only=True):
    """Times are UTC; `time_zone` says how to show them. `status` is by the clock at the moment of the answer.

    `seats_per_buyer`: how many seats one person may hold and buy in all; null: no limit. `single_seats`: whether who
    picks seats may leave one alone between others.
    """

    id: str
    title: str
    venue: str
    description: str
    event_date: datetime
    sale_opens_at: datetime
    sale_closes_at: datetime | None
    time_zone: str
    admission: Admission
    seats_per_buyer: int | None
    single_seats: SingleSeats
    status: SaleStatus
    cancelled_at: datetime | None
    translations: dict[str, dict[str, str]]
    version: int
    poster: Poster | None


class TicketType(Shape, frozen=True, kw_only=True):
    grade: str
    price: int
    total: int
    available: int


class EventDetail(Shape, frozen=True, kw_only=True):
    event: EventShown
    ticket_types: list[TicketType]


class EventList(Shape, frozen=True, kw_only=True):
    """One page; `total` match in all. What is still to come is first, soonest first."""

    events: list[EventShown]
    total: int


class PriceWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    grade: GradeName
    price: Annotated[int, msgspec.Meta(ge=0, le=PRICE_MAX)]


class RoomWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With what its room begins; afterwards its admin page changes it."""

    rate_per_second: Annotated[float, msgspec.Meta(ge=0.1, le=10_000)] = 10.0
    burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10
    max_active: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    door: Door = Door.open
    opening: Opening = Opening.draw
    lobby_minutes: Annotated[int, msgspec.Meta(ge=0, le=LOBBY_MINUTES_MAX)] = 0


Prices = Annotated[tuple[PriceWanted, ...], msgspec.Meta(max_length=GRADES_MAX)]


class EventWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new event. Without `saleOpensAt` its sale opens at once, without `saleClosesAt` it ends as the event starts."""

    title: Title
    venue: Title
    event_date: Moment
    sale_opens_at: Moment | None = None
    sale_closes_at: Moment | None = None
    time_zone: ZoneName = "Asia/Seoul"
    description: Description = ""
    admission: Admission = "room"
    seats_per_buyer: SeatsPerBuyer = SEATS_PER_BUYER
    single_seats: SingleSeats = "allowed"
    ticket_types: Prices = ()
    room: RoomWanted = RoomWanted()
    translations: Translations = Translations()


class EventEdit(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an event; what is not sent stays. `version`: the one the change was made from."""

    title: Title | UnsetType = UNSET
    venue: Title | UnsetType = UNSET
    event_date: Moment | UnsetType = UNSET
    sale_opens_at: Moment | UnsetType = UNSET
    sale_closes_at: Moment | UnsetType | None = UNSET
    time_zone: ZoneName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    admission: Admission | UnsetType = UNSET
    seats_per_buyer: SeatsPerBuyer | UnsetType = UNSET
    single_seats: SingleSeats | UnsetType = UNSET
    ticket_types: Prices | UnsetType = UNSET
    translations: Translations | UnsetType = UNSET
    version: Version | UnsetType = UNSET


def shown(event: Event, now: datetime) -> EventShown:
    return EventShown(
        id=event.id,
        title=event.title,
        venue=event.venue,
        description=event.description,
        event_date=event.starts_at,
        sale_opens_at=event.opens_at,
        sale_closes_at=event.closes_at,
        time_zone=event.time_zone,
        admission="open" if event.admission == "open" else "room",
        seats_per_buyer=event.seats_per_buyer,
        single_seats=event.single_seats,
        status=status_of(event, now),
        cancelled_at=event.cancelled_at,
        translations={lang: dict(words) for lang, words in event.details.items()},
        version=event.version,
        poster=poster_of(event.poster, event.poster_width, event.poster_height),
    )


def detail(event: Event, left: Mapping[str, int], now: datetime) -> EventDetail:
    """`left`: free seats per grade."""
    kinds = [
        TicketType(grade=g.name, price=g.price, total=g.seats_total, available=left.get(g.name, 0))
        for g in event.grades
    ]
    return EventDetail(event=shown(event, now), ticket_types=kinds)


def event_list(found: Sequence[Event], total: int, now: datetime) -> EventList:
    return EventList(events=[shown(event, now) for event in found], total=total)


def new_event(wanted: EventWanted, event_id: str, now: datetime) -> EventSpec:
    """The event as the ledger takes it. Raises Problem for a time, a zone or a price list that cannot be meant."""
    zone = wanted.time_zone
    _check_zone(zone)
    starts_at = _moment("eventDate", wanted.event_date, zone)
    opens = wanted.sale_opens_at
    room = wanted.room
    return EventSpec(
        id=event_id,
        title=wanted.title.strip(),
        venue=wanted.venue.strip(),
        description=wanted.description.strip(),
        starts_at=starts_at,
        opens_at=now.replace(microsecond=0) if opens is None else _moment("saleOpensAt", opens, zone),
        closes_at=None if wanted.sale_closes_at is None else _moment("saleClosesAt", wanted.sale_closes_at, zone),
        time_zone=zone,
        admission=wanted.admission,
        seats_per_buyer=wanted.seats_per_buyer,
        single_seats=wanted.single_seats,
        grades=_prices(wanted.ticket_types),
        seats=(),
        details=_details(wanted.translations),
        room=_room(room) if wanted.admission == "room" else {},
    )


def _room(wanted: RoomWanted) -> dict[str, Any]:
    config: dict[str, Any] = msgspec.structs.asdict(wanted)
    minutes = config.pop("lobby_minutes")
    return {
        **{"rate_per_s" if name == "rate_per_second" else name: value for name, value in config.items()},
        "lobby_ms": minutes * 60_000,
    }


def edit_of(wanted: EventEdit, zone_now: str, version: int | None) -> Edit:
    """The change as the ledger takes it; times in the zone it sets, else in the one the event has. Raises Problem."""
    zone = zone_now if wanted.time_zone is UNSET else wanted.time_zone
    _check_zone(zone)
    values: dict[str, Any] = {}
    for name in ("title", "venue", "description"):
        text = getattr(wanted, name)
        if text is not UNSET:
            values[name] = text.strip()
    times = (("event_date", "starts_at"), ("sale_opens_at", "opens_at"), ("sale_closes_at", "closes_at"))
    for name, column in times:
        text = getattr(wanted, name)
        if text is not UNSET:
            values[column] = None if text is None else _moment(_camel(name), text, zone)
    if wanted.time_zone is not UNSET:
        values["time_zone"] = zone
    for name in ("admission", "seats_per_buyer", "single_seats"):
        if (value := getattr(wanted, name)) is not UNSET:
            values[name] = value
    if wanted.translations is not UNSET:
        values["details"] = _details(wanted.translations)
    grades = None if wanted.ticket_types is UNSET else _prices(wanted.ticket_types)
    return Edit(values=values, grades=grades, version=version)


def slug_of(title: str) -> str:
    """The readable part of an event's id: the title's first words in small ASCII letters and digits, at most
    SLUG_CHARS_MAX. Other scripts are romanized; a title without any letter or digit gives `event`.
    """
    return _slug(title, max_length=SLUG_CHARS_MAX, word_boundary=True, save_order=True) or "event"


_slug = partial(slugify, entities=False, decimal=False, hexadecimal=False)  # a title is no HTML: `&amp;` is not `&`


def _moment(field: str, text: str, zone: str) -> datetime:
    try:
        return moment_of(text, zone)
    except BadTime as error:
        raise Problem(error.code, where=field, why=error, field=field) from None


def _check_zone(zone: str) -> None:
    try:
        zone_of(zone)
    except BadTime as error:
        raise Problem(error.code, where="timeZone", why=error, field="timeZone") from None


def _prices(wanted: Sequence[PriceWanted]) -> list[GradeSpec]:
    prices = [GradeSpec(name=each.grade.strip(), price=each.price) for each in wanted]
    if len({grade.name for grade in prices}) != len(prices):
        raise Problem("grade_twice", field="ticketTypes")
    return prices


def _details(translations: Translations) -> dict[str, dict[str, str]]:
    given: dict[str, dict[str, str]] = msgspec.to_builtins(translations)
    stripped = {lang: {name: text.strip() for name, text in words.items()} for lang, words in given.items()}
    return {lang: words for lang, words in stripped.items() if words}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
