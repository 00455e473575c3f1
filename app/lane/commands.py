"""The commands of the lane and their outcomes, as they travel through Redis.

A command's id is its idempotency key: sent again, it gives the first outcome again. All of it travels as JSON. A
command's `tag` is its name on the lane, where commands of an earlier version may still wait: it never changes.
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
    """Hold seats for a buyer until they pay: exactly `seat_ids`, or the best seats for `wish`.

    `epoch` and `number` name the buyer's place in line, which has one live reservation at most; without a line they are
    None. `asked` describes the request: the outcome repeats it, so a caller notices an id used for another request.
    """

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
    """Sell the seats of a hold: its money was captured. If the hold has ended, a refund is noted as due instead."""

    id: CommandId
    reservation_id: ReservationId
    holder: str
    method: Annotated[str, msgspec.Meta(max_length=40)]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cancel", omit_defaults=True):
    """Give the seats of a reservation back, and note a refund as due if they were paid.

    With a `holder` it is the buyer who cancels: only their own reservation, and a paid one only until the event begins.
    Without one it is an admin, who always may.
    """

    id: CommandId
    reservation_id: ReservationId
    holder: str | None = None


class Expire(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="expire"):
    """End a hold whose time has run out. One that comes early does nothing, and may be sent again with the same id."""

    id: CommandId
    reservation_id: ReservationId


class ReleasePlace(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="drop"):
    """Give back the seats held for a place in line that was left or has lapsed. Seats that are paid stay sold."""

    id: CommandId
    epoch: int
    number: int


class OfferToWaitlist(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="serve"):
    """Offer free seats to the waiting list. Every batch does so; this command makes a batch happen."""

    id: CommandId


Command = Hold | Confirm | Cancel | Expire | ReleasePlace | OfferToWaitlist


def kind_of(command: Command) -> str:
    """A command's name on the lane: hold, confirm, cancel, expire, drop or serve."""
    return str(command.__struct_config__.tag)


def reservation_of(command: Command) -> str | None:
    """The id of the reservation that a command names, if it names one."""
    return getattr(command, "reservation_id", None)


class OutcomeStatus(StrEnum):
    """What became of a command. A value is stored with its outcome and never changes."""

    held = "held"
    confirmed = "confirmed"
    cancelled = "cancelled"
    expired = "expired"
    unavailable = "unavailable"  # some seat was not free; `left` says what is
    unknown_seat = "unknown_seat"
    gone = "gone"  # the hold has ended, or another payment has paid it, or it was paid before its place was released
    not_found = "not_found"  # no such reservation, or not this holder's
    already_holding = "already_holding"  # this place in line has a live reservation: the outcome names it
    not_on_sale = "not_on_sale"  # before its sale, after it, or cancelled
    event_begun = "event_begun"  # a buyer cancels paid seats after the event has begun
    not_due = "not_due"  # an Expire that came too early
    offered_to_waitlist = "served"


# These outcomes are not recorded under their command's id: the same command may succeed when it comes again later.
NOT_RECORDED = frozenset(
    {
        OutcomeStatus.not_due,
        OutcomeStatus.offered_to_waitlist,
        OutcomeStatus.not_on_sale,
        OutcomeStatus.event_begun,
    }
)


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation as an outcome carries it: `seats` are positions in the event's seat map, sorted."""

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
    """The answer to one command.

    `left`: free seats per grade, if a hold was refused because too few are free. `epoch` and `number`: the place in
    line of the reservation, if there is a line. `asked`: of the first hold of this id, whose outcome this is.
    """

    id: str
    status: OutcomeStatus
    reservation: Held | None = None
    left: dict[str, int] | None = None
    number: int | None = None
    epoch: int | None = None
    asked: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of `lane:out`: the seat map's new version, the seats that changed as (position, status), and the
    outcomes. `reload`: the whole map was replaced and must be read from SQL."""

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
    """The newest outcome of a live reservation, for a process that did not see it published."""
    status = OutcomeStatus.held if reservation.status is ReservationStatus.pending else OutcomeStatus.confirmed
    return Outcome(
        id="",
        status=status,
        reservation=held(reservation),
        number=reservation.number,
        epoch=reservation.epoch,
    )
