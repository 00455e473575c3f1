"""Visits, for the site that is visited: whether one lives, and its end, which lets the next visitor in at once.

A visit is named by the `jti` of its pass. Its origin shows its API key; the key of another one opens nothing, and what
is no origin is answered alike. Ended and revoked passes are known to every process as soon as the room's log is read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Place
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.cookies import header
from app.http.kit.problems import Problem, stores_refused
from app.http.kit.shapes import Nothing, Shape
from app.http.line.lookup import view_of
from app.http.state import State
from app.metrics.sites import SiteError
from app.origins.directory import KnownOrigin, KnownRoom
from app.room.answers import LeaveStatus
from app.room.view import LineView

EPOCH_DIGITS_MAX, NUMBER_DIGITS_MAX = 9, 15


class VisitState(StrEnum):
    """`admitted`: it is the visitor's turn, and they have not come yet."""

    admitted = "admitted"
    live = "live"
    ended = "ended"
    expired = "expired"


class VisitShown(Shape, frozen=True, kw_only=True):
    """`expiresAt`: of one that is live."""

    id: str
    room: str
    number: int
    state: VisitState
    expires_at: datetime | None


class VisitDetail(Shape, frozen=True, kw_only=True):
    visit: VisitShown


class Visit(NamedTuple):
    """A visit as its id says; whether there is one, the line knows."""

    room: KnownRoom
    epoch: int
    number: int

    @property
    def jti(self) -> str:
        return f"{self.room.id}.{self.epoch}.{self.number}"


_STATES = {
    Place.admitted: VisitState.admitted,
    Place.claimed: VisitState.live,
    Place.left: VisitState.ended,
    Place.lapsed: VisitState.expired,
}


def visit_of(state: State, origin: KnownOrigin, jti: str) -> Visit:
    """Raises Problem 404 if the id names no visit to a room of this origin."""
    room_id, _, place = jti.partition(".")
    epoch, _, number = place.partition(".")
    room = state["origins"].rooms.get(room_id)
    is_named = _is_number(epoch, EPOCH_DIGITS_MAX) and _is_number(number, NUMBER_DIGITS_MAX)
    if room is None or room.origin.id != origin.id or not is_named:
        state["meters"].sites.failed(origin.id, "", SiteError.visit_unknown)
        raise Problem("visit_unknown", visit_id=jti[:80])
    return Visit(room, int(epoch), int(number))


def _is_number(text: str, digits_max: int) -> bool:
    return text.isascii() and text.isdecimal() and text[0] != "0" and len(text) <= digits_max


async def state_of(state: State, visit: Visit) -> tuple[VisitState, datetime | None]:
    """How it stands, and when a live one ends by itself. Raises Problem, 404 if the number was never given and 409 if
    it still waits."""
    view = await view_of(state, visit.room.id)
    if visit.epoch < view.epoch:
        return VisitState.ended, None
    if _is_new(view, visit):
        with stores_refused():
            view = await state["rooms"].reload(visit.room.id) or view
    if visit.epoch != view.epoch or visit.number > view.number:
        state["meters"].sites.failed(visit.room.origin.id, visit.room.id, SiteError.visit_unknown)
        raise Problem("visit_unknown", visit_id=visit.jti)
    place = view.place(visit.number)
    if place not in _STATES:
        raise Problem("visit_waits")
    until_ms = view.active.get(visit.number)
    return _STATES[place], None if until_ms is None else datetime.fromtimestamp(until_ms // 1000, UTC)


def _is_new(view: LineView, visit: Visit) -> bool:
    """Whether another process may have heard more of it."""
    return visit.epoch > view.epoch or visit.number > view.number or view.place(visit.number) is Place.waiting


async def end_visit(state: State, visit: Visit) -> None:
    """Free its place at once. Ending it again changes nothing. Raises Problem, RoomUnavailable."""
    found, until = await state_of(state, visit)
    if found in (VisitState.ended, VisitState.expired):
        return
    left = await state["scripts"].leave(visit.room.id, visit.epoch, visit.number, "", release_id="")
    if left.status is LeaveStatus.missing:
        raise Problem("line_unavailable.restored")
    if left.status is LeaveStatus.left:
        stayed_s = None if until is None else visit.room.visit_s - (until - state["clock"].now()).total_seconds()
        state["meters"].visit_ended(visit.room.origin.id, visit.room.id, stayed_s)


def require_origin(request: Request[State]) -> KnownOrigin:
    """The origin that the address names, by its API key. Raises Problem 401."""
    state = request.state
    origin = state["origins"].origins.get(request.path_params["origin_id"])
    shown = header(request.scope["headers"], b"authorization") or b""
    key = shown[7:].strip().decode("latin-1") if shown[:7].lower() == b"bearer " else ""
    if origin is None or not origin.has_key(key, state["clock"].seconds()):
        if origin is not None:
            state["meters"].sites.failed(origin.id, "", SiteError.api_key_wrong)
        raise Problem("api_key_wrong")
    return origin


async def _shown(state: State, visit: Visit) -> Response:
    found, until = await state_of(state, visit)
    shown = VisitShown(id=visit.jti, room=visit.room.id, number=visit.number, state=found, expires_at=until)
    return json_answer(VisitDetail(visit=shown))


async def show(request: Request[State]) -> Response:
    visit = visit_of(request.state, require_origin(request), request.path_params["visit_id"])
    return await _shown(request.state, visit)


async def end(request: Request[State]) -> Response:
    visit = visit_of(request.state, require_origin(request), request.path_params["visit_id"])
    await end_visit(request.state, visit)
    return json_answer({})


_REFUSALS = ("visit_waits", "room_closed")
routes = [
    ApiRoute(
        "GET",
        "/api/origins/{origin_id}/visits/{visit_id}",
        show,
        summary="Whether a visit lives.",
        who=Who.origin,
        answers={200: VisitDetail},
        refusals=_REFUSALS,
    ),
    ApiRoute(
        "POST",
        "/api/origins/{origin_id}/visits/{visit_id}/end",
        end,
        summary="End a visit: its place is free at once. Once or again.",
        who=Who.origin,
        answers={200: Nothing},
        refusals=_REFUSALS,
    ),
]
