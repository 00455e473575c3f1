"""An admin's API of origins: make, list, change, delete, and rotate what they sign and show with. Admins only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_bytes

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.control import origins as control
from app.control.origins import OriginControl, OriginRefused
from app.http.accounts.admins import require_admin
from app.http.kit.answers import NO_STORE, json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.problems import Problem
from app.http.kit.shapes import Nothing
from app.http.kit.uploads import read_upload
from app.http.origins.shapes import OriginCreated, OriginDetail, OriginList, created_of, origin_shown
from app.http.state import State
from app.ledger import origins
from app.ledger.origins import Origin
from app.origins.logos import SENT_BYTES_MAX
from app.origins.wanted import OriginEdit, OriginWanted

BODY_BYTES_MAX = 65_536
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})

_wanted_decoder = msgspec.json.Decoder(OriginWanted)
_edit_decoder = msgspec.json.Decoder(OriginEdit)


@contextmanager
def refusing() -> Iterator[None]:
    """What is refused within is a Problem."""
    try:
        yield
    except OriginRefused as refused:
        raise Problem(refused.code, **refused.known) from None


def control_of(state: State) -> OriginControl:
    return OriginControl(state["db"], state["origins"].sealer, state["clock"].now, token_bytes)


async def create(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _wanted_decoder)
    with refusing():
        made = await control_of(request.state).create(admin.email, wanted)
    await request.state["origins"].load()
    return json_answer(created_of(made), 201, headers=NO_STORE)


async def index(request: Request[State]) -> Response:
    await require_admin(request)
    listed = [origin_shown(row) for row in await origins.listed(request.state["db"])]
    return json_answer(OriginList(origins=listed))


async def show(request: Request[State]) -> Response:
    await require_admin(request)
    with refusing():
        row = await control.found(request.state["db"], request.path_params["origin_id"])
    return json_answer(OriginDetail(origin=origin_shown(row)))


async def edit(request: Request[State]) -> Response:
    admin = await require_admin(request)
    wanted = decode(await read_body(request.receive, BODY_BYTES_MAX), _edit_decoder)
    with refusing():
        after = await control_of(request.state).edit(admin.email, request.path_params["origin_id"], wanted)
    return await _changed(request, after)


async def rotate(request: Request[State]) -> Response:
    admin = await require_admin(request)
    with refusing():
        made = await control_of(request.state).rotate(admin.email, request.path_params["origin_id"])
    await request.state["origins"].load()
    return json_answer(created_of(made), headers=NO_STORE)


async def remove(request: Request[State]) -> Response:
    admin = await require_admin(request)
    with refusing():
        await control_of(request.state).remove(admin.email, request.path_params["origin_id"])
    await request.state["origins"].load()
    return json_answer({})


async def put_logo(request: Request[State]) -> Response:
    admin = await require_admin(request)
    sent = await read_upload(request, SENT_BYTES_MAX, PICTURES)
    with refusing():
        after = await control_of(request.state).put_logo(admin.email, request.path_params["origin_id"], sent.data)
    return await _changed(request, after)


async def remove_logo(request: Request[State]) -> Response:
    admin = await require_admin(request)
    with refusing():
        after = await control_of(request.state).remove_logo(admin.email, request.path_params["origin_id"])
    return await _changed(request, after)


async def _changed(request: Request[State], origin: Origin) -> Response:
    """It as it is now, which this process goes by at once."""
    await request.state["origins"].load()
    return json_answer(OriginDetail(origin=origin_shown(origin)))


routes = [
    ApiRoute(
        "PUT",
        "/api/admin/origins/{origin_id}/logo",
        put_logo,
        summary="Send a picture, PNG, JPEG or WebP, to become the logo on an origin's waiting pages.",
        who=Who.admin,
        body=bytes,
        body_media=tuple(sorted(PICTURES)),
        answers={200: OriginDetail},
        refusals=("media_type_unsupported", "encoding_unsupported", "logo_refused", "file_missing", "form_malformed"),
    ),
    ApiRoute(
        "DELETE",
        "/api/admin/origins/{origin_id}/logo",
        remove_logo,
        summary="Take an origin's logo away.",
        who=Who.admin,
        answers={200: OriginDetail},
    ),
    ApiRoute(
        "POST",
        "/api/admin/origins",
        create,
        summary="Make an origin. Its secret and its API key are in this answer and in no other.",
        who=Who.admin,
        body=OriginWanted,
        answers={201: OriginCreated},
        refusals=("id_taken", "contrast_low", "customer_taken", "too_many_origins", "target_foreign"),
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
        refusals=("contrast_low", "customer_taken", "target_foreign", "origin_changed"),
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
