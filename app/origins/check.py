"""The check: whether a request to a site behind a room may go on, from this process's memory.

A pass opens its room until it ends, until its place has ended (the visit was ended, the visitor left) or until the line
begins anew. A place that nobody has proved since a loss of Redis has not ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from app.domain.passing import AdmissionPass
from app.domain.ticket import holder_bytes
from app.origins.passes import BadPass, Passes
from app.room.view import LineView

TOKENS_MAX = 4  # of one request that are looked at: in its address, a header and two cookies


class Denied(StrEnum):
    """Why a request may not go on."""

    missing = "pass_missing"
    expired = "pass_expired"
    revoked = "pass_revoked"
    foreign = "pass_foreign"  # of another room, or none that we signed


_DENIED = {BadPass.expired: Denied.expired, BadPass.foreign: Denied.foreign, BadPass.invalid: Denied.foreign}


def judge(
    passes: Passes, tokens: Sequence[str], room_id: str, view: LineView | None, secrets: Sequence[str] = ()
) -> tuple[AdmissionPass, str] | Denied:
    """The first of the tokens that opens the room, and what it says; else why the first of them does not. A signature
    costs more to check than all the rest, so TOKENS_MAX of them are looked at. `view` is None while this process knows
    nothing of the line: then what is signed is believed."""
    denied: Denied | None = None
    for token in tokens[:TOKENS_MAX]:
        admission = passes.read(token, room_id, secrets)
        if isinstance(admission, BadPass):
            denied = denied or _DENIED[admission]
        elif view is not None and is_revoked(view, admission):
            denied = denied or Denied.revoked
        else:
            return admission, token
    return denied or Denied.missing


def is_revoked(view: LineView, admission: AdmissionPass) -> bool:
    """Whether a pass opens nothing any more though its time is not over."""
    if admission.epoch != view.epoch:
        return admission.epoch < view.epoch  # a newer line may not have been heard of here yet
    number = admission.number
    if number in view.ended and number not in view.unproven:
        return True
    return number in view.taken and view.is_taken(number, holder_bytes(admission.holder) or b"")
