"""How the simulated payment provider fails, by method: for admins who rehearse a bad day."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.admins import require_admin
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.state import State
from app.payments.providers.simulator import FaultProfile, SimulatedMethod, change_fault_profile, fault_profiles

_decoder = msgspec.json.Decoder(FaultProfile)


class FaultProfilesAnswer(msgspec.Struct, frozen=True):
    """By method; a method that is not named works without faults."""

    profiles: dict[SimulatedMethod, FaultProfile] = msgspec.field(name="moods")


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    return json_answer(FaultProfilesAnswer(await fault_profiles(request.state["db"])))


async def change(request: Request[State]) -> Response:
    """Set how one method fails. Every process's next call of that method meets it."""
    session = await require_admin(request)
    name = request.path_params["method"]
    if name not in list(SimulatedMethod):
        raise Problem("method_unknown", given=name[:40])
    profile = decode(await read_body(request.receive), _decoder)
    now = request.state["clock"].now()
    await change_fault_profile(request.state["db"], SimulatedMethod(name), profile, who=session.email, now=now)
    return json_answer(FaultProfilesAnswer(await fault_profiles(request.state["db"])))


routes = [
    ApiRoute(
        "GET",
        "/api/admin/payments/simulator",
        show,
        summary="How the simulated payment provider fails.",
        who=Who.admin,
        answers={200: FaultProfilesAnswer},
    ),
    ApiRoute(
        "PUT",
        "/api/admin/payments/simulator/{method}",
        change,
        summary="Make one method decline, fail, lose answers, be slow or late; `{}` makes it well.",
        who=Who.admin,
        body=FaultProfile,
        answers={200: FaultProfilesAnswer},
    ),
]
