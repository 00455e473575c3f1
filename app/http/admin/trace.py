"""The steps of one number in line, for the admin's API and page. Reads only."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.audit import trace as tracing
from app.audit.trace import NumberNeverGiven, StoresAway, Trace, UnknownRoom
from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.problems import Problem
from app.http.state import State

DIGITS_MAX = 18


async def trace_of(state: State, event_id: str, number: str) -> Trace:
    """Every step of a number, as it was typed. Raises Problem."""
    if not (number.isascii() and number.isdecimal() and len(number) <= DIGITS_MAX):
        raise Problem("number_never_given.unreadable", given=number[:DIGITS_MAX])
    try:
        return await tracing.trace(state["rooms"], state["db"], event_id, int(number), state["clock"].now())
    except UnknownRoom:
        raise Problem("event_unknown.no_room", event_id=event_id) from None
    except NumberNeverGiven as error:
        raise Problem("number_never_given", number=error.number, last=error.last) from None
    except StoresAway:
        raise Problem("line_unavailable") from None


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    found = await trace_of(request.state, request.path_params["event_id"], request.path_params["number"])
    return json_answer(found)


routes = [
    ApiRoute(
        "GET",
        "/api/admin/events/{event_id}/places/{number}",
        show,
        summary="Every step of one number in line, and where it stands now.",
        who=Who.admin,
        answers={200: Trace},
    ),
]
