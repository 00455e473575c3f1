"""Seats blocked, released, regraded, marked and added by admins, also during a sale; what is reserved stays as it is.

The page does what the endpoints do, and says of which seats by section, row and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.added_seats import ADDED_MAX, NewSeat, Refusal, WhyNot
from app.domain.patterns import ONE_LINE
from app.domain.reservation import seat_id, seat_index
from app.domain.seatplan import SEATS_MAX
from app.domain.seatvalues import COORDINATE_MAX, MARKS, NAME_MAX, NUMBER_MAX, SeatMark
from app.http.accounts.admins import require_admin
from app.http.events import cache as catalog
from app.http.events.shapes import GradeName
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import seat_additions, seat_changes
from app.ledger.seat_changes import Changed, Refused, SeatAction, SeatChange

BODY_BYTES_MAX = 200_000
SEATS_PER_CHANGE_MAX = 10_000

SeatIds = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=20)], ...], msgspec.Meta(min_length=1, max_length=SEATS_PER_CHANGE_MAX)
]


class SeatsWanted(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`grade`: of a regrading, one that the event has. `marks`: all marks that the seats have then; none: no marks."""

    action: SeatAction
    seat_ids: SeatIds
    grade: Annotated[str, msgspec.Meta(max_length=40)] = ""
    marks: tuple[SeatMark, ...] = ()


class SeatAdded(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new seat. `name`: what is written on it if not its number. Without `x` and `y` it goes on along its row."""

    section: Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=ONE_LINE)]
    row: Annotated[str, msgspec.Meta(min_length=1, max_length=20, pattern=ONE_LINE)]
    number: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
    grade: GradeName
    name: Annotated[str, msgspec.Meta(max_length=NAME_MAX, pattern=ONE_LINE)] = ""
    marks: tuple[SeatMark, ...] = ()
    x: Annotated[float, msgspec.Meta(ge=0, le=COORDINATE_MAX)] | None = None
    y: Annotated[float, msgspec.Meta(ge=0, le=COORDINATE_MAX)] | None = None


class SeatsAdded(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them are added, or none."""

    seats: Annotated[tuple[SeatAdded, ...], msgspec.Meta(min_length=1, max_length=ADDED_MAX)]


class AddedTold(Shape, frozen=True, kw_only=True):
    """The ids of the new seats, in their order. `version` of the map."""

    seat_ids: list[str]
    version: int


class SeatsChanged(Shape, frozen=True, kw_only=True):
    """`reserved_seat_ids`: held or sold, so they stay as they are. `version` of the map."""

    changed: int
    reserved_seat_ids: list[str]
    version: int


_decoder = msgspec.json.Decoder(SeatsWanted)
_added_decoder = msgspec.json.Decoder(SeatsAdded)


async def change_seats(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _decoder)
    return json_answer(await change(request.state, request.path_params["event_id"], wanted, admin.email))


async def change(state: State, event_id: str, wanted: SeatsWanted, who: str) -> SeatsChanged:
    """Change the seats, and have every process show them. Raises Problem; then nothing was changed."""
    named = {name: seat_index(name, SEATS_MAX) for name in wanted.seat_ids}
    unknown = [name for name, idx in named.items() if idx is None]
    if unknown:
        raise Problem("seat_unknown", seatIds=unknown)
    spec = SeatChange(
        action=wanted.action,
        seats=sorted(idx for idx in named.values() if idx is not None),
        grade=wanted.grade,
        marks=[mark for mark in MARKS if mark in wanted.marks],
    )
    done = await seat_changes.change(state["db"], event_id, spec, who=who, now=state["clock"].now())
    if not isinstance(done, Changed):
        raise _problem(event_id, done, wanted.grade, wanted.seat_ids)
    await _tell(state, event_id, done.version)
    reserved = [seat_id(idx) for idx in done.reserved]
    return SeatsChanged(changed=len(done.changed), reserved_seat_ids=reserved, version=done.version)


async def add_seats(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _added_decoder)
    if any((seat.x is None) != (seat.y is None) for seat in wanted.seats):
        raise Problem("payload_invalid", why="x and y belong together")
    made = await add(
        request.state, request.path_params["event_id"], [new_seat(seat) for seat in wanted.seats], admin.email
    )
    return json_answer(made, 201)


async def add(state: State, event_id: str, wanted: Sequence[NewSeat], who: str) -> AddedTold:
    """Add the seats, and have every process show them. Raises Problem; then nothing was changed."""
    done = await seat_additions.add(state["db"], event_id, wanted, who=who, now=state["clock"].now())
    if isinstance(done, Refusal):
        raise _why_not(done)
    if not isinstance(done, Changed):
        raise _problem(event_id, done)
    await _tell(state, event_id, done.version)
    return AddedTold(seat_ids=[seat_id(idx) for idx in done.changed], version=done.version)


def new_seat(seat: SeatAdded) -> NewSeat:
    return NewSeat(
        section=seat.section.strip(),
        row=seat.row.strip(),
        number=seat.number,
        grade=seat.grade,
        name=seat.name,
        marks=tuple(mark for mark in MARKS if mark in seat.marks),
        point=None if seat.x is None or seat.y is None else (seat.x, seat.y),
    )


async def _tell(state: State, event_id: str, version: int) -> None:
    await catalog.changed(state, event_id)
    await catalog.map_changed(state, event_id, version)


def _problem(event_id: str, refused: Refused, grade: str = "", seat_ids: Sequence[str] = ()) -> Problem:
    match refused:
        case Refused.unknown_event:
            return Problem("event_unknown", event_id=event_id)
        case Refused.cancelled:
            return Problem("event_cancelled.admin")
        case Refused.unknown_seat:
            return Problem("seat_unknown", seatIds=list(seat_ids))
        case Refused.unknown_grade:
            return Problem("grade_unknown", unknown=grade, grade=grade)


def _why_not(refusal: Refusal) -> Problem:
    named = [{"section": seat.section, "row": seat.row, "number": seat.number} for seat in refusal.seats]
    match refusal.why:
        case WhyNot.twice:
            return Problem("seat_exists", seats=named)
        case WhyNot.point_taken:
            return Problem("seat_has_no_room", seats=named)
        case WhyNot.grade:
            return Problem("grade_unknown", unknown=refusal.seats[0].grade, grade=refusal.seats[0].grade)
        case WhyNot.too_many:
            return Problem("hall_full", limit=SEATS_MAX)


routes = [
    ApiRoute(
        "POST",
        "/api/admin/events/{event_id}/seats/changes",
        change_seats,
        summary="Block, release, regrade or mark seats; those that are held or sold stay as they are.",
        who=Who.admin,
        body=SeatsWanted,
        answers={200: SeatsChanged},
        refusals=("event_unknown", "seat_unknown", "grade_unknown", "event_cancelled.admin"),
    ),
    ApiRoute(
        "POST",
        "/api/admin/events/{event_id}/seats/additions",
        add_seats,
        summary="Add seats to the map, also during a sale.",
        who=Who.admin,
        body=SeatsAdded,
        answers={201: AddedTold},
        refusals=(
            *("event_unknown", "grade_unknown", "event_cancelled.admin"),
            *("seat_exists", "seat_has_no_room", "hall_full"),
        ),
    ),
]
