"""A reservation and its money in words, and why a form about it was refused. Pure: made from what the API answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.http.kit.i18n import Texts
from app.ledger.charges import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationView:
    id: str
    status: str
    seats: tuple[Mapping[str, Any], ...]
    total: int
    until: datetime | None
    groups: int


MOVING = ("pending", "refund_due")  # money whose news the page waits for


def payment_words(t: Texts, payment: Money | None, method_name: Callable[[str], str]) -> str:
    """Where the money for a reservation is, as a sentence; empty if none was asked for."""
    if payment is None:
        return ""
    amount, method = t.money(payment.amount), method_name(payment.method)
    return t(f"shop.reservation.payment.{payment.status}", amount=amount, method=method)


def returned_words(t: Texts, payment: Money | None) -> str:
    """What was paid for seats that were given back, and where it is; empty if there is none."""
    if payment is None:
        return ""
    amounts = (("returning", payment.returning), ("returned", payment.returned))
    said = [t(f"shop.reservation.part.{word}", amount=t.money(amount)) for word, amount in amounts if amount]
    return " ".join(said)


_FAILED = ("", "failed", "given_up", "refund_due", "refunded")
REFUSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # code → while the reservation and its money are so
    "payment_declined": (("pending",), _FAILED),
    "payment_unreachable": (("pending",), ("pending", *_FAILED)),
    "payment_given_up": (("pending",), _FAILED),
    "payment_unclear": (("pending",), ("pending",)),
    "too_many_payments": (("pending",), ("pending", *_FAILED)),
    "payment_under_way": (("pending",), ("pending",)),
    "seats_not_chosen": (("pending", "confirmed"), ("captured", "pending", *_FAILED)),
    "already_paid": (("confirmed",), ("captured",)),
    "form_stale": (("pending", "confirmed"), ("pending", "captured", *_FAILED)),
    "already_holding": (("pending",), ("pending", *_FAILED)),
    "pass_spent": (("confirmed",), ("captured",)),
    "hold_over": (("pending", "expired"), _FAILED),
    "paid_too_late": (("pending", "expired", "cancelled"), _FAILED),
    "reservation_over": (("expired", "cancelled", "refunded"), ("pending", "captured", *_FAILED)),
    "lane_busy": (("pending", "confirmed"), ("pending", "captured", *_FAILED)),
}


def refusal_words(t: Texts, code: str, status: str, payment: Money | None) -> str:
    """Why a form about a reservation was refused; empty once the page says otherwise by itself."""
    statuses, moneys = REFUSALS.get(code, ((), ()))
    holds = status in statuses and (payment.status if payment else "") in moneys
    own = f"shop.reservation.said.{code}"
    return t(own if t.has(own) else f"kit.error.{code}") if holds else ""


def reservation_view(answer: Mapping[str, Any]) -> ReservationView:
    """From the API's reservation: `{id, eventId, status, seats, totalPrice, expiresAt}`."""
    expires_at = answer.get("expiresAt")
    return ReservationView(
        id=answer["id"],
        status=answer["status"],
        seats=tuple(answer["seats"]),
        total=answer["totalPrice"],
        until=datetime.fromisoformat(expires_at) if expires_at else None,
        groups=answer.get("groups", 1),
    )


def left_words(t: Texts, refused: Mapping[str, Any]) -> str:
    """What is still to be had, by grade: `Still left: R: 3 seats, S: 12 seats`; side by side, if that was required."""
    kind = "together" if "leftTogether" in refused else "left"
    left: Mapping[str, int] = refused.get("leftTogether", refused.get("left")) or {}
    some = [t("shop.seats.left", grade=grade, n=count) for grade, count in left.items() if count]
    return t(f"shop.seats.unavailable.{kind}", left=", ".join(some)) if some else ""
