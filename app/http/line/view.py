"""A place in line in words, for the waiting page as the server draws it. Pure: made from what the API answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.domain.wish import Wish
from app.http.events.view import RoomWord
from app.http.kit.i18n import Texts

WAITING_REFRESH_S = 10
STANDS_STILL = ("paused", "recovering", "full")
TURN_REFRESH_S = 30  # slower at the turn: a refresh must not pull the button from under a finger
CANCELLED = "event_cancelled"  # nobody goes on inside, nor comes again
HOURS_FROM_S = 2 * 3600  # a longer wait is told in hours
LineWord = RoomWord | Literal["full"]  # an open room that nobody more fits into


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """A place in line in words, for the page as the server draws it; a script keeps it fresh afterwards."""

    state: str  # lobby | waiting | admitted | claimed | lapsed | left | closed | none
    room: LineWord
    title: str
    number: int = 0
    ahead: int = 0
    entries: int = 0  # in the lobby
    opens_at: datetime | None = None
    drawn_of: int = 0
    eta: str = ""
    message: str = ""
    closed_key: str = "line.closed"  # of the texts that say why the room is closed
    lead: str = ""  # what to do at the turn
    claim_before: str = ""
    refresh_s: int = 0


def wait_view(t: Texts, position: Mapping[str, Any], zone: str) -> WaitView:
    """The waiting page's values from a position answer."""
    state, room = position["state"], line_word(position)
    if room == "closed" and (state in ("lobby", "waiting", "admitted") or position.get("reason") == CANCELLED):
        state = "closed"
    closed_key = f"line.closed.{position.get('reason')}"
    if not t.has(f"{closed_key}.title"):
        closed_key = "line.closed"  # an admin closed it
    before = position.get("claimBefore")
    return WaitView(
        state=state,
        room=room,
        closed_key=closed_key,
        title=t("line.title")
        if state == "waiting"
        else t(f"{closed_key if state == 'closed' else f'line.{state}'}.title"),
        number=position.get("number", 0),
        ahead=position.get("ahead", 0),
        entries=position.get("entries", 0),
        opens_at=datetime.fromisoformat(position["opensAt"]) if "opensAt" in position else None,
        drawn_of=position.get("drawnOf", 0),
        eta=eta_words(t, position.get("etaSeconds"), room),
        message=position.get("messages", {}).get(t.lang, position.get("message", "")),
        lead=t(turn_key(position)),
        claim_before=t.time(datetime.fromisoformat(before), zone) if before else "",
        refresh_s={"lobby": WAITING_REFRESH_S, "waiting": WAITING_REFRESH_S, "admitted": TURN_REFRESH_S}.get(state, 0),
    )


def line_word(position: Mapping[str, Any]) -> LineWord:
    """How the line stands for who waits in it."""
    room: RoomWord = position["room"]
    return "full" if room == "open" and position.get("full") else room


def turn_key(position: Mapping[str, Any]) -> str:
    """At the turn: seats are held, or the wish found none, or the buyer chooses."""
    if position.get("reservation"):
        return "line.admitted.held"
    return "line.admitted.none" if position.get("wish") else "line.admitted.lead"


def wish_words(t: Texts, wish: Wish | None) -> str:
    """What somebody asked for at the door: `2 seats · R, S · Seats side by side`."""
    if wish is None:
        return ""
    grades = ", ".join(wish.grades) or t("line.wish.any")
    word = "required" if wish.is_required else "preferred"
    together = [t(f"events.wish.adjacent.{word}")] if wish.adjacent and wish.quantity > 1 else []
    return " · ".join([t("common.seats", n=wish.quantity), grades, *together])


def no_place_view(t: Texts, room: RoomWord, opens_at: datetime | None = None) -> WaitView:
    """The waiting page of someone who has no number here."""
    refresh_s = TURN_REFRESH_S if room in ("scheduled", "paused", "recovering") else 0
    return WaitView(state="none", room=room, title=t("line.none.title"), opens_at=opens_at, refresh_s=refresh_s)


def eta_words(t: Texts, eta: Mapping[str, float] | None, room: str) -> str:
    if eta:
        return wait_words(t, eta["low"], eta["high"])
    return t("line.eta.paused" if room in STANDS_STILL else "line.eta.unknown")


def wait_words(t: Texts, low_s: float, high_s: float) -> str:
    """An honest range: rounded outwards to minutes, or to hours when it is long."""
    if high_s < 60:
        return t("line.eta.soon")
    unit, size = ("hours", 3600) if high_s >= HOURS_FROM_S else ("minutes", 60)
    low, high = math.floor(low_s / size), math.ceil(high_s / size)
    if low < 1:
        return t(f"line.eta.{unit}.under", n=high)
    if low == high:
        return t(f"line.eta.{unit}.about", n=high)
    return t(f"line.eta.{unit}.range", low=low, high=high)
