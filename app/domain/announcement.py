"""What an admin says to everybody in a line: one text, and one for each language that has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["ko", "en"]
Messages = dict[Language, str]
FALL_BACK_ORDER: tuple[Language, ...] = ("en", "ko")


def whole(message: str | None, messages: Mapping[Language, str] | None) -> tuple[str, Messages]:
    """The text for everybody whose language has none of its own, and those by language. Where only the latter are
    given, the English one is it, else what there is. Empty texts are none."""
    own = {lang: text.strip() for lang, text in (messages or {}).items() if text.strip()}
    return message or next((own[lang] for lang in FALL_BACK_ORDER if lang in own), ""), own
