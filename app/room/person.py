"""Somebody who asks for a place in line, as the script that gives it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Person(NamedTuple):
    """Somebody who asks for a place. `network`: what their address is counted as, "" if it is not. `proof`: the id of
    one that was checked, "s…" of a solved challenge or "w…" of a wait. `verified`: a verified account joins."""

    holder: str
    wish: str = ""
    network: str = ""
    proof: str = ""
    verified: bool = False


@dataclass(slots=True)
class StraightIn:
    """Asked for with a place: a pass for so long at once, if rate and capacity are free and nobody comes first. With
    `or_nothing` they do not join otherwise: the answer is `refused`. `expires_ms` is set before the place is answered:
    when the pass ends, 0 if there is none."""

    pass_s: int
    or_nothing: bool = False
    expires_ms: int = 0
