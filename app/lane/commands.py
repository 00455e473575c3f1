"""The commands of the lane and their outcomes, as they travel through Redis.

A command's id is its idempotency key: a command sent again gets its first outcome again. Both are encoded as JSON. A
command's `tag` is its name on the lane and never changes: commands of an earlier version may still wait there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from app.domain.reservation import NETWORK_CHARS, SEATS_PER_HOLD_MAX, Reservation, ReservationStatus
from app.domain.wish import Wish

REPLIES_KEPT_FOR = timedelta(days=1)  # how long a repeated command gets its first outcome again

CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
ReservationId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
SeatIds = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(min_length=1, max_length=SEATS_PER_HOLD_MAX)
]


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="hold", omit_defaults=True):
    """Hold seats for a buyer until they pay: exactly `seat_ids`, or the best seats for `wish`.

    `epoch` and `number` name the buyer's place in line, which has one live reservation at most; without a line they are
    None. `asked` is a digest of the request. The outcome repeats it, so a caller notices an id reused for another one.
    `leave_single`: take `seat_ids` even if they leave a free seat alone needlessly, where the event allows that.
    `network`: the keyed hash of the address that asks, where live holds are counted by it; "" where they are not.
    """

    id: CommandId
    holder: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    number: int | None = None
    epoch: int | None = None
    seat_ids: SeatIds | None = None
    wish: Wish | None = None
    asked: Annotated[str, msgspec.Meta(max_length=40)] = ""
    leave_single: bool = True
    network: Annotated[str, msgspec.Meta(max_length=NETWORK_CHARS)] = ""

    def __post_init__(self) -> None:
        if (self.seat_ids is None) == (self.wish is None):
            raise ValueError("a hold names either seat_ids or a wish")
        if (self.number is None) != (self.epoch is None):
            raise ValueError("number and epoch belong together")

    @property
    def quantity(self) -> int:
        """How many seats are asked for."""
        return self.wish.quantity if self.wish is not None else len(set(self.seat_ids or ()))


class Confirm(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="confirm", omit_defaults=True):
    """Sell the seats of a hold whose payment was captured. If it is no longer held, or costs something else by now, the
    payment must be refunded. `amount`: what was captured; None in a command of an earlier version."""

    id: CommandId
    reservation_id: ReservationId
    holder: str
    method: Annotated[str, msgspec.Meta(max_length=40)]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    amount: int | None = None


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cancel", omit_defaults=True):
    """End a reservation and make its seats available; if it was paid, its payment must be refunded.

    With `holder` the buyer cancels: only their own reservation, and a paid one only before the event begins. Without
    `holder` an admin cancels, without these limits. With `seat_ids` only these seats are given back, and their money;
    the reservation goes on without them, unless they are all of its seats.
    """

    id: CommandId
    reservation_id: ReservationId
    holder: str | None = None
    seat_ids: SeatIds | None = None


class Reverse(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="reverse"):
    """The provider has paid the money of the charge `reference` back by itself: if that charge paid for the
    reservation, end it and make its seats available. It has no effect before the charge's Confirm."""

    id: CommandId
    reservation_id: ReservationId
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Expire(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="expire"):
    """End a hold whose time has run out. Sent too early it has no effect and may be sent again with the same id."""

    id: CommandId
    reservation_id: ReservationId


class ReleasePlace(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="drop"):
    """End the hold of a place in line that was left or has lapsed. Paid seats stay sold, and what is being paid stays
    held: an Expire ends it."""

    id: CommandId
    epoch: int
    number: int


class OfferToWaitlist(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="serve"):
    """Offer free seats to the waiting list. Every batch does so; this command only causes a batch."""

    id: CommandId


Command = Hold | Confirm | Cancel | Reverse | Expire | ReleasePlace | OfferToWaitlist


def kind_of(command: Command) -> str:
    """A command's name on the lane: hold, confirm, cancel, reverse, expire, drop or serve."""
    return str(command.__struct_config__.tag)


def reservation_of(command: Command) -> str | None:
    """The id of the reservation that a command names, if it names one."""
    return getattr(command, "reservation_id", None)


class OutcomeStatus(StrEnum):
    """The result of a command. The values are stored and never change."""

    held = "held"
    confirmed = "confirmed"
    cancelled = "cancelled"
    reduced = "reduced"  # some of its seats were given back; the reservation goes on with the others
    expired = "expired"
    unavailable = "unavailable"  # too few seats, or not these, are free; `left` has the free seats per grade
    unknown_seat = "unknown_seat"
    no_longer_held = "gone"  # the hold was ended or paid before this command
    not_found = "not_found"  # no such reservation, or it belongs to another holder
    already_holding = "already_holding"  # this place in line has a live reservation already, given in the outcome
    buyer_limit = "buyer_limit"  # the person would have more seats of the event than one may; `may_add` says how many
    too_many_holds = "too_many_holds"  # of this holder or address are live; `wait_s`: until the first of them ends
    leaves_single = "leaves_single"  # the named seats would leave those in `singles` alone needlessly
    not_on_sale = "not_on_sale"  # the sale has not opened or has closed, or the event is cancelled
    event_begun = "event_begun"  # a buyer cannot cancel paid seats once the event has begun
    not_due = "not_due"  # the hold's time has not run out, or a payment that is under way keeps it
    offered_to_waitlist = "served"


# These outcomes are not stored for the command's id, so the same command may succeed when it is sent again later.
NOT_RECORDED = frozenset(
    {
        OutcomeStatus.not_due,
        OutcomeStatus.offered_to_waitlist,
        OutcomeStatus.not_on_sale,
        OutcomeStatus.event_begun,
        OutcomeStatus.too_many_holds,
    }
)


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation inside an outcome. `seats` are positions in the event's seat map, sorted."""

    id: str
    holder: str
    status: ReservationStatus
    seats: tuple[int, ...]
    total_price: int
    expires_at: datetime
    epoch: int | None = None
    number: int | None = None
    prices: tuple[int, ...] = ()  # of each of `seats`, at the time of the reservation

    @property
    def ends_at(self) -> datetime:
        """As of a Reservation, but what keeps it is not known here."""
        return self.expires_at

    groups: int | None = None  # that the seats make, each side by side; None of an earlier version


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one command.

    `left`: free seats per grade, if a hold was refused as unavailable; `left_together`: as many of them as are side by
    side, if it was because neighbours were required. `singles`: free seats that the hold of named seats leaves alone,
    or would. `may_add`: how many more seats the person may
    hold, if it was refused because of their limit; `wait_s`: after how many seconds the first of too many live holds
    ends. `epoch` and `number`: the place in line, if
    there is a line. `asked`: copied from the Hold with this id that was answered first.
    """

    id: str
    status: OutcomeStatus
    reservation: Held | None = None
    left: dict[str, int] | None = None
    left_together: dict[str, int] | None = None
    singles: tuple[int, ...] = ()
    may_add: int | None = None
    wait_s: int | None = None
    number: int | None = None
    epoch: int | None = None
    asked: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of `lane:out`: the seat map's new version, the changed seats as (position, new status), the outcomes.
    `reload`: readers must read the whole map from SQL."""

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
    """Decode a command. Raises msgspec.MsgspecError if it is none."""
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
        groups=reservation.groups,
    )


def outcome_of(reservation: Reservation) -> Outcome:
    """The newest outcome of a live reservation, derived from its state; its command's id is not known."""
    status = OutcomeStatus.held if reservation.status is ReservationStatus.pending else OutcomeStatus.confirmed
    return Outcome(
        id="",
        status=status,
        reservation=held(reservation),
        number=reservation.number,
        epoch=reservation.epoch,
    )
