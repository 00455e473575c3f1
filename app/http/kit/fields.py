"""What a text that somebody sends may look like, and the words for a value that does not fit."""

from __future__ import annotations

import msgspec

from app.domain.local_time import EXAMPLE, MOMENT
from app.http.kit.paging import WITH_OFFSET

ONE_LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"  # no control characters, and not blank
MANY_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

PATTERNS = {
    ONE_LINE: "one line of text that is not blank",
    MANY_LINES: "text without control characters",
    MOMENT: f"a time such as {EXAMPLE}",
    WITH_OFFSET: "a time with its offset, such as 2026-05-01T09:00:00+09:00",
}


def misfit(error: msgspec.ValidationError) -> str:
    """What is wrong, in words: msgspec says the pattern, which is nobody's to read."""
    text = str(error)
    for pattern, words in PATTERNS.items():
        text = text.replace(f"`str` matching regex {pattern!r}", words)
    return text
