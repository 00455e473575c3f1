"""What templates are given: plain values made from what the API answers, with nothing left to decide.

Pure: no request, no store. The same answers that the API sends as JSON are read here, so page and API agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.domain.sale import SaleStatus, Supply, sale_ends_at, status_of, supply_of
from app.domain.wish import Wish
from app.http.kit.i18n import Lang, Texts
from app.http.kit.shapes import Poster, poster_of
from app.ledger.charges import Money
from app.ledger.events import Event

WAITING_REFRESH_S = 10
STANDS_STILL = ("paused", "recovering", "full")
TURN_REFRESH_S = 30  # slower at the turn: a refresh must not pull the button from under a finger

RoomWord = Literal["scheduled", "open", "paused", "draining", "closed", "recovering", "direct"]
LineWord = RoomWord | Literal["full"]  # an open room that nobody more fits into


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
    def gone(self) -> Literal["", "no_seats", "sold_out"]:
        """Why there is nothing to be had though it is on sale, or nothing."""
        if self.status is not SaleStatus.on_sale or self.supply == "some":
            return ""
        return "no_seats" if self.supply == "none" else "sold_out"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """A place in line in words, for the page as the server draws it; a script keeps it fresh afterwards."""

    state: str  # waiting | admitted | claimed | lapsed | left | closed | none
    room: LineWord
    title: str
    number: int = 0
    ahead: int = 0
    eta: str = ""
    message: str = ""
    lead: str = ""  # what to do at the turn
    claim_before: str = ""
    refresh_s: int = 0


def wait_view(t: Texts, position: Mapping[str, Any], zone: str) -> WaitView:
    """The waiting page's values from a position answer."""
    state, room = position["state"], line_word(position)
    if room == "closed" and state in ("waiting", "admitted"):
        state = "closed"
    before = position.get("claimBefore")
    return WaitView(
        state=state,
        room=room,
        title=t("line.title") if state == "waiting" else t(f"line.{state}.title"),
        number=position["number"],
        ahead=position["ahead"],
        eta=eta_words(t, position.get("etaSeconds"), room),
        message=position.get("message") or "",
        lead=t(turn_key(position)),
        claim_before=t.time(datetime.fromisoformat(before), zone) if before else "",
        refresh_s={"waiting": WAITING_REFRESH_S, "admitted": TURN_REFRESH_S}.get(state, 0),
    )


def line_word(position: Mapping[str, Any]) -> LineWord:
    """How the line stands for who waits in it."""
    room: RoomWord = position["room"]
    return "full" if room == "open" and position.get("full") else room


def turn_key(position: Mapping[str, Any]) -> str:
    """At the turn: seats are held, or the wish found none, or the buyer chooses."""
    if position.get("reservation"):
        return "line.admitted.held"
    return "line.admitted.none" if position.get("wish") else "line.admitted.lead"


def wish_words(t: Texts, wish: Wish | None) -> str:
    """What somebody asked for at the door: `2 seats · R, S · Seats side by side`."""
    if wish is None:
        return ""
    grades = ", ".join(wish.grades) or t("line.wish.any")
    together = [t("events.wish.adjacent")] if wish.adjacent and wish.quantity > 1 else []
    return " · ".join([t("common.seats", n=wish.quantity), grades, *together])


def no_place_view(t: Texts, room: RoomWord) -> WaitView:
    """The waiting page of someone who has no number here."""
    return WaitView(state="none", room=room, title=t("line.none.title"))


def eta_words(t: Texts, eta: Mapping[str, float] | None, room: str) -> str:
    if eta:
        return t.wait(eta["low"], eta["high"])
    return t("line.eta.paused" if room in STANDS_STILL else "line.eta.unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationView:
    id: str
    status: str
    seats: tuple[Mapping[str, Any], ...]
    total: int
    until: datetime | None


MOVING = ("pending", "refund_due")  # money whose news the page waits for


def payment_words(t: Texts, payment: Money | None, method_name: Callable[[str], str]) -> str:
    """Where the money for a reservation is, as a sentence; empty if none was asked for."""
    if payment is None:
        return ""
    amount, method = t.money(payment.amount), method_name(payment.method)
    return t(f"shop.reservation.payment.{payment.status}", amount=amount, method=method)


_FAILED = ("", "failed", "refund_due", "refunded")
REFUSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # code → while the reservation and its money are so
    "payment_declined": (("pending",), _FAILED),
    "payment_unreachable": (("pending",), _FAILED),
    "payment_given_up": (("pending",), _FAILED),
    "payment_unclear": (("pending",), ("pending",)),
    "too_many_payments": (("pending",), ("pending", *_FAILED)),
    "already_paid": (("confirmed",), ("captured",)),
    "hold_over": (("pending", "expired"), _FAILED),
    "paid_too_late": (("pending", "expired", "cancelled"), _FAILED),
    "reservation_over": (("expired", "cancelled", "refunded"), ("pending", "captured", *_FAILED)),
    "lane_busy": (("pending", "confirmed"), ("pending", "captured", *_FAILED)),
}


