"""Why a connector did not let somebody in, from what it says and what of that can be true.

Everybody can write such an address: a difference of secrets or clocks is believed only of a token that we signed. Pure.
"""

from __future__ import annotations

from enum import StrEnum

from app.origins.connector.tokens import QueueToken

CLOCKS_DIFFER_S = 30  # less than that is the way of a visitor
ERRORS = {
    "hash": "secret_differs",
    "eventid": "room_differs",
    "timestamp": "late",
    "ip": "address_differs",
    "qidlimit": "used_up",
    "connector/sessionstate": "cookie_refused",
}


class Refused(StrEnum):
    """`secret_differs`: theirs is not the origin's. `clock_differs`: theirs is ahead. `room_differs`: the token is for
    another room than they asked for. `not_ours`: nobody here signed it, so nothing is known."""

    secret_differs = "secret_differs"  # noqa: S105 - a word, not a secret
    clock_differs = "clock_differs"
    room_differs = "room_differs"
    late = "late"
    address_differs = "address_differs"
    used_up = "used_up"
    cookie_refused = "cookie_refused"
    not_ours = "not_ours"


def why(error: str, token: QueueToken | None, ahead_s: float | None, now_s: float) -> Refused | None:
    """`token`: what they refused, if it is ours. `ahead_s`: their clock before ours, as they say. None: no connector
    says such an error."""
    if error not in ERRORS:
        return None
    said = Refused(ERRORS[error])
    if said in (Refused.used_up, Refused.cookie_refused, Refused.address_differs):
        return said
    if token is None:
        return Refused.not_ours
    is_in_time = token.ends_s >= now_s
    if said is Refused.late and is_in_time and ahead_s is not None and ahead_s > CLOCKS_DIFFER_S:
        return Refused.clock_differs
    return said
