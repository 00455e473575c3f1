"""Reservations as buyers see them: held, paid, cancelled. The API and the pages call the same functions.

Whoever holds the place in line (ticket, pass or browser id) owns what was reserved with it. Every change goes down
the lane; nothing here writes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from app.domain.line import Place
from app.domain.reservation import Reservation, ReservationStatus
from app.domain.sale import SaleStatus, sale_ends_at, status_of
from app.domain.wish import Wish
from app.http.accounts.credentials import require_pass
from app.http.accounts.owners import buyer_of, owns
from app.http.events.cache import known_event
from app.http.kit.cookies import Headers
from app.http.kit.idempotency import idempotency_key
from app.http.kit.problems import Problem
from app.http.line.lookup import view_of
from app.http.line.position import Extra
from app.http.state import State
from app.lane.commands import Cancel, Command, Held, Hold, Outcome, OutcomeStatus
from app.lane.errors import LaneUnavailable
from app.lane.seats import SeatViews, UnknownEvent
from app.lane.view import SeatView
from app.ledger import charges, events, reservations

DIGEST_CHARACTERS = 16


def member_of(seats: SeatViews) -> Extra:
    """What a position says of a buyer's seats, from memory: `,"reservation":{…}`, or that the wish found none."""

    def member(event_id: str, epoch: int, number: int) -> bytes:
        view = seats.get(event_id)
        outcome = view.answer(epoch, number) if view is not None else None
        if view is None or outcome is None:
            return b""
        if outcome.reservation is not None:
            return b',"reservation":%s' % msgspec.json.encode(view.describe(outcome.reservation))
        return b',"wish":"%s"' % outcome.status.encode()

    return member


async def seat_view(state: State, event_id: str) -> SeatView:
    try:
        return await state["seats"].open(event_id)
    except UnknownEvent:
        raise Problem("event_unknown", event_id=event_id) from None


async def reservation_of(state: State, event_id: str, epoch: int, number: int) -> dict[str, Any] | None:
    """The live reservation of a place in line."""
    found = await reservations.by_number(state["db"], event_id, epoch, number)
    return await described(state, found) if found is not None and found.live else None


async def described(state: State, reservation: Reservation | Held, event_id: str | None = None) -> dict[str, Any]:
    if event_id is None:
        assert isinstance(reservation, Reservation)
        event_id = reservation.event_id
    return (await seat_view(state, event_id)).describe(reservation)


async def with_money(state: State, found: Sequence[Reservation]) -> list[dict[str, Any]]:
    """The reservations as shown to their owner: `payment` says where the money is, if any was asked for."""
    money = await charges.money_of(state["db"], [one.id for one in found])
    return [await described(state, one) | ({"payment": money[one.id]} if one.id in money else {}) for one in found]


async def submit(state: State, event_id: str, command: Command) -> Outcome:
    try:
        return await state["lane"].submit(event_id, command)
    except LaneUnavailable:
        raise lane_busy() from None


def lane_busy() -> Problem:
    return Problem("lane_busy")


def command_id(headers: Headers, holder: str, kind: str) -> str:
    """The client's Idempotency-Key, made its own by the holder; a random one without it."""
    return f"{kind}:{idempotency_key(headers, holder) or secrets.token_urlsafe(16)}"


async def reserve(
    state: State, headers: Headers, event_id: str, seat_ids: list[str] | None, wish: Wish | None
) -> dict[str, Any]:
    """Hold seats for who asks. Answers the reservation; raises Problem, with what is left or what is held already."""
    view = await seat_view(state, event_id)
    holder, number, epoch = await _buyer(state, headers, event_id)
    check_quantity(state, len(seat_ids or ()))
    if wish is not None:
        await check_wish(state, event_id, wish)
    keyed = idempotency_key(headers, holder) is not None
    hold = Hold(
        id=command_id(headers, holder, "hold"),
        holder=holder,
        number=number,
        epoch=epoch,
        seat_ids=seat_ids,
        wish=wish,
        asked=_digest(seat_ids, wish) if keyed else "",
    )
    outcome = await submit(state, event_id, hold)
    if outcome.asked != hold.asked:
        raise Problem("key_reused")
    match outcome.status:
        case OutcomeStatus.held if outcome.reservation is not None:
            return await _as_it_is(state, outcome.reservation.id) if keyed else view.describe(outcome.reservation)
        case OutcomeStatus.already_holding if outcome.reservation is not None:
            shown = view.describe(outcome.reservation)
            raise Problem("already_holding", reservation=shown)
        case OutcomeStatus.unknown_seat:
            raise Problem("seat_unknown", seatIds=seat_ids)
        case OutcomeStatus.not_on_sale:
            raise await not_sold(state, event_id)
        case _:
            raise Problem("seats_unavailable", left=outcome.left or {})


