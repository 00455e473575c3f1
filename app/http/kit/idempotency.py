"""The header Idempotency-Key: a client that repeats a request with the same key gets the first answer again."""

from __future__ import annotations

from app.http.kit.cookies import Headers, header
from app.http.kit.problems import Problem

KEY_CHARS_MAX = 60


def idempotency_key(headers: Headers, holder: str) -> str | None:
    """The key that was sent, with `holder` before it, so that two people's equal keys are not one; None without a key.

    Raises Problem 422 for a key that cannot be kept.
    """
    key = header(headers, b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARS_MAX or not key.isascii():
        raise Problem("payload_invalid.key", limit=KEY_CHARS_MAX)
    return f"{holder}:{key.decode()}"
