"""Gives back the seats of a reservation, all or some, and their money: for the buyer and for admins.

Both go down the lane. What an admin does is written to the audit log before it is sent, and a buyer's reason after.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
from starlette.requests import Request

from app.domain.reservation import Reservation, ReservationStatus, seat_id
from app.http.kit.bodies import decode_optional, read_body
from app.http.kit.cookies import Headers
from app.http.kit.problems import Problem
from app.http.shop import rules as shop
from app.http.shop.rules import SeatIds
from app.http.state import State
from app.lane.commands import Cancel, Outcome, OutcomeStatus
from app.ledger import audit_log, charges, reservations

CANCEL, REFUND = audit_log.CANCEL_RESERVATION, audit_log.REFUND_RESERVATION
DIGEST_CHARACTERS = 16


class CancelBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`seatIds`: only these seats of the reservation, which goes on with the others. `reason`: for the audit log."""

    seat_ids: SeatIds | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


_decoder = msgspec.json.Decoder(CancelBody)


async def read_cancel(request: Request[State]) -> CancelBody:
    """The body, which may be left out. Raises Problem 422 for anything else: nothing may be cancelled by mistake."""
    body = await read_body(request.receive)
    return decode_optional(body, _decoder, CancelBody())


async def as_buyer(state: State, headers: Headers, reservation_id: str, wanted: CancelBody) -> Outcome:
    """Give the seats back; the lane notes money that was paid as due back. A repeat changes nothing."""
    reservation = await shop.own(state, headers, reservation_id)
    if reservation.status is ReservationStatus.confirmed and await shop.has_begun(state, reservation.event_id):
        raise shop.begun()
    outcome = await _submit(state, reservation, f"cancel:{reservation.id}", wanted, reservation.holder)
    match outcome.status:
        case OutcomeStatus.cancelled | OutcomeStatus.reduced:
            if wanted.reason and reservation.live and _gives_back(reservation, wanted):
                await _record(state, audit_log.BUYER, CANCEL, reservation, _change(reservation, wanted))
            return outcome
        case OutcomeStatus.event_begun:
            raise shop.begun()
        case OutcomeStatus.unknown_seat:
            raise Problem("seat_unknown.reservation", seatIds=wanted.seat_ids)
        case _:
            raise shop.over(reservation.status)


async def as_admin(state: State, who: str, reservation_id: str, action: str, wanted: CancelBody) -> Outcome:
    """Cancel a hold, or refund what was paid; a repeat changes nothing. Raises Problem.

    `reservation.refund` refuses what is not paid, so that nobody refunds a hold that its buyer is about to pay.
    """
    found = await known(state, reservation_id)
    if action == REFUND and found.status not in (ReservationStatus.confirmed, ReservationStatus.refunded):
        raise Problem("not_paid", status=found.status)
    if found.status is ReservationStatus.expired:
        raise Problem("reservation_over", status=found.status)
    asked = await _record(state, who, action, found, {**_change(found, wanted), "reason": wanted.reason})
    try:
        outcome = await _submit(state, found, f"cancel:{found.id}:desk", wanted)
    except Problem as problem:  # sent or not, it may be carried out yet
        await _record(state, who, audit_log.UNANSWERED, found, {"of": asked, "why": problem.code})
        raise
    if outcome.status in (OutcomeStatus.cancelled, OutcomeStatus.reduced):
        return outcome
    await _record(state, who, audit_log.REFUSED, found, {"of": asked, "why": outcome.status.value})
    if outcome.status is OutcomeStatus.unknown_seat:
        raise Problem("seat_unknown.reservation", seatIds=wanted.seat_ids)
    raise Problem("reservation_over.meanwhile")


def _gives_back(reservation: Reservation, wanted: CancelBody) -> bool:
    """Whether these seats were not given back before: a repeat is not written down again."""
    return wanted.seat_ids is None or any(seat_id(idx) in wanted.seat_ids for idx in reservation.seats)


def words(outcome: Outcome) -> str:
    """What became of the reservation, for a person."""
    if outcome.status is OutcomeStatus.reduced:
        return "These seats are free again. The reservation goes on with the others."
    became = ReservationStatus.cancelled if outcome.reservation is None else outcome.reservation.status
    return f"The reservation is {became.value} and its seats are free again."


async def known(state: State, reservation_id: str) -> Reservation:
    """Anybody's reservation. Raises Problem 404."""
    found = None if "\x00" in reservation_id else await reservations.get(state["db"], reservation_id)
    if found is None:
        raise Problem("reservation_unknown.admin", reservation_id=reservation_id[:40])
    return found


async def _submit(
    state: State, reservation: Reservation, command_id: str, wanted: CancelBody, holder: str | None = None
) -> Outcome:
    seat_ids = None if wanted.seat_ids is None else sorted(set(wanted.seat_ids))
    if seat_ids is not None:
        await _check_not_paying(state, reservation)
        digest = hashlib.sha256(",".join(seat_ids).encode()).hexdigest()[:DIGEST_CHARACTERS]
        command_id = f"{command_id}:{digest}"  # a seat is given back once, so its repeat is the same command
    cancel = Cancel(id=command_id, reservation_id=reservation.id, holder=holder, seat_ids=seat_ids)
    return await shop.submit(state, reservation.event_id, cancel)


async def _check_not_paying(state: State, reservation: Reservation) -> None:
    """Raises Problem while money is asked for the whole of a hold: it would pay for another price."""
    if reservation.status is not ReservationStatus.pending:
        return
    money = (await charges.money_of(state["db"], [reservation.id])).get(reservation.id)
    if money is not None and money.status == "pending":
        raise Problem("payment_under_way")


def _change(found: Reservation, wanted: CancelBody) -> dict[str, Any]:
    change: dict[str, Any] = {"status": found.status.value, "totalPrice": found.total_price}
    if wanted.seat_ids is not None:
        change["seatIds"] = wanted.seat_ids
    return change | ({"reason": wanted.reason} if wanted.reason else {})


async def _record(state: State, who: str, action: str, found: Reservation, change: dict[str, Any]) -> int:
    return await audit_log.record(
        state["db"],
        who=who,
        action=action,
        subject=found.id,
        event_id=found.event_id,
        change=change,
        now=state["clock"].now(),
    )