def _digest(seat_ids: list[str] | None, wish: Wish | None) -> str:
    """Tells what one request wants from what another does."""
    wanted = msgspec.json.encode((None if seat_ids is None else sorted(set(seat_ids)), wish))
    return hashlib.sha256(wanted).hexdigest()[:DIGEST_CHARACTERS]


async def _as_it_is(state: State, reservation_id: str) -> dict[str, Any]:
    """The reservation that a key once made. Raises Problem if it is over: its seats are not held any more."""
    found = await reservations.get(state["db"], reservation_id)
    assert found is not None, "a reservation is never deleted"
    shown = await described(state, found)
    if not found.live:
        raise Problem("reservation_over.key", status=found.status, reservation=shown)
    return shown


async def not_sold(state: State, event_id: str) -> Problem:
    """Why nothing of the event is sold now."""
    event = await events.get(state["db"], event_id)
    assert event is not None, "events are never deleted"
    match status_of(event, state["clock"].now()):
        case SaleStatus.cancelled:
            return Problem("event_cancelled")
        case SaleStatus.ended:
            ended = sale_ends_at(event)
            return Problem("sale_ended", ended=ended.isoformat(), endedAt=ended)
        case SaleStatus.upcoming:
            opens = event.opens_at
            return Problem("sale_not_open", opens=opens.isoformat(), opensAt=opens)
        case SaleStatus.on_sale:
            return Problem("lane_busy.sale_changed")


def check_quantity(state: State, seats: int) -> None:
    """Raises Problem if one buyer may not have so many."""
    most = state["settings"].seats_per_buyer_max
    if seats > most:
        raise Problem("too_many_seats", most=most)


async def check_wish(state: State, event_id: str, wish: Wish) -> None:
    """Raises Problem for a wish that no seat of the event could ever fit. From memory: no store is asked."""
    check_quantity(state, wish.quantity)
    unknown = set(wish.grades) - (await seat_view(state, event_id)).left().keys()
    if unknown:
        raise Problem("grade_unknown", unknown=min(unknown), grade=min(unknown))


async def _buyer(state: State, headers: Headers, event_id: str) -> tuple[str, int | None, int | None]:
    """Who buys: by a pass that is not used up, or by account or browser id where the event has no waiting room."""
    if (await known_event(state, event_id)).admission == "open":
        holder = buyer_of(state, headers)
        if holder is None:
            raise Problem("holder_missing")
        return holder, None, None
    line = await view_of(state, event_id)
    admission = require_pass(state["tokens"], headers, event_id)
    if admission.epoch != line.epoch or line.place(admission.number) in (Place.left, Place.lapsed):
        raise Problem("pass_spent")
    return admission.holder, admission.number, admission.epoch


async def own(state: State, headers: Headers, reservation_id: str) -> Reservation:
    """The reservation, if it belongs to who asks. Someone else's is as unknown as none."""
    found = await reservations.get(state["db"], reservation_id)
    if found is None or not await owns(state, headers, found):
        raise Problem("reservation_unknown")
    return found


async def cancel(state: State, headers: Headers, reservation_id: str) -> None:
    """Give the seats back; the lane notes money that was paid as due back. A repeat changes nothing."""
    reservation = await own(state, headers, reservation_id)
    if reservation.status is ReservationStatus.confirmed and await has_begun(state, reservation.event_id):
        raise begun()
    outcome = await submit(
        state,
        reservation.event_id,
        Cancel(id=f"cancel:{reservation.id}", reservation_id=reservation.id, holder=reservation.holder),
    )
    if outcome.status is OutcomeStatus.event_begun:
        raise begun()
    if outcome.status is not OutcomeStatus.cancelled:
        raise over(reservation.status)


async def has_begun(state: State, event_id: str) -> bool:
    """Whether what is paid for an event can be given back by an admin only."""
    return (await known_event(state, event_id)).starts_at <= state["clock"].now()


def begun() -> Problem:
    return Problem("event_begun")


def over(status: ReservationStatus) -> Problem:
    return Problem("reservation_over", status=status)