def refusal_words(t: Texts, code: str, status: str, payment: Money | None) -> str:
    """Why a form about a reservation was refused; empty once the page says otherwise by itself."""
    statuses, moneys = REFUSALS.get(code, ((), ()))
    holds = status in statuses and (payment.status if payment else "") in moneys
    return t(f"kit.error.{code}") if holds else ""


def reservation_view(answer: Mapping[str, Any]) -> ReservationView:
    """From the API's reservation: `{id, eventId, status, seats, totalPrice, expiresAt}`."""
    expires_at = answer.get("expiresAt")
    return ReservationView(
        id=answer["id"],
        status=answer["status"],
        seats=tuple(answer["seats"]),
        total=answer["totalPrice"],
        until=datetime.fromisoformat(expires_at) if expires_at else None,
    )


def left_words(t: Texts, left: Mapping[str, int] | None) -> str:
    """What is still to be had, by grade: `Still left: R: 3 seats, S: 12 seats`."""
    some = [t("shop.seats.left", grade=grade, n=count) for grade, count in (left or {}).items() if count]
    return t("shop.seats.unavailable.left", left=", ".join(some)) if some else ""


def duration_words(t: Texts, seconds: float) -> str:
    """A length of time for operators: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return t("admin.room.duration.s", s=whole)
    if whole < 3600:
        return t("admin.room.duration.m", m=whole // 60, s=whole % 60)
    return t("admin.room.duration.h", h=whole // 3600, m=whole % 3600 // 60)


def number_cells(t: Texts, numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The operator's numbers in words, in the order they are shown."""
    waiting, eta = numbers["waiting"], numbers.get("etaSeconds")
    longest = duration_words(t, numbers.get("oldestWaitSeconds") or 0) if waiting else "–"
    empty = t("admin.room.empty.now" if not waiting else "admin.room.empty.never")
    if waiting and eta:
        empty = duration_words(t, eta["high"] if isinstance(eta, Mapping) else eta)
    return [
        ("waiting", t.number(waiting)),
        ("inflow", t.number(numbers["inflowPerSecond"], 1)),
        ("outflow", t.number(numbers["outflowPerSecond"], 1)),
        ("admitted", t.number(numbers["admitted"])),
        ("active", t.number(numbers["active"])),
        ("oldest", longest),
        ("empty", empty),
        ("last", t.number(numbers["lastNumber"])),
    ]


def is_full(numbers: Mapping[str, Any]) -> bool:
    """Whether capacity, not the rate, is what people wait for."""
    inside: int = numbers["admitted"] + numbers["active"]
    return bool(numbers["waiting"]) and inside >= numbers["maxActive"]


def stamp(at: datetime, zone: str) -> str:
    """A moment to the second, as the operator's script writes it too: `2026-11-29 06:02:17`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def change_words(t: Texts, change: Mapping[str, Any]) -> str:
    """One recorded change: `rate per second: 50, state: Paused`."""
    return ", ".join(change_parts(t, change))


def change_parts(t: Texts, change: Mapping[str, Any]) -> list[str]:
    return [f"{_field(t, field)}: {_value(t, field, value)}" for field, value in change.items()]


def _field(t: Texts, field: str) -> str:
    key = f"admin.room.field.{field}"
    return t(key) if t.has(key) else field


def _value(t: Texts, field: str, value: object) -> str:
    if field == "state" and t.has(f"line.room.{value}"):
        return t(f"line.room.{value}")
    if isinstance(value, bool):
        return t("admin.room.yes" if value else "admin.room.no")
    return t.number(value) if isinstance(value, int | float) else str(value)
