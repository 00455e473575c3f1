"""Reads the body of a request up to a size limit, and decodes its JSON into a type that is checked while decoding."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.types import Receive

from app.http.kit.fields import misfit_of
from app.http.kit.problems import Problem

BODY_BYTES_MAX = 16_384

T = TypeVar("T")


async def read_body(receive: Receive, limit: int = BODY_BYTES_MAX) -> bytes:
    """The whole body. Raises Problem: 413 once it is longer than `limit`, 400 if the client goes before its end."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        whole = bytearray(body)
        while message.get("more_body") and len(whole) <= limit:
            message = await receive()
            whole += message.get("body", b"")
        body = bytes(whole)
    if message["type"] == "http.disconnect":  # half a request is none, even where no body at all would be one
        raise Problem("body_incomplete")
    if len(body) > limit:
        raise Problem("body_too_large", limit=limit)
    return body


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as a value of the decoder's type. Raises Problem: 422 if a member does not fit, with its place and the
    reason; 400 if the body is not JSON."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem("payload_invalid.body", why=_why(error, body, decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("payload_malformed", why=error) from None


def decode_optional(body: bytes, decoder: msgspec.json.Decoder[T], absent: T) -> T:
    """`decode` for a body that may be left out: then `absent`. Raises Problem 422 also if it is not JSON."""
    if not body:
        return absent
    try:
        return decode(body, decoder)
    except Problem as problem:
        if problem.code == "payload_malformed":
            raise Problem("payload_invalid.body", why="it is not JSON") from None
        raise


def _why(error: msgspec.ValidationError, body: bytes, kind: type) -> str:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return str(error)  # what follows the member that does not fit is no JSON at all, or nested without end
    return misfit_of(error, kind, value).words
