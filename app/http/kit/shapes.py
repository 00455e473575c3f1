"""The types of the API's answers that several capabilities share. The OpenAPI description is generated from them, and
tests check real answers against it.

A position and a seat map are asked for so often that their bytes are written by hand; their types here describe them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from app.domain.line import Place, RoomState
from app.domain.pictures import SIZES, fitted
from app.domain.reservation import ReservationStatus
from app.domain.seatvalues import SeatMark


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of all of them: immutable, and its members are spelled in camelCase in JSON."""


class Refusal(Shape, frozen=True, kw_only=True):
    """RFC 9457. `code` is stable and for programs; `detail` is a sentence for people that says why, and `next` one that
    says what to do. `requestId` finds the request in the log. More members may follow."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    next: str
    request_id: str | msgspec.UnsetType = msgspec.UNSET


class Range(Shape, frozen=True, kw_only=True):
    """An estimate of a waiting time in seconds, as the range it is expected to lie in."""

    low: int
    high: int


class ReservedSeat(Shape, frozen=True, kw_only=True):
    """One seat of a reservation, with the price it was reserved at. `name`: what is written on it, if not its number;
    `marks`: what a buyer must know.
    """

    id: str
    section: str
    row: str
    number: int
    grade: str
    price: int
    name: str | msgspec.UnsetType = msgspec.UNSET
    marks: list[SeatMark] | msgspec.UnsetType = msgspec.UNSET


class ReservationMoney(Shape, frozen=True, kw_only=True):
    """Where the money for a reservation is: captured, pending, failed (nothing was taken), given_up (what
    was taken goes back), refund_due or refunded. Of seats that were given
    back while it went on, `returning` is to be refunded and `returned` has been."""

    status: str
    method: str
    amount: int
    returning: int | msgspec.UnsetType = msgspec.UNSET
    returned: int | msgspec.UnsetType = msgspec.UNSET


class Reservation(Shape, frozen=True, kw_only=True):
    """Seats held for or sold to one buyer. `expires_at` ends the hold unless it is paid before. `groups`: how many the
    seats make, each side by side; `together`: it is one.
    """

    id: str
    event_id: str
    status: ReservationStatus
    seats: list[ReservedSeat]
    total_price: int
    expires_at: datetime
    together: bool | msgspec.UnsetType = msgspec.UNSET
    groups: int | msgspec.UnsetType = msgspec.UNSET
    payment: ReservationMoney | msgspec.UnsetType = msgspec.UNSET


class Position(Shape, frozen=True, kw_only=True):
    """A place in line. `wish` says why a wish found no seats; `full` that nobody more fits in, so that the line moves
    when somebody finishes; `claim_before` until when a turn must be taken up; `reason` why the room is closed, if not
    by an admin. In the lobby there is no number yet, but which `entry` it is, how many `entries` have not been given
    up, and `opens_at`; `drawn_of` says how many were drawn at the opening."""

    state: Place
    room: RoomState
    poll_after_ms: int
    number: int | msgspec.UnsetType = msgspec.UNSET
    ahead: int | msgspec.UnsetType = msgspec.UNSET
    eta_seconds: Range | msgspec.UnsetType | None = msgspec.UNSET
    entry: int | msgspec.UnsetType = msgspec.UNSET
    entries: int | msgspec.UnsetType = msgspec.UNSET
    opens_at: datetime | msgspec.UnsetType = msgspec.UNSET
    drawn_of: int | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    reason: Literal["sale_ended", "event_cancelled"] | msgspec.UnsetType = msgspec.UNSET
    full: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    claim_before: datetime | msgspec.UnsetType = msgspec.UNSET
    reservation: Reservation | msgspec.UnsetType = msgspec.UNSET
    wish: str | msgspec.UnsetType = msgspec.UNSET


class Joined(Position, frozen=True, kw_only=True):
    """The answer to a join: the position, with the ticket that proves it."""

    ticket: str
    stream_url: str


class Claimed(Shape, frozen=True, kw_only=True):
    """`pass` opens the shop until `expires_at`, as X-Admission-Pass or by its cookie."""

    admission_pass: str = msgspec.field(name="pass")
    expires_at: datetime
    reservation: Reservation | msgspec.UnsetType = msgspec.UNSET


class LineStatus(Shape, frozen=True, kw_only=True):
    """How a line stands, for everybody: nothing in it is about one person."""

    state: RoomState
    cursor: int
    waiting: int
    admission_rate_per_second: float
    updated_at: datetime


class Nothing(Shape, frozen=True, kw_only=True):
    """The empty object, `{}`."""


class Poster(Shape, frozen=True, kw_only=True):
    """The addresses of a poster and of its thumbnail. Width and height are in pixels: a page reserves the space
    with them before the pictures are loaded."""

    url: str
    width: int
    height: int
    thumb_url: str
    thumb_width: int
    thumb_height: int


def poster_of(name: str | None, width: int | None, height: int | None) -> Poster | None:
    """The addresses of a poster by the name of its files; None for an event without a poster."""
    if name is None or width is None or height is None:
        return None
    thumb_width, thumb_height = fitted((width, height), SIZES["thumb"])
    url = f"/posters/{name}"
    return Poster(
        url=f"{url}.webp",
        width=width,
        height=height,
        thumb_url=f"{url}-thumb.webp",
        thumb_width=thumb_width,
        thumb_height=thumb_height,
    )


class Message(Shape, frozen=True, kw_only=True):
    """A sentence for a person, where there is nothing else to answer."""

    message: str


class Change(Shape, frozen=True, kw_only=True):
    """One change that an admin made to a room: when, who, and the new values."""

    at: datetime
    who: str
    change: dict[str, Any]
