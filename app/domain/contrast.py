"""Whether text can be read in a colour: contrast as WCAG 2.2 measures it. Pure.

A site's colour is that of links, buttons and badges on our pages; what stands on it is black or white.
"""

from __future__ import annotations

CONTRAST_MIN = 4.5  # WCAG 2.2, 1.4.3
COLOUR = r"^#[0-9a-fA-F]{6}$"
SOFT_SHARE = 0.1  # of the colour in the ground of badges and notices
LIGHT_GROUNDS = ("#ffffff", "#f7f6f2")  # --card and --paper of base.css
DARK_GROUNDS = ("#1d2127", "#14171b")
INKS = ("#ffffff", "#000000")

Colour = tuple[int, int, int]


def colour_of(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    low, high = sorted((_luminance(colour_of(one)), _luminance(colour_of(other))))
    return (high + 0.05) / (low + 0.05)


def soft(colour: str, ground: str) -> str:
    """The ground of badges and notices in this colour."""
    pairs = zip(colour_of(colour), colour_of(ground), strict=True)
    return "#" + "".join(f"{round(SOFT_SHARE * over + (1 - SOFT_SHARE) * under):02x}" for over, under in pairs)


def ink_on(colour: str) -> str:
    return max(INKS, key=lambda ink: contrast(ink, colour))


def least_contrast(colour: str, grounds: tuple[str, str]) -> float:
    """The worst that the colour has where our pages use it, on these grounds and on its own soft one."""
    return min(contrast(colour, ground) for ground in (*grounds, soft(colour, grounds[0])))
