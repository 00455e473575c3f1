"""What somebody waits for at all events, for the page of their account."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from app.domain.waitlist import LIVE_STATES
from app.http.accounts.owners import holders_of
from app.http.events.cache import known_event
from app.http.events.view import event_view
from app.http.kit.i18n import lang_of
from app.http.state import State
from app.ledger import waitlist as ledger


async def waiting_of(request: Request[State]) -> list[dict[str, Any]]:
    """What who asks waits for, or is offered, at all events."""
    state, lang = request.state, lang_of(request)
    now = state["clock"].now()
    entries = await ledger.of_holders(state["db"], await holders_of(request))
    return [
        {
            "event_id": entry.event_id,
            "title": event_view(await known_event(state, entry.event_id), "direct", None, now, lang).title,
            "state": entry.state.value,
            "quantity": entry.wish.quantity,
            "place": entry.place,
        }
        for entry in entries
        if entry.state in LIVE_STATES
    ]
