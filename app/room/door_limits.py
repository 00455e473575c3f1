"""What places in line cost, as shares.lua and door.lua are told."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from app.domain.ticket import ACCOUNT_PATTERN, INVITED_PATTERN

PRESSED_S = 10  # a door asks everybody for so long after too many joined within a second
ADDRESSES_SHOWN_MAX = 50  # those which took and asked for the most


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """What places cost. `share`: new places per address and room within `window_s` that take no proof.
    `pressure_per_s`: with more joins a second everybody needs one. A proof is good for `proof_s`; without work, one is
    had by waiting `wait_s`.
    """

    share: int = 20
    window_s: int = 600
    pressure_per_s: int = 5_000
    proof_s: int = 300
    wait_s: int = 30

    def packed(self) -> bytes:
        limits = {"share": self.share, "window_ms": self.window_s * 1000, "pressure_per_s": self.pressure_per_s}
        limits |= {"proof_ttl_s": self.proof_s, "wait_s": self.wait_s}
        limits |= {"hold_s": PRESSED_S, "shown_max": ADDRESSES_SHOWN_MAX}
        return msgspec.msgpack.encode({**limits, "account": ACCOUNT_PATTERN, "invited": INVITED_PATTERN})
