"""An admin's API of origins: make, list, change, delete, and rotate what they sign and show with. Admins only."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from app.domain.targets import safe_target
from app.http.accounts.admins import require_admin
from app.http.kit.answers import NO_STORE, json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Nothing
from app.http.origins.shapes import (
    OriginCreated,
    OriginDetail,
    OriginEdit,
    OriginList,
    OriginWanted,
    origin_shown,
)
from app.http.state import State
from app.ledger import origins
from app.ledger.events import AdminAction
from app.ledger.origins import NotMade, Origin
from app.origins.secrets import hash_of, new_api_key, new_secret

BODY_BYTES_MAX = 65_536
OVERLAP = timedelta(hours=24)  # after a rotation, for those who still use what was before

_wanted_decoder = msgspec.json.Decoder(OriginWanted)
_edit_decoder = msgspec.json.Decoder(OriginEdit)


def refusal(refused: NotMade, named: str) -> Problem:
    """Why nothing was made or changed of the origin or room that is named."""
    match refused:
        case NotMade.unknown:
            return Problem("room_unknown", room_id=named)
        case NotMade.unknown_origin:
            return Problem("origin_unknown", origin_id=named)
        case NotMade.id_taken:
            return Problem("id_taken", named=named)
        case NotMade.customer_taken:
            return Problem("customer_taken", field="customerId")
        case NotMade.too_many:
            return Problem("too_many_origins")
        case NotMade.changed:
            return Problem("origin_changed")
        case NotMade.has_rooms:
            return Problem("origin_has_rooms")
        case NotMade.window_empty:
            return Problem("room_window_empty", field="closesAt")


def _refusal(refused: NotMade, origin_id: str) -> Problem:
    return refusal(NotMade.unknown_origin if refused is NotMade.unknown else refused, origin_id)


async def found(state: State, origin_id: str) -> Origin:
    """The origin as SQL has it now. Raises Problem 404."""
    for row in await origins.listed(state["db"]):
        if row.id == origin_id:
            return row
    raise Problem("origin_unknown", origin_id=origin_id)


def check_target(url: str, hosts: Any) -> str:
    """The address as it will be sent to browsers. Raises Problem 422 if it is at none of the hosts."""
    safe = safe_target(url, frozenset(hosts))
    if safe is None:
        raise Problem("target_foreign", field="targetUrl")
    return safe


async def create(request: Request[State]) -> Response:
    admin = await require_admin(request)
    state = request.state
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _wanted_decoder)
    now = state["clock"].now()
    secret, api_key = new_secret(secrets.token_bytes), new_api_key(secrets.token_bytes)
    made = Origin(
        id=wanted.id,
        name=wanted.name.strip(),
        hosts=sorted(set(wanted.hosts)),
        target_url=check_target(wanted.target_url, wanted.hosts),
        customer_id=wanted.customer_id,
        secret=state["origins"].sealer.seal(secret, wanted.id),
        secret_before=None,
        api_key=hash_of(api_key),
        api_key_before=None,
        before_until=None,
        version=1,
        created_at=now,
    )
    by = AdminAction(admin.email, "origin.create", msgspec.to_builtins(wanted))
    if refused := await origins.create(state["db"], made, by, now):
        raise _refusal(refused, wanted.id)
    await state["origins"].load()
    answer = OriginCreated(origin=origin_shown(made), secret=secret, api_key=api_key)
    return json_answer(answer, 201, headers=NO_STORE)


async def index(request: Request[State]) -> Response:
    await require_admin(request)
    listed = [origin_shown(row) for row in await origins.listed(request.state["db"])]
    return json_answer(OriginList(origins=listed))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    row = await found(request.state, request.path_params["origin_id"])
    return json_answer(OriginDetail(origin=origin_shown(row)))


async def edit(request: Request[State]) -> Response:
    """A host that is taken away takes the addresses with it that were checked against it."""
    admin = await require_admin(request)
    state, origin_id = request.state, request.path_params["origin_id"]
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _edit_decoder)
    before = await found(state, origin_id)
    hosts = before.hosts if wanted.hosts is UNSET else sorted(set(wanted.hosts))
    target = before.target_url if wanted.target_url is UNSET else wanted.target_url
    values: dict[str, Any] = {"hosts": list(hosts), "target_url": check_target(target, hosts)}
    for room in await origins.listed_rooms(state["db"]):
        if room.origin_id == origin_id and room.target_url is not None:
            check_target(room.target_url, hosts)
    if wanted.name is not UNSET:
        values["name"] = wanted.name.strip()
    if wanted.customer_id is not UNSET:
        values["customer_id"] = wanted.customer_id
    version = before.version if wanted.version is UNSET else wanted.version  # what was checked is what is changed
    by = AdminAction(admin.email, "origin.edit", msgspec.to_builtins(wanted))
    if refused := await origins.edit(state["db"], origin_id, values, by, state["clock"].now(), version):
        raise _refusal(refused, origin_id)
    await state["origins"].load()
    return json_answer(OriginDetail(origin=origin_shown(await found(state, origin_id))))


async def rotate(request: Request[State]) -> Response:
    """Another secret and another key; what was before is good for OVERLAP, what was before that is not any more."""
    admin = await require_admin(request)
    state, origin_id = request.state, request.path_params["origin_id"]
    before, now = await found(state, origin_id), state["clock"].now()
    secret, api_key = new_secret(secrets.token_bytes), new_api_key(secrets.token_bytes)
    values = {
        "secret": state["origins"].sealer.seal(secret, origin_id),
        "secret_before": before.secret,
        "api_key": hash_of(api_key),
        "api_key_before": before.api_key,
        "before_until": now + OVERLAP,
    }
    by = AdminAction(admin.email, "origin.rotate", {})
    if refused := await origins.edit(state["db"], origin_id, values, by, now, before.version):
        raise _refusal(refused, origin_id)
    await state["origins"].load()
    after = origin_shown(await found(state, origin_id))
    return json_answer(OriginCreated(origin=after, secret=secret, api_key=api_key), headers=NO_STORE)


async def remove(request: Request[State]) -> Response:
    admin = await require_admin(request)
    state, origin_id = request.state, request.path_params["origin_id"]
    by = AdminAction(admin.email, "origin.delete", {})
    if refused := await origins.remove(state["db"], origin_id, by, state["clock"].now()):
        raise _refusal(refused, origin_id)
    await state["origins"].load()
    return json_answer({})


routes = [
    ApiRoute(
        "POST",
        "/api/admin/origins",
        create,
        summary="Make an origin. Its secret and its API key are in this answer and in no other.",
        who=Who.admin,
        body=OriginWanted,
        answers={201: OriginCreated},
        refusals=("id_taken", "customer_taken", "too_many_origins", "target_foreign"),
    ),
    ApiRoute(
        "GET",
        "/api/admin/origins",
        index,
        summary="Every origin.",
        who=Who.admin,
        answers={200: OriginList},
    ),
    ApiRoute(
        "GET",
        "/api/admin/origins/{origin_id}",
        show,
        summary="One origin.",
        who=Who.admin,
        answers={200: OriginDetail},
    ),
    ApiRoute(
        "PUT",
        "/api/admin/origins/{origin_id}",
        edit,
        summary="Change what is sent of an origin; the rest stays.",
        who=Who.admin,
        body=OriginEdit,
        answers={200: OriginDetail},
        refusals=("customer_taken", "target_foreign", "origin_changed"),
    ),
    ApiRoute(
        "POST",
        "/api/admin/origins/{origin_id}/rotate",
        rotate,
        summary="Give an origin another secret and API key; those before are good for another day.",
        who=Who.admin,
        answers={200: OriginCreated},
        refusals=("origin_changed",),
    ),
    ApiRoute(
        "DELETE",
        "/api/admin/origins/{origin_id}",
        remove,
        summary="Delete an origin without rooms.",
        who=Who.admin,
        answers={200: Nothing},
        refusals=("origin_has_rooms",),
    ),
]
