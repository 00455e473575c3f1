"""One refusal: its status, why, and what to do next; and the sentences for the latter that several have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from string import Formatter

AGAIN = "Send the same request again after the seconds in Retry-After."
CORRECT = "Correct what the detail names and send the request again."
LOG_IN = "Log in (POST /api/auth/login) and send the request again with the new token."
JOIN = "Join the line (POST /api/queue/EVENT/join) to get a place and a ticket."
JOIN_PLAIN = "Join without a solution: if one is needed, that gives another challenge to solve."
CLAIM = "Wait for your turn, claim it (POST /api/queue/EVENT/claim) and send the pass that this gives."
OTHER_SEATS = "Read the map of the seats again and choose others."
LOOK_UP = "Look the name up in the list it came from; it may be gone."
STAY_OUT = "Nothing can be done about it: the event is over for buyers."
WAIT_FOR_SALE = "Ask again when the sale is open; the event says when that is."
SHOW_AGAIN = "Read the reservation again: its status says what became of it."
NEW_FORM = "Open the page again and send its form from there."
WAIT = "Send the visitor to waitUrl, and ask again with the pass that they come back with."
READ_EVENT = "Read the event again and make the change to what it is now."


@dataclass(frozen=True, slots=True)
class Kind:
    """`detail` says why in a sentence or two, `next` what the client can do now. `api_only`: no page can show it."""

    status: int
    detail: str
    next: str
    api_only: bool = False
    words: frozenset[str] = field(init=False)  # the names in `detail`

    def __post_init__(self) -> None:
        names = frozenset(name for _, name, _, _ in Formatter().parse(self.detail) if name)
        object.__setattr__(self, "words", names)
