"""Posters: admins send a picture, workers make it a poster, everybody gets it from memory.

An upload is answered at once with where to ask what became of it. A poster's address names its bytes, so it may be
cached for ever, and a process keeps those asked for lately.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.domain.pictures import PictureFault, UploadStatus, look
from app.http.accounts.admins import require_admin
from app.http.events import cache as catalog
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.i18n import TEXTS
from app.http.kit.problems import Problem
from app.http.kit.shapes import Message, Shape
from app.http.kit.uploads import Upload, read_upload
from app.http.state import State
from app.ledger import posters
from app.ledger.posters import UploadRow

ACCEPTED = frozenset({"image/png", "image/jpeg", "image/webp"})
FOR_EVER = "public, max-age=31536000, immutable"
RECIPE = b"1"  # how posters are made; another one makes the same pictures anew
NAME = re.compile(r"([0-9a-f]{32})(-thumb)?\.webp")


class UploadTold(Shape, frozen=True, kw_only=True):
    """`poster` is its name once it is done; `reason` and `detail` say why it failed."""

    id: str
    event_id: str
    status: UploadStatus
    status_url: str
    poster: str | None = None
    reason: str | None = None
    detail: str | None = None


class UploadAnswer(Shape, frozen=True, kw_only=True):
    upload: UploadTold


async def upload(request: Request[State]) -> Response:
    """202 with where to ask; a picture that is none is refused at once."""
    admin = await require_admin(request)
    event = await catalog.known_event(request.state, request.path_params["event_id"])
    sent = await read_upload(request, request.state["settings"].poster_bytes_max, ACCEPTED)
    told = await take_picture(request.state, event.id, sent, admin.email)
    return json_answer(UploadAnswer(upload=told), 202)


async def take_picture(state: State, event_id: str, sent: Upload, who: str) -> UploadTold:
    """Keep a picture for the workers and wake them. Raises Problem; then nothing was kept."""
    found = await asyncio.to_thread(look, sent.data)
    if isinstance(found, PictureFault):
        raise Problem("picture_refused", why=TEXTS["en"](f"events.picture.{found.value}"), reason=found.value)
    upload_id = f"u_{secrets.token_hex(10)}"
    source = await asyncio.to_thread(lambda: hashlib.sha256(RECIPE + sent.data).hexdigest())
    if not await posters.begin(state["db"], upload_id, event_id, source, sent.data, who=who, now=state["clock"].now()):
        raise Problem("uploads_full")
    await state["wake_posters"](upload_id)
    row = UploadRow(id=upload_id, event_id=event_id, status=UploadStatus.waiting, reason=None, poster=None)
    return told_of(row)


def told_of(row: UploadRow) -> UploadTold:
    return UploadTold(
        id=row.id,
        event_id=row.event_id,
        status=row.status,
        status_url=f"/api/admin/uploads/{row.id}",
        poster=row.poster,
        reason=row.reason,
        detail=TEXTS["en"](f"events.picture.{row.reason}") if row.reason else None,
    )


async def show_upload(request: Request[State]) -> Response:
    await require_admin(request)
    row = await posters.upload(request.state["db"], request.path_params["upload_id"])
    if row is None:
        raise Problem("upload_unknown")
    return json_answer(UploadAnswer(upload=told_of(row)))


async def remove(request: Request[State]) -> Response:
    admin = await require_admin(request)
    await take_away(request.state, request.path_params["event_id"], admin.email)
    return json_answer(Message(message="The event has no poster any more."))


async def take_away(state: State, event_id: str, who: str) -> None:
    """Raises Problem 404."""
    if not await posters.remove(state["db"], event_id, who=who, now=state["clock"].now()):
        raise Problem("event_unknown", event_id=event_id)
    await catalog.changed(state, event_id)


async def show_file(request: Request[State]) -> Response:
    """A poster, or its thumb, to be kept for ever: its name is its content's."""
    name = NAME.fullmatch(request.path_params["name"])
    body = await request.state["posters"].get(name[1], name[2] is not None) if name else None
    if name is None or body is None:
        raise Problem("poster_unknown")
    headers = {
        "etag": f'"{name[1]}{name[2] or ""}"',
        "cache-control": FOR_EVER,
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    if catalog.is_known(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(None, 304, headers)
    return Response(body, 200, headers, "image/webp")


routes = [
    ApiRoute(
        "POST",
        "/api/admin/events/{event_id}/poster",
        upload,
        summary="Send a picture, PNG, JPEG or WebP, to become the event's poster.",
        who=Who.admin,
        body=bytes,
        body_media=tuple(sorted(ACCEPTED)),
        answers={202: UploadAnswer},
        refusals=(
            "media_type_unsupported",
            "encoding_unsupported",
            "picture_refused",
            "file_missing",
            "form_malformed",
            "uploads_full",
        ),
    ),
    ApiRoute(
        "DELETE",
        "/api/admin/events/{event_id}/poster",
        remove,
        summary="Take an event's poster away.",
        who=Who.admin,
        answers={200: Message},
    ),
    ApiRoute(
        "GET",
        "/api/admin/uploads/{upload_id}",
        show_upload,
        summary="What became of an upload.",
        who=Who.admin,
        answers={200: UploadAnswer},
    ),
    Route("/posters/{name}", show_file, methods=["GET"]),
]
