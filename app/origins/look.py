"""How the waiting pages of an origin look: its colours, and a text. No markup and no style of theirs is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.contrast import CONTRAST_MIN, DARK_GROUNDS, LIGHT_GROUNDS, ink_on, least_contrast, soft

GROUNDS = {"light": LIGHT_GROUNDS, "dark": DARK_GROUNDS}


def too_faint(look: Mapping[str, Any]) -> tuple[str, float] | None:
    """The first colour in which text could not be read, and its contrast; None if all can be."""
    for scheme, grounds in GROUNDS.items():
        if colour := look.get(scheme):
            found = least_contrast(colour, grounds)
            if found < CONTRAST_MIN:
                return scheme, found
    return None


def style_of(look: Mapping[str, Any]) -> str:
    """A style sheet with the colours that are set; they were checked, and nothing else is in it."""
    light, dark = look.get("light"), look.get("dark")
    rules = []
    if light:
        rules.append(f"@media (prefers-color-scheme: light) {{ {_rule(light, LIGHT_GROUNDS[0])} }}")
    if dark:
        rules.append(f"@media (prefers-color-scheme: dark) {{ {_rule(dark, DARK_GROUNDS[0])} }}")
    return "".join(f"{rule}\n" for rule in rules)


def _rule(colour: str, ground: str) -> str:
    return f":root {{ --accent: {colour}; --accent-ink: {ink_on(colour)}; --accent-soft: {soft(colour, ground)}; }}"
