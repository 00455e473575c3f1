"""Making and ending sessions: a log-in that is counted, a log-out that is felt by every web process.

The API and the pages call the same functions. A session is a signed token; what ends it early is followed in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from starlette.requests import Request

from app.domain.account import PASSWORD_CHARS_MAX, BadAccount, check_account, email_of, name_of
from app.http.accounts.attempts import address_of, by_address, take
from app.http.accounts.guest_merge import merge_guest_into_account
from app.http.accounts.tokens import Session
from app.http.kit.cookies import SESSION_COOKIE, set_cookie
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger import users
from app.ledger.passwords import TooManyHashes, TooManyOfOne
from app.limits.limits import Attempt, Limit, LimitsUnavailable
from app.limits.revocations import RevocationUnavailable

USER_ID_BYTES = 12
SESSION_ID_BYTES = 12
BAD_ACCOUNT = {
    BadAccount.email: "email_invalid",
    BadAccount.name: "name_invalid",
    BadAccount.password_short: "password_too_short",
    BadAccount.password_long: "password_too_long",
    BadAccount.password_known: "password_too_plain",
}


class Entered(NamedTuple):
    """A new session: its token, whose it is, and the Set-Cookie headers of a browser that has it."""

    token: str
    user: users.User
    cookies: list[tuple[bytes, bytes]]


async def register(request: Request[State], name: str, email: str, password: str) -> Entered:
    """Make a buyer's account and log in. Raises Problem 422, 409 (the email has one), 429."""
    state = request.state
    began_s = state["clock"].seconds()
    email, name = email_of(email), name_of(name)
    bad = check_account(email, name, password)
    if bad is not None:
        raise Problem(BAD_ACCOUNT[bad])
    await _take(state, _by_address(request, "register", state["settings"].registrations_per_address_max))
    with _turned_away():
        password_hash = await state["passwords"].hash(password, address_of(request))
    user = users.User(
        id=f"u_{secrets.token_urlsafe(USER_ID_BYTES)}",
        email=email,
        name=name,
        role="buyer",
        password_hash=password_hash,
        created_at=state["clock"].now(),
    )
    if not await users.add(state["db"], user):
        raise Problem("email_taken")
    return await _entered(request, user, began_s)


async def log_in(request: Request[State], email: str, password: str) -> Entered:
    """A session for whoever knows the password. Raises Problem: 401, alike for email and password; 403, 429.

    Attempts are counted before they are made, so that many at once cannot pass; one that succeeds is not counted.
    """
    state = request.state
    began_s = state["clock"].seconds()  # before the account is read: if it is disabled meanwhile, this ends too
    if len(password) > PASSWORD_CHARS_MAX:
        raise _refused()
    attempts = _login_attempts(request, email_of(email))
    await _take(state, attempts)
    user = await users.find(state["db"], email_of(email))
    with _turned_away():
        right = await state["passwords"].check(user.password_hash if user else None, password, address_of(request))
    if user is None or not right:
        raise _refused()
    try:
        await state["limits"].give_back(attempts)
    except LimitsUnavailable as error:
        raise _unavailable(error) from None
    if user.disabled_at is not None:
        raise Problem("account_disabled")
    return await _entered(request, user, began_s)


def _login_attempts(request: Request[State], email: str) -> list[Attempt]:
    settings = request.state["settings"]
    account = Limit(name="login", times=settings.logins_per_account_max, window_s=settings.login_window_s)
    return [(account, email), *_by_address(request, "login-from", settings.logins_per_address_max)]


def _by_address(request: Request[State], name: str, times: int) -> list[Attempt]:
    return by_address(request, Limit(name=name, times=times, window_s=request.state["settings"].login_window_s))


async def _take(state: State, attempts: list[Attempt]) -> None:
    try:
        await take(state, attempts)
    except LimitsUnavailable as error:
        raise _unavailable(error) from None


def _refused() -> Problem:
    return Problem("login_refused")


@contextmanager
def _turned_away() -> Iterator[None]:
    """Tell who finds no place for a password when to come again. Raises Problem 429, 503."""
    try:
        yield
    except TooManyOfOne:
        raise Problem("too_many_at_once", retryAfterSeconds=1) from None
    except TooManyHashes:
        raise Problem("busy") from None


def _unavailable(error: Exception) -> Problem:
    return Problem("login_unavailable", why=error)


async def _entered(request: Request[State], user: users.User, began_s: float) -> Entered:
    """The new session; what this browser had becomes the account's."""
    state = request.state
    life_s = state["settings"].session_s
    session = Session(
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        session_id=secrets.token_urlsafe(SESSION_ID_BYTES),
        began_s=began_s,
        expires_s=int(began_s) + life_s,
    )
    token = state["tokens"].sign_session(session)
    cookie = set_cookie(SESSION_COOKIE, token, life_s=life_s, secure=state["settings"].secure_cookies)
    return Entered(token, user, [cookie, *await merge_guest_into_account(state, request.scope["headers"], user.id)])


async def log_out(state: State, session: Session) -> None:
    """End the session everywhere within a second. Raises Problem 503, and it goes on, if that cannot be told."""
    try:
        await state["revoked_sessions"].end_session(session.session_id)
    except RevocationUnavailable as error:
        raise _unavailable(error) from None


async def end_account(state: State, user_id: str) -> None:
    """End every session of an account within a second. Raises Problem 503 if it could not be told; safe to repeat."""
    try:
        await state["revoked_sessions"].end_account(user_id)
    except RevocationUnavailable as error:
        raise _unavailable(error) from None
