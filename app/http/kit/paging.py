"""How long lists are asked for and answered: pages of a bounded size, and cursors that only we can read.

A cursor names the last thing shown, not a count, so nothing is shown twice or left out when more is made meanwhile.
"""

from __future__ import annotations

import base64
from binascii import Error as BinasciiError
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from app.http.kit.problems import Problem
from app.ledger.reservation_search import PageStart

PAGE_MAX = 100
PAGE = 50
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
    text = f"{at.astimezone(UTC).isoformat()}|{name}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page_start_of(cursor: str | None) -> PageStart | None:
    """Where to go on. Raises Problem for what `cursor_of` did not make."""
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


def _not_ours(cursor: str) -> Problem:
    return Problem("payload_invalid.cursor", given=cursor[:40])


def moment_of(text: str | None) -> datetime | None:
    """The time said, in UTC. Raises Problem if there is none, as where its offset leads past the last year."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text is not None else None
    except (ValueError, OverflowError):
        raise Problem("payload_invalid", why=f"{text!r} is not a time with an offset") from None


def no_nul(*texts: str | None) -> None:
    """Raises Problem if a text to be looked for has a NUL: nothing could be found by it."""
    if any(text is not None and NUL in text for text in texts):
        raise Problem("payload_invalid", why="A text to look for has a NUL character in it")
