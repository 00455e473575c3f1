"""Who may read how a sale goes and what is wrong: not everybody.

With TIKETI_METRICS_TOKEN whoever sends it as a Bearer token, and always a logged-in admin, by the session alone while
the database is away. Without a token and without
a public address, whoever asks from this machine.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from ipaddress import ip_address

from starlette.requests import Request

from app.http.accounts.credentials import session_of
from app.http.kit.cookies import header
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger.errors import StoreError

FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


async def require_reader(request: Request[State]) -> None:
    """Raises Problem for anybody else."""
    state, headers = request.state, request.scope["headers"]
    token = state["settings"].metrics_token
    given = header(headers, b"authorization") or b""
    if token and hmac.compare_digest(given, b"Bearer " + token.encode()):
        return
    found = session_of(state["tokens"], headers)
    if found is not None and found[0].role == "admin":
        with suppress(StoreError):  # it is asked for most while the database is away
            await state["admins"].check(found[0])
        return
    if given or found is not None:
        raise Problem("metrics_refused")
    if token or state["settings"].public_url or not _is_near(request):
        raise Problem("login_required.metrics")


def _is_near(request: Request[State]) -> bool:
    """Whether who asks sits on this machine, and not behind a proxy that does."""
    if request.client is None or any(name in FORWARDED for name, _ in request.scope["headers"]):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
