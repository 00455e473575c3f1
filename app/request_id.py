"""One id for all that one request does: in its answer, in each line of the log, and in what we ask others meanwhile.

It is the trace id of W3C Trace Context. Whoever sends a whole `traceparent` chose it; any other request gets a new one.
It is told to everybody, so it proves nothing, and two requests may have the same.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars

HEADER = b"x-request-id"
TRACEPARENT = b"traceparent"
# version, trace id, span id, flags; what a version after the first may add is not passed on
PARTS = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-[!-~]{0,200})?")
FIRST_VERSION = b"00"
UNSAMPLED = "00"

_current: ContextVar[tuple[str, str]] = ContextVar("request_id", default=("", UNSAMPLED))  # and the flags


def begin(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Give this task's request, and every line that it logs from now on, its id: 32 hexadecimal digits."""
    given = [value for name, value in headers if name == TRACEPARENT]
    found = PARTS.fullmatch(given[0]) if len(given) == 1 else None
    if found is None or (found[1] == FIRST_VERSION and found[4]):
        request_id, flags = secrets.token_hex(16), UNSAMPLED
    else:
        request_id, flags = found[2].decode(), found[3].decode()
    _current.set((request_id, flags))
    bind_contextvars(request=request_id)
    return request_id


def current() -> str:
    """The id of the request that this task answers; empty in any other."""
    return _current.get()[0]


def told() -> list[tuple[bytes, bytes]]:
    """The header that tells a client the id; none outside of a request."""
    request_id = current()
    return [(HEADER, request_id.encode())] if request_id else []


def passed_on() -> dict[str, str]:
    """The header for a question that we ask others because of this task's request; none in any other task."""
    request_id, flags = _current.get()
    return {TRACEPARENT.decode(): f"00-{request_id}-{secrets.token_hex(8)}-{flags}"} if request_id else {}
