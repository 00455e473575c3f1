"""The door of a line as HTTP: whose address is counted, which proof was sent, and the challenge that is asked for.

Touches no datastore: proofs are checked from memory here, and spent in the call that gives the place (shares.lua).
"""

from __future__ import annotations

import time
from typing import NamedTuple

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import _TrustedHosts

from app.door.captcha import Verdict, proof_of
from app.door.challenges import BadSolution, Subject, counters_for
from app.door.invitations import BadInvitation
from app.http.accounts.credentials import BUYER_COOKIE_LIFE_S, invited_cookie
from app.http.kit.cookies import Headers, cookie, cookie_in, header, set_cookie
from app.http.kit.problems import Problem
from app.http.state import State
from app.room.view import LineView

SOLUTION_HEADER = b"x-challenge-solution"
WAITED_PREFIX = b"tiketi_waited_"
# Refused late: a connection of a flood is worth ten refusals a second, and who does the work waits longer anyway.
REFUSED_LATE = frozenset([*BadSolution, "solution_spent", "captcha_refused", "challenge_required", "challenges_short"])
ASKS_TO_WAIT = frozenset({"challenge_required", "challenges_short", "solution_spent"})  # of who has no script
REFUSED_AFTER_S = 0.1
CAPTCHA_HEADER = b"x-captcha-token"
INVITATION_HEADER = b"x-invitation"
SOLVED, WAITED, CAPTCHA = "s", "w", "c"  # how the id of a proof begins


class Shown(NamedTuple):
    """What somebody who joins shows: what their address is counted as ("": not at all), and the id of their proof."""

    network: str
    proof: str


def host_of(scope: Scope) -> str:
    """The address of who asks, "" if it is not known, as of a client on a unix socket."""
    client = scope.get("client")
    return client[0] if client else ""


def forwarded_host(trusted: _TrustedHosts, host: str, headers: Headers) -> str:
    """The address of who asks through a proxy that is believed, as uvicorn's middleware reads it for ASGI."""
    if host not in trusted:
        return host
    forwarded = b""
    for name, value in headers:
        if name == b"x-forwarded-for":
            forwarded = forwarded + b", " + value if forwarded else value
    text = forwarded.decode("latin-1")
    if "," in text or ":" in text:
        return trusted.get_trusted_client_address(text)[0] or host
    return text.strip() or host  # a single one is the client, whoever that is


def invited_by(state: State, headers: Headers, view: LineView) -> tuple[bytes | None, list[tuple[bytes, bytes]]]:
    """Who joins by an invitation, shown now or in this browser before; with the cookie that proves it from now on.

    Raises Problem for an invitation that invites nobody here.
    """
    invited, token, name = state["entrance"].invited, None, invited_cookie(view.event_id)
    holder = None
    for key, value in headers:
        if key == INVITATION_HEADER:
            token = value
        elif key == b"cookie" and name in value and (found := cookie_in(value, name + b"=")) is not None:
            holder = invited.read(view.event_id.encode(), found)
    if token is None:
        return holder, []
    holder, proof = show_invitation(state, view, token.decode("latin-1"))
    return holder, [proof]


def show_invitation(state: State, view: LineView, token: str) -> tuple[bytes, tuple[bytes, bytes]]:
    """Whom an invitation invites to this line, and the cookie that proves it from now on. Raises Problem."""
    entrance, event_id = state["entrance"], view.event_id
    read = entrance.invitations.read(token, event_id)
    if isinstance(read, BadInvitation):
        state["meters"].at_door(event_id, read.value)
        raise Problem(read.value)
    holder = entrance.invited.holder(event_id, read.sub)
    proof, secure = entrance.invited.cookie(event_id.encode(), holder), state["settings"].secure_cookies
    return holder, set_cookie(invited_cookie(event_id), proof, life_s=BUYER_COOKIE_LIFE_S, secure=secure)


def is_invited_here(state: State, headers: Headers, view: LineView) -> bool:
    """Whether this browser showed an invitation to this line before."""
    proof = cookie(headers, invited_cookie(view.event_id))
    return proof is not None and state["entrance"].invited.read(view.event_id.encode(), proof) is not None


