"""Reservations as buyers see them: held, paid, cancelled. The API and the pages call the same functions.

What was reserved belongs to the holder it was made for (accounts/owners.py). Every change goes down
the lane; nothing here writes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from starlette.requests import Request

from app.domain.line import Place
from app.domain.reservation import Reservation, ReservationStatus, seat_id
from app.domain.sale import SaleStatus, sale_ends_at, status_of
from app.domain.ticket import holder_bytes
from app.domain.wish import Wish
from app.http.accounts.owners import buyer_of, own_pass, owned, owns
from app.http.events.cache import known_event
from app.http.kit.cookies import Headers
from app.http.kit.idempotency import idempotency_key
from app.http.kit.problems import Problem
from app.http.line.lookup import view_of
from app.http.line.position import Extra
from app.http.state import State
from app.lane.commands import Command, Hold, Outcome, OutcomeStatus
from app.lane.errors import LaneUnavailable
from app.lane.seats import SeatViews, UnknownEvent
from app.lane.view import SeatView, describe
from app.ledger import charges, events, reservations

DIGEST_CHARACTERS = 16
SeatIds = Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(min_length=1, max_length=100)]


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
    return (await described(state, [found]))[0] if found is not None and found.live else None


async def described(state: State, found: Sequence[Reservation]) -> list[dict[str, Any]]:
    """As the API shows them. Where the map is not open, their seats are read from SQL and it stays closed."""
    views = {one.event_id: state["seats"].get(one.event_id) for one in found}
    unknown = [one.id for one in found if views[one.event_id] is None]
    seats = await reservations.seats_of(state["db"], unknown) if unknown else {}
    return [
        describe(one.event_id, one, seats[one.id]) if (view := views[one.event_id]) is None else view.describe(one)
        for one in found
    ]


async def with_money(state: State, found: Sequence[Reservation]) -> list[dict[str, Any]]:
    """The reservations as shown to their owner: `payment` says where the money is, if any was asked for."""
    money = await charges.money_of(state["db"], [one.id for one in found])
    shown = await described(state, found)
    return [
        answer | ({"payment": money[one.id]} if one.id in money else {})
        for one, answer in zip(found, shown, strict=True)
    ]


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


def network_that_counts(request: Request[State], event_id: str) -> str:
    """The keyed hash of the address that asks, by which holds without a line are counted; "" where none counts. A
    browser's id costs nothing, so without this one address could hold a whole hall.
    """
    state, host = request.state, request.client.host if request.client else ""
    network = state["entrance"].addresses.counted(host)
    return state["account_macs"].network(event_id, network) if network else ""


class Picked(NamedTuple):
    """Seats that were picked by hand. `leave_single`: even if they leave a free seat alone needlessly."""

    seat_ids: tuple[str, ...]
    leave_single: bool = True


async def reserve(
    state: State, headers: Headers, event_id: str, wanted: Picked | Wish, network: str
) -> tuple[dict[str, Any], list[str]]:
    """Hold seats for who asks. Answers the reservation, and the ids of free seats that it leaves alone. Raises Problem,
    with what is left or what is held already. `network`: of `network_that_counts`.
    """
    view = await seat_view(state, event_id)
    holder, number, epoch = await _buyer(state, headers, event_id)
    picked = wanted if isinstance(wanted, Picked) else None
    if isinstance(wanted, Wish):
        await check_wish(state, event_id, wanted)
    else:
        check_quantity(state, len(wanted.seat_ids))
    keyed = idempotency_key(headers, holder) is not None
    hold = Hold(
        id=command_id(headers, holder, "hold"),
        holder=holder,
        number=number,
        epoch=epoch,
        seat_ids=None if picked is None else list(picked.seat_ids),
        wish=wanted if isinstance(wanted, Wish) else None,
        leave_single=picked is None or picked.leave_single,
        asked=_digest(wanted) if keyed else "",
        network=network if number is None else "",
    )
    outcome = await submit(state, event_id, hold)
    if outcome.asked != hold.asked:
        raise Problem("key_reused")
    match outcome.status:
        case OutcomeStatus.held if outcome.reservation is not None:
            made = await _as_it_is(state, outcome.reservation.id) if keyed else view.describe(outcome.reservation)
            return made, [seat_id(idx) for idx in outcome.singles]
        case OutcomeStatus.already_holding if outcome.reservation is not None:
            shown = view.describe(outcome.reservation)
            raise Problem("already_holding", reservation=shown)
        case OutcomeStatus.unknown_seat:
            raise Problem("seat_unknown", seatIds=hold.seat_ids)
        case OutcomeStatus.leaves_single:
            singles = [seat_id(idx) for idx in outcome.singles]
            may = (await known_event(state, event_id)).single_seats == "allowed"
            raise Problem("leaves_single_seat.asked" if may else "leaves_single_seat", seatIds=singles, mayHold=may)
        case OutcomeStatus.too_many_holds:
            raise Problem("too_many_holds", retryAfterSeconds=outcome.wait_s)
        case OutcomeStatus.buyer_limit:
            raise await _over_limit(state, event_id, outcome.may_add or 0)
        case OutcomeStatus.not_on_sale:
            raise await not_sold(state, event_id)
        case _ if outcome.left_together is not None:
            left, together = outcome.left or {}, outcome.left_together
            raise Problem("seats_unavailable.together", left=left, leftTogether=together)
        case _:
            raise Problem("seats_unavailable", left=outcome.left or {})


async def _over_limit(state: State, event_id: str, left: int) -> Problem:
    most = (await known_event(state, event_id)).seats_per_buyer
    return Problem("buyer_limit", most=most, left=left)


async def check_limit(state: State, event_id: str, quantity: int, holders: Sequence[str]) -> None:
    """Raises Problem if a person with these holder ids would have more seats of the event than one may."""
    most = (await known_event(state, event_id)).seats_per_buyer
    if most is None:
        return
    has = sum(len(one.seats) for one in await reservations.live_of(state["db"], event_id, holders))
    if has + quantity > most:
        raise Problem("buyer_limit", most=most, left=max(0, most - has))


async def check_bought(state: State, headers: Headers, reservation: Reservation) -> None:
    """Raises Problem if this person would have bought more seats of the event than one may: who held some in a browser
    and some in an account, and then logged in there, is one person from then on.

    The first that a person pays for is never refused: it was within the limit when it was held.
    """
    most = (await known_event(state, reservation.event_id)).seats_per_buyer
    if most is None:
        return
    mine = await reservations.live_of(state["db"], reservation.event_id, await owned(state, headers))
    bought = sum(len(one.seats) for one in mine if one.status is ReservationStatus.confirmed)
    if bought and bought + len(reservation.seats) > most:
        raise Problem("buyer_limit", most=most, left=max(0, most - bought))


def _digest(wanted: Picked | Wish) -> str:
    """Tells what one request wants from what another does."""
    said = sorted(set(wanted.seat_ids)) if isinstance(wanted, Picked) else wanted
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:DIGEST_CHARACTERS]


async def _as_it_is(state: State, reservation_id: str) -> dict[str, Any]:
    """The reservation that a key once made. Raises Problem if it is over: its seats are not held any more."""
    found = await reservations.get(state["db"], reservation_id)
    assert found is not None, "a reservation is never deleted"
    (shown,) = await described(state, [found])
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
    """Raises Problem for a wish that the event could never grant. From memory: no store is asked."""
    check_quantity(state, wish.quantity)
    event = await known_event(state, event_id)
    most = event.seats_per_buyer
    if most is not None and wish.quantity > most:
        raise Problem("buyer_limit", most=most, left=most)
    unknown = set(wish.grades) - {grade.name for grade in event.grades if grade.seats_total}
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
    admission = own_pass(state, headers, event_id)
    if admission.epoch != line.epoch or line.place(admission.number) in (Place.left, Place.lapsed):
        raise Problem("pass_spent")
    if line.is_taken(admission.number, holder_bytes(admission.holder) or b""):
        raise Problem("place_taken_over")
    return admission.holder, admission.number, admission.epoch


async def own(state: State, headers: Headers, reservation_id: str) -> Reservation:
    """The reservation, if it belongs to who asks. Someone else's is as unknown as none."""
    found = await reservations.get(state["db"], reservation_id)
    if found is None or not await owns(state, headers, found):
        raise Problem("reservation_unknown")
    return found


async def has_begun(state: State, event_id: str) -> bool:
    """Whether what is paid for an event can be given back by an admin only."""
    return (await known_event(state, event_id)).starts_at <= state["clock"].now()


def begun() -> Problem:
    return Problem("event_begun")


def over(status: ReservationStatus) -> Problem:
    return Problem("reservation_over", status=status)
