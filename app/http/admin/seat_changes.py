"""Seats blocked, released, regraded and marked by admins, also during a sale; what is held or sold stays as it is."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import seat_id, seat_index
from app.domain.seatplan import SEATS_MAX
from app.domain.seatvalues import MARKS, SeatMark
from app.http.accounts.admins import require_admin
from app.http.events import cache as catalog
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Shape
from app.http.state import State
from app.ledger import seat_changes
from app.ledger.seat_changes import Refused, SeatAction, SeatChange

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


class SeatsChanged(Shape, frozen=True, kw_only=True):
    """`reserved_seat_ids`: held or sold, so they stay as they are. `version` of the map."""

    changed: int
    reserved_seat_ids: list[str]
    version: int


_decoder = msgspec.json.Decoder(SeatsWanted)


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
    match done:
        case Refused.unknown_event:
            raise Problem("event_unknown", event_id=event_id)
        case Refused.cancelled:
            raise Problem("event_cancelled.admin")
        case Refused.unknown_seat:
            raise Problem("seat_unknown", seatIds=list(wanted.seat_ids))
        case Refused.unknown_grade:
            raise Problem("grade_unknown", unknown=wanted.grade, grade=wanted.grade)
    await catalog.changed(state, event_id)
    await catalog.map_changed(state, event_id, done.version)
    reserved = [seat_id(idx) for idx in done.reserved]
    return SeatsChanged(changed=done.changed, reserved_seat_ids=reserved, version=done.version)


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
]
