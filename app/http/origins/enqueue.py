"""Who may take a place in a room whose door is `invited`: those for whom the shop made an enqueue token.

The token becomes a cookie that proves whom it named, so a person has one place however often they come. It is good
once, except for the browser that has used it. At other doors it says nothing.
"""

from __future__ import annotations

from math import ceil

from app.domain.line import Door
from app.http.accounts.credentials import BUYER_COOKIE_LIFE_S, invited_cookie
from app.http.kit.cookies import Headers, cookie, set_cookie
from app.http.kit.problems import Problem
from app.http.origins.entering import ENDED, standing_of
from app.http.state import State
from app.limits.limits import Limit, LimitsUnavailable
from app.metrics.sites import SiteError
from app.origins.connector.enqueue_tokens import BadEnqueueToken, EnqueueToken, read
from app.origins.directory import KnownRoom
from app.room.view import LineView

ENQUEUE_PART = "enqueuetoken"


async def show_enqueue_token(
    state: State, headers: Headers, room: KnownRoom, text: str, host: str
) -> list[tuple[bytes, bytes]]:
    """The cookie of whom the token names; none if the room asks for no token, or the browser has a place already.
    `host`: the address of who shows it.

    Raises Problem for a token that lets nobody in here, or did already."""
    line = await state["rooms"].find(room.id)
    if line is None or line.door is not Door.invited:
        return []
    standing = standing_of(state, headers, line)
    if standing is not None and standing.place not in ENDED:
        return []
    now_s = state["clock"].seconds()
    customer_id = room.origin.customer_id or ""
    secrets = room.origin.secrets_at(now_s)
    token = read(text, secrets, customer_id=customer_id, room=room.id, host=host, now_s=now_s)
    if isinstance(token, BadEnqueueToken):
        state["meters"].at_door(room.id, token.value)
        state["meters"].sites.failed(room.origin.id, room.id, SiteError.enqueue_token_refused)
        raise Problem(token.value)
    return await _spent(state, headers, line, room.origin.id, token)


async def _spent(
    state: State, headers: Headers, line: LineView, origin_id: str, token: EnqueueToken
) -> list[tuple[bytes, bytes]]:
    invited, event = state["entrance"].invited, line.event_id.encode()
    holder = invited.holder(line.event_id, token.key)
    shown = cookie(headers, invited_cookie(line.event_id))
    if shown is not None and invited.read(event, shown) == holder:
        return []
    once = Limit(name="enqueue_token", times=1, window_s=ceil(token.ends_s - state["clock"].seconds()) + 1)
    try:
        if await state["limits"].take([(once, f"{origin_id} {token.id}")]):
            state["meters"].at_door(line.event_id, "enqueue_token_spent")
            raise Problem("enqueue_token_spent")
    except LimitsUnavailable:
        raise Problem("line_unavailable") from None
    secure = state["settings"].secure_cookies
    proof = invited.cookie(event, holder)
    return [set_cookie(invited_cookie(line.event_id), proof, life_s=BUYER_COOKIE_LIFE_S, secure=secure)]
