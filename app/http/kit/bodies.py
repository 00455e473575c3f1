"""Reads a request's body, bounded, and decodes it into a checked type."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.types import Receive

from app.http.kit.fields import misfit
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
        raise Problem(400, "body_incomplete", "The request ended before its body did.")
    if len(body) > limit:
        raise Problem(413, "body_too_large", f"A request may carry at most {limit} bytes.")
    return body


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Raises Problem 422 saying which member is wrong and why, or 400 if it is not JSON at all."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(422, "payload_invalid", f"The request does not fit: {misfit(error)}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "payload_malformed", f"The request is not JSON: {error}.") from None
