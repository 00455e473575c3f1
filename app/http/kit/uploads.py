"""Reads an uploaded file, sent as the raw body of a request or as the one file of a multipart form.

A file has a size limit of its own, larger than that of other bodies. Its name is ignored, and its kind is decided by
whoever reads the content: a sender can claim anything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.http.kit.bodies import read_body
from app.http.kit.problems import Problem

FIELDS_MAX = 20
FIELD_BYTES_MAX = 16_384
FORM_BYTES_EXTRA = FIELDS_MAX * FIELD_BYTES_MAX  # what a form may weigh beside its file
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Upload:
    """`media_type` is the Content-Type of a raw body, as its sender claims. For a file in a form it is empty: browsers
    guess it from the name. `fields` are the other fields of the form."""

    data: bytes
    media_type: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


async def read_upload(request: Request[Any], limit: int, accepted: frozenset[str]) -> Upload:
    """The file. Raises Problem: 413 when larger than `limit`, 415 for a type that is not `accepted`, 400 for a form
    that cannot be read or a connection that ended, 422 for a form without a file.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem("encoding_unsupported")
    if media_type not in accepted | {FORM}:
        kinds = ", ".join(sorted({*accepted, FORM}))
        raise Problem("media_type_unsupported", given=media_type[:60], kinds=kinds)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and len(declared) < 16 and int(declared) > limit + FORM_BYTES_EXTRA:
        raise _too_large(limit)
    if media_type == FORM:
        return await _from_form(request, limit)
    return Upload(await read_body(request.receive, limit), media_type)


async def _from_form(request: Request[Any], limit: int) -> Upload:
    parser = MultiPartParser(
        request.headers, _bounded(request, limit), max_files=1, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX
    )
    parser.spool_max_size = limit + FORM_BYTES_EXTRA  # in memory: it is bounded, and no name of theirs meets our disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem("form_malformed", why=error.message.rstrip(".")) from None
    except (UnicodeDecodeError, LookupError):
        raise Problem("form_malformed", why="it is not in UTF-8") from None
    except ClientDisconnect:
        raise Problem("body_incomplete") from None
    try:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        data = await files[0].read() if files else b""
        fields = {name: part for name, part in form.items() if isinstance(part, str)}
    finally:
        await form.close()
    if not data and not fields.get("file", ""):
        raise Problem("file_missing")
    if len(data) > limit:
        raise _too_large(limit)
    return Upload(data or fields["file"].encode(), "", fields)


async def _bounded(request: Request[Any], limit: int) -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit + FORM_BYTES_EXTRA:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large.file", limit=limit)
