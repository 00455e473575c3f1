"""How the visitors of an origin's room pass through it, and how what they then show is signed. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """`always`: everybody queues; `standby`: nobody does while fewer come than may be let in."""

    always = "always"
    standby = "standby"


class PassAlgorithm(StrEnum):
    """`EdDSA`: whoever has our public keys can verify a pass; `HS256`: whoever has the origin's secret, for edges that
    know nothing else; `compact`: we alone, for a site that asks us about each request."""

    EdDSA = "EdDSA"
    HS256 = "HS256"
    compact = "compact"


class AdmissionPass(NamedTuple):
    """What a pass says. `event_id` is the room; times are Unix seconds."""

    event_id: str
    epoch: int
    number: int
    holder: str
    began_s: int
    expires_s: int

    @property
    def jti(self) -> str:
        return f"{self.event_id}.{self.epoch}.{self.number}"
