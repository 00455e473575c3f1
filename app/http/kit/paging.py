"""Long lists, a page at a time: the types of what a query may ask for, and the cursor with which the next page begins.

A cursor names the last item of a page, not how many there were before it. So nothing is shown twice or left out when
items are added while somebody reads. Clients send a cursor back as they got it; its format may change.
"""

from __future__ import annotations

import base64
from binascii import Error as BinasciiError
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request

from app.http.kit.problems import Problem
from app.ledger.reservation_search import PageStart

PAGE_MAX = 100
PAGE = 50
OFFSET_DIGITS_MAX = 6
INT_MAX = 2**63 - 1

PageSize = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Cursor = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
# as text: in a query a bare number would be taken for seconds since 1970
WITH_OFFSET = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(Z|[+-]\d\d:?\d\d)$"
Moment = Annotated[str, msgspec.Meta(max_length=40, pattern=WITH_OFFSET)]
NUL = "\x00"  # no database keeps it in a text, and PostgreSQL refuses to look for it


def cursor_of(at: datetime, name: str) -> str:
    """The cursor for the item that was made at `at` and is called `name`: the last one of a page."""
    text = f"{at.astimezone(UTC).isoformat()}|{name}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page_start_of(cursor: str | None) -> PageStart | None:
    """The item that a cursor names, after which the next page begins; None without a cursor.

    Raises Problem 422 for a text that `cursor_of` did not make.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, _, name = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not name or NUL in name:
            raise _not_ours(cursor)
        return moment.astimezone(UTC), name
    except (BinasciiError, ValueError, OverflowError):
        raise _not_ours(cursor) from None


def offset_of(request: Request[Any]) -> int:
    """How many rows `?from=` says were shown before; 0 if it says nothing of use."""
    at = request.query_params.get("from", "0")
    return int(at) if at.isascii() and at.isdecimal() and len(at) < OFFSET_DIGITS_MAX else 0


def _not_ours(cursor: str) -> Problem:
    return Problem("payload_invalid.cursor", given=cursor[:40])


def moment_of(text: str | None) -> datetime | None:
    """An ISO 8601 text with an offset as a time in UTC. Raises Problem 422 if there is no such time."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text is not None else None
    except (ValueError, OverflowError):
        raise Problem("payload_invalid", why=f"{text!r} is not a time with an offset") from None


def no_nul(*texts: str | None) -> None:
    """Raises Problem 422 if a search text contains a NUL character, which no database stores and PostgreSQL rejects."""
    if any(text is not None and NUL in text for text in texts):
        raise Problem("payload_invalid", why="A text to look for has a NUL character in it")