def show_at_door(state: State, headers: Headers, host: str, view: LineView) -> Shown:
    """Raises Problem for a solution that proves nothing. A proof of a wait that proves nothing is none."""
    entrance = state["entrance"]
    network = entrance.addresses.counted(host)
    solution, has_waited = None, False
    for name, value in headers:
        if name == SOLUTION_HEADER:
            solution = value
        elif name == b"cookie" and WAITED_PREFIX in value:
            has_waited = True
    if solution is not None:
        read = entrance.challenges.read(solution.decode("latin-1"), _subject(view, network), state["clock"].seconds())
        if isinstance(read, BadSolution):
            state["meters"].at_door(view.event_id, read.value)
            raise Problem(read.value)
        return Shown(network, SOLVED + read)
    if has_waited and (waited := _waited(state, headers, view, network)) and not waited[1]:
        return Shown(network, WAITED + waited[0])
    return Shown(network, "")


async def show_captcha(state: State, headers: Headers, host: str, view: LineView) -> str:
    """The id of the proof that a CAPTCHA's token is, or "" if none was sent, or nobody can say. Raises Problem."""
    captcha, token = state["entrance"].captcha, header(headers, CAPTCHA_HEADER)
    if captcha is None or token is None:
        return ""
    text = token.decode("latin-1")
    verdict = await captcha.check(text, host)
    state["meters"].at_door(view.event_id, verdict.value)
    match verdict:
        case Verdict.bad:
            raise Problem("captcha_refused")
        case Verdict.busy:
            raise Problem("challenges_short", retryAfterSeconds=1)
        case Verdict.good:
            return CAPTCHA + proof_of(text)
        case Verdict.away:
            return ""


def challenge_problem(state: State, view: LineView, network: str, taken: int) -> Problem:
    """The refusal that asks for work, with a challenge; without one if the address was made too many just now."""
    entrance, limits = state["entrance"], state["scripts"].limits
    if entrance.captcha is not None and entrance.captcha.is_up:
        state["meters"].at_door(view.event_id, "challenged")
        captcha = {"siteKey": entrance.captcha.site_key, "scriptUrl": entrance.captcha.script_url}
        return Problem("challenge_required", captcha=captcha)
    if not entrance.allowance.take(network, time.monotonic()):
        state["meters"].at_door(view.event_id, "busy")
        return Problem("challenges_short", retryAfterSeconds=1)
    state["meters"].at_door(view.event_id, "challenged")
    expires_s = int(state["clock"].seconds()) + limits.proof_s
    counters = counters_for(taken, limits.share)
    return Problem(
        "challenge_required", challenge=entrance.challenges.make(_subject(view, network), counters, expires_s)
    )


def wait_cookie(state: State, host: str, view: LineView) -> tuple[bytes, bytes]:
    """A proof of a wait that begins now."""
    limits, entrance = state["scripts"].limits, state["entrance"]
    ready_s = int(state["clock"].seconds()) + limits.wait_s
    token = entrance.waits.make(_subject(view, entrance.addresses.counted(host)), ready_s)
    life_s = limits.wait_s + limits.proof_s
    return set_cookie(_cookie_of(view), token, life_s=life_s, secure=state["settings"].secure_cookies)


def wait_left_s(state: State, headers: Headers, host: str, view: LineView) -> float | None:
    """How long who asks has to wait still; None if they have no proof of a wait."""
    waited = _waited(state, headers, view, state["entrance"].addresses.counted(host))
    return None if waited is None else waited[1]


def _waited(state: State, headers: Headers, view: LineView, network: str) -> tuple[str, float] | None:
    token = cookie(headers, _cookie_of(view))
    if token is None:
        return None
    life_s = state["scripts"].limits.proof_s
    return state["entrance"].waits.read(
        token.decode("latin-1"), _subject(view, network), state["clock"].seconds(), life_s
    )


def _cookie_of(view: LineView) -> bytes:
    return WAITED_PREFIX + view.event_id.encode()


def _subject(view: LineView, network: str) -> Subject:
    return Subject(view.event_id, view.epoch, network)
