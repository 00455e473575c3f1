"""How the simulated payment gateway behaves, by method: for admins who rehearse a bad day."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.charge import PaymentMethod
from app.http.accounts.credentials import require_admin
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.payments.api import answer
from app.http.state import State
from app.ledger import trail
from app.payments.simulator import Mood, all_moods, set_mood

_decoder = msgspec.json.Decoder(Mood)


class MoodsAnswer(msgspec.Struct, frozen=True):
    """By method; one that is not named is well."""

    moods: dict[PaymentMethod, Mood]


async def show(request: Request[State]) -> Response:
    require_admin(request.state["tokens"], request.scope)
    return answer(MoodsAnswer(await all_moods(request.state["db"])))


async def change(request: Request[State]) -> Response:
    """Every process's next call of that method meets it."""
    session = require_admin(request.state["tokens"], request.scope)
    name = request.path_params["method"]
    if name not in list(PaymentMethod):
        raise Problem(404, "method_unknown", f"{name[:40]!r} is not a payment method.")
    mood = decode(await read_body(request.receive), _decoder)
    await trail.record(
        request.state["db"],
        who=session.email,
        action="gateway.change",
        subject=name,
        event_id=None,
        change=msgspec.to_builtins(mood),
        now=datetime.now(UTC),
    )
    await set_mood(request.state["db"], PaymentMethod(name), mood)
    return answer(MoodsAnswer(await all_moods(request.state["db"])))


routes = [
    ApiRoute(
        "GET",
        "/api/admin/payments/simulator",
        show,
        summary="How the simulated payment gateway behaves.",
        who=Who.admin,
        answers={200: MoodsAnswer},
    ),
    ApiRoute(
        "PUT",
        "/api/admin/payments/simulator/{method}",
        change,
        summary="Make one method decline, fail, lose answers, be slow or late; `{}` makes it well.",
        who=Who.admin,
        body=Mood,
        answers={200: MoodsAnswer},
    ),
]
