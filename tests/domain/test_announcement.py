"""What an admin says to a line: in a reader's language where there is such a text, else as it is for everybody."""

from __future__ import annotations

import pytest

from app.domain.announcement import Messages, whole


@pytest.mark.parametrize(
    ("message", "messages", "for_all", "by_language"),
    [
        ("Late", None, "Late", {}),
        ("Late", {"ko": "늦음"}, "Late", {"ko": "늦음"}),
        (None, {"ko": "늦음", "en": "Late"}, "Late", {"ko": "늦음", "en": "Late"}),
        (None, {"ko": "늦음"}, "늦음", {"ko": "늦음"}),
        (None, {"ko": " ", "en": " Late "}, "Late", {"en": "Late"}),
        ("", {"ko": "늦음"}, "늦음", {"ko": "늦음"}),
        ("", None, "", {}),
        (None, {}, "", {}),
    ],
)
def test_who_reads_what(message: str | None, messages: Messages | None, for_all: str, by_language: Messages) -> None:
    assert whole(message, messages) == (for_all, by_language)
