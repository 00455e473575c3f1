"""Where somebody goes on to who was let in: to their address, with a pass in it or with the token of a connector."""

from __future__ import annotations

from app.domain.passing import AdmissionPass
from app.domain.targets import quoted, with_pass
from app.http.line.turns import pass_token
from app.http.state import State
from app.origins.connector.tokens import TOKEN_LIFE_S, QueueToken, RedirectType, minutes_of, signed, with_token
from app.origins.directory import KnownRoom

BY_PART, BY_CONNECTOR = "by", "connector"  # in the address of the waiting page: who sent the visitor there


def wait_path(room: KnownRoom, target: str) -> str:
    """Where the visitor of a connector comes in, to be sent on to `target`."""
    return f"/wait/{room.id}?t={quoted(target) or ''}&{BY_PART}={BY_CONNECTOR}"


async def onward_url(
    state: State,
    room: KnownRoom,
    target: str,
    admission: AdmissionPass,
    host: str,
    *,
    by_connector: bool,
    straight: bool = False,
) -> str:
    """The target with what lets them in, who came `straight` in or waited. Back into the line where no time is left
    that a connector could be told. `host`: their address."""
    if not by_connector or room.origin.customer_id is None:
        return with_pass(target, pass_token(state, admission))
    token = connector_token(state, room, admission, host, straight=straight)
    if token is not None:
        return with_token(target, token)
    await state["scripts"].end_served(room.id, [(admission.epoch, admission.number)])
    await state["rooms"].reload(room.id)  # so that they are known here to have no place any more
    return wait_path(room, target)


def connector_token(
    state: State, room: KnownRoom, admission: AdmissionPass, host: str, *, straight: bool = False
) -> str | None:
    """What the site's connector lets them in by; None if no minute is left that it could count."""
    now_s = state["clock"].seconds()
    minutes = minutes_of(admission.expires_s - now_s)
    if not minutes:
        return None
    token = QueueToken(
        room=room.id,
        queue_id=state["origins"].queue_ids.of(room.id, admission.epoch, admission.number),
        ends_s=int(now_s) + TOKEN_LIFE_S,
        valid_minutes=minutes,
        redirect_type=RedirectType.safetynet if straight else RedirectType.queue,
        address=host if room.origin.bind_tokens else None,
    )
    return signed(token, room.origin.secrets_at(now_s)[0])
