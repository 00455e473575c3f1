"""What can be asked of the lane, and what it answers.

A command's id is its idempotency key: sent again, it gives the first answer again. All of it travels as JSON.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from app.domain.reservation import SEATS_PER_HOLD_MAX, Reservation, ReservationStatus
from app.domain.wish import Wish

REPLIES_KEPT_FOR = timedelta(days=1)  # nobody asks for the first answer to a command later than that

CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
ReservationId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
SeatIds = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(min_length=1, max_length=SEATS_PER_HOLD_MAX)
]


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="hold", omit_defaults=True):
    """Set seats aside: either exactly these, or the best for the wish. `epoch` and `number` name a place in line.
    `asked` tells what is wanted from anything else wanted by the same id; the answer says it again."""

    id: CommandId
    holder: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    number: int | None = None
    epoch: int | None = None
    seat_ids: SeatIds | None = None
    wish: Wish | None = None
    asked: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def __post_init__(self) -> None:
        if (self.seat_ids is None) == (self.wish is None):
            raise ValueError("a hold names either seat_ids or a wish")
        if (self.number is None) != (self.epoch is None):
            raise ValueError("number and epoch belong together")


class Confirm(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="confirm"):
    """The money for a hold is taken: sell its seats. If the hold is `gone`, the money is noted as due back."""

    id: CommandId
    reservation_id: ReservationId
    holder: str
    method: Annotated[str, msgspec.Meta(max_length=40)]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cancel", omit_defaults=True):
    """Give seats back, refunding them if they were paid. No holder: an operator's doing, possible for ever; a buyer may
    until the event begins."""

    id: CommandId
    reservation_id: ReservationId
    holder: str | None = None


class Expire(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="expire"):
    """End a hold whose time is over; does nothing, and is not remembered, while it is not."""

    id: CommandId
    reservation_id: ReservationId


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="drop"):
    """A place in line is over: give the seats that are held for it back. What is paid for stays."""

    id: CommandId
    epoch: int
    number: int


class Serve(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="serve"):
    """Look at the waiting list, as every batch does. Not remembered: what it did is in the list."""

    id: CommandId


Command = Hold | Confirm | Cancel | Expire | Drop | Serve


class OutcomeStatus(StrEnum):
    held = "held"
    confirmed = "confirmed"
    cancelled = "cancelled"
    expired = "expired"
    unavailable = "unavailable"  # some seat was not free; `left` says what is
    unknown_seat = "unknown_seat"
    gone = "gone"  # the hold is over, or paid: by another payment, or before its place in line was over
    not_found = "not_found"  # no such reservation, or not this holder's
    already_holding = "already_holding"  # this place in line has a reservation: that one
    not_on_sale = "not_on_sale"  # before its sale, after it, or cancelled
    event_begun = "event_begun"  # a buyer gives paid seats back too late
    not_due = "not_due"  # an Expire that came too early
    served = "served"  # the waiting list was looked at


# Not remembered: what comes at the wrong time would answer with its id for the one that comes at the right one.
PASSING = frozenset({OutcomeStatus.not_due, OutcomeStatus.served, OutcomeStatus.not_on_sale, OutcomeStatus.event_begun})


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation as it travels down the lane: seats by position, to be shown with the event's map."""

    id: str
    holder: str
    status: ReservationStatus
    seats: tuple[int, ...]
    total_price: int
    expires_at: datetime
    epoch: int | None = None
    number: int | None = None
    prices: tuple[int, ...] = ()  # of `seats`, as they were when it was made


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one command. `left`: free seats per grade. `number`, `epoch`: of the hold, if from the line.
    `asked`: as the command that is answered said, which need not be the one that came now."""

    id: str
    status: OutcomeStatus
    reservation: Held | None = None
    left: dict[str, int] | None = None
    number: int | None = None
    epoch: int | None = None
    asked: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of `lane:out`: the map's version, what changed, and the answers. `reload`: read the map anew."""

    version: int
    seats: list[tuple[int, int]] = []
    outcomes: list[Outcome] = []
    reload: bool = False


_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_outcomes = msgspec.json.Decoder(Outcome)
_published = msgspec.json.Decoder(Published)


def pack(thing: Command | Outcome | Published) -> bytes:
    return _encoder.encode(thing)


def unpack_command(packed: bytes) -> Command:
    """Raises msgspec.MsgspecError for anything that is not a command."""
    return _commands.decode(packed)


def unpack_outcome(packed: bytes | str) -> Outcome:
    return _outcomes.decode(packed)


def unpack_published(packed: bytes) -> Published:
    return _published.decode(packed)


def held(reservation: Reservation) -> Held:
    return Held(
        id=reservation.id,
        holder=reservation.holder,
        status=reservation.status,
        seats=reservation.seats,
        total_price=reservation.total_price,
        expires_at=reservation.expires_at,
        epoch=reservation.epoch,
        number=reservation.number,
        prices=reservation.prices,
    )


def recalled(reservation: Reservation) -> Outcome:
    """What the lane last said of a live reservation, for a process that did not hear it."""
    status = OutcomeStatus.held if reservation.status is ReservationStatus.pending else OutcomeStatus.confirmed
    return Outcome(
        id="",
        status=status,
        reservation=held(reservation),
        number=reservation.number,
        epoch=reservation.epoch,
    )
