"""Making and ending sessions: a log-in that is counted, a log-out that is felt by every web process.

The API and the pages call the same functions. A session is a signed token; what ends it early is followed in memory.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import structlog
from starlette.requests import Request

from app.domain.account import PASSWORD_CHARS_MAX, BadAccount, check_name, check_password, name_of
from app.http.accounts.account_macs import DEVICE_COOKIE, DEVICE_LIFE_S
from app.http.accounts.attempts import address_of, by_address, take
from app.http.accounts.credentials import require_session
from app.http.accounts.guest_merge import merge_guest_into_account
from app.http.accounts.tokens import Session
from app.http.kit.cookies import SESSION_COOKIE, cookie, set_cookie
from app.http.kit.problems import Problem
from app.http.state import State
from app.ledger import account_admin, users
from app.ledger.common_passwords import is_common
from app.ledger.emails import email_of, is_email
from app.ledger.passwords import TooManyHashes, TooManyOfOne
from app.limits.limits import Attempt, Limit, LimitsUnavailable
from app.limits.revocations import RevocationUnavailable
from config.demo import DEMO_IDS

log = structlog.get_logger()
USER_ID_BYTES = 12
AFTER_S = 0.001  # what begins so much later is not among what ended
PROBE_COSTS = 10  # log-ins that fail: what one counts as if its email was registered within login_window_s
STORED_S = 0.1  # what storing an account takes at least, whether or not there was one
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


async def register(request: Request[State], name: str, email: str, password: str) -> None:
    """Make a buyer's account, unless the email has one: which of the two, neither the answer nor its time tells.

    Nobody is logged in by it. Raises Problem 422, 429, 503.
    """
    state = request.state
    email, name = email_of(email), name_of(name)
    bad = None if is_email(email) else BadAccount.email
    bad = bad or check_name(name) or await asyncio.to_thread(check_password, password, email, name, is_common)
    if bad is not None:
        raise Problem(BAD_ACCOUNT[bad])
    await take_attempts(state, from_address(request, "register", state["settings"].registrations_per_address_max))
    with _turned_away():
        password_hash = await state["passwords"].hash(password, address_of(request))
    await _remember_registering(state, email)
    user = users.User(
        id=f"u_{secrets.token_urlsafe(USER_ID_BYTES)}",
        email=email,
        name=name,
        role="buyer",
        password_hash=password_hash,
        created_at=state["clock"].now(),
    )
    await asyncio.gather(_store(request, user), _stored_time())


async def _stored_time() -> None:
    await asyncio.sleep(STORED_S)


async def _store(request: Request[State], user: users.User) -> None:
    made = await users.add(request.state["db"], user)
    tell(request, "registered" if made else "registration_refused", user.email)


def _registering(state: State, email: str) -> Attempt:
    return Limit(name="registering", times=1, window_s=state["settings"].login_window_s), email


async def _remember_registering(state: State, email: str) -> None:
    """Whoever logs in to this email soon may do so to learn which of the two registering it did: see `log_in`."""
    try:
        await state["limits"].take([_registering(state, email)])
    except LimitsUnavailable as error:
        raise unavailable(error) from None


async def log_in(request: Request[State], email: str, password: str) -> Entered:
    """A session for whoever knows the password. Raises Problem: 401, alike for email and password; 403, 429.

    Attempts are counted before they are made, so that many at once cannot pass; one that succeeds is not counted.
    """
    state = request.state
    began_s = state["clock"].seconds()  # before the account is read: if it is disabled meanwhile, this ends too
    if len(password) > PASSWORD_CHARS_MAX:
        raise _refused()
    try:
        attempts = await _login_attempts(request, email_of(email))
        await take_attempts(state, attempts)
    except Problem as problem:
        if problem.code == "too_many_attempts":
            tell(request, "login_locked", email_of(email))
        raise
    user = await users.find(state["db"], email_of(email))
    with _turned_away():
        right = await state["passwords"].check(_hash_of(user), password, address_of(request))
    if user is None or not right or (user.id in DEMO_IDS and not state["settings"].demo):
        tell(request, "login_failed", email_of(email))
        raise _refused()
    try:
        await state["limits"].give_back(attempts)
    except LimitsUnavailable as error:
        raise unavailable(error) from None
    if user.disabled_at is not None:
        tell(request, "login_failed", user.email)
        raise Problem("account_disabled")
    tell(request, "admin_login" if user.role == "admin" else "login", user.email)
    return await enter(request, user, began_s)


async def change_password(request: Request[State], old: str, new: str) -> Entered:
    """Another password for who is logged in and knows the old one. Every session ends; this browser gets a new one.

    Raises Problem: 401, 403 for a wrong old password (counted as a log-in that fails), 422, 429.
    """
    state = request.state
    user = await users.get(state["db"], require_session(state["tokens"], request.scope).user_id)
    if user is None or user.disabled_at is not None:
        raise Problem("session_ended")
    if not user.password_hash:
        raise Problem("password_none")
    attempts = await _login_attempts(request, user.email)
    await take_attempts(state, attempts)
    with _turned_away():
        right = await state["passwords"].check(_hash_of(user), old[:PASSWORD_CHARS_MAX], address_of(request))
    if not right:
        tell(request, "login_failed", user.email)
        raise Problem("password_wrong")
    try:
        await state["limits"].give_back(attempts)
    except LimitsUnavailable as error:
        raise unavailable(error) from None
    bad = await asyncio.to_thread(check_password, new, user.email, user.name, is_common)
    if bad is not None:
        raise Problem(BAD_ACCOUNT[bad])
    with _turned_away():
        password_hash = await state["passwords"].hash(new, address_of(request))
    await account_admin.set_password(state["db"], user.id, password_hash, who=user.email, now=state["clock"].now())
    await end_account(state, user.id)
    tell(request, "password_changed", user.email)
    return await enter(request, user, state["clock"].seconds() + AFTER_S)


def _hash_of(user: users.User | None) -> str | None:
    """The hash of an account's password; None without an account, and for one that has no password."""
    return (user.password_hash if user else "") or None


async def _login_attempts(request: Request[State], email: str) -> list[Attempt]:
    """What a log-in is counted against. Raises Problem 503.

    A browser that logged in to this account before counts by itself (OWASP's device cookies): whoever fails on purpose,
    by account or from its address, cannot keep it out. To an email that was registered a moment ago one address fails
    less often: who had an account already would else be found out by trying the password that was just chosen.
    """
    state = request.state
    settings = state["settings"]
    account = Limit(name="login", times=settings.logins_per_account_max, window_s=settings.login_window_s)
    device = state["account_macs"].device_of(email, cookie(request.scope["headers"], DEVICE_COOKIE))
    if device:
        return [(account, f"{email} {device}")]
    attempts = [(account, email), *from_address(request, "login-from", settings.logins_per_address_max)]
    try:
        registered = await state["limits"].wait_ms(*_registering(state, email)) > 0
    except LimitsUnavailable as error:
        raise unavailable(error) from None
    probes_max = max(1, settings.logins_per_address_max // PROBE_COSTS)
    return attempts + (from_address(request, "probe", probes_max) if registered else [])


def tell(request: Request[State], what: str, email: str) -> None:
    """Log and count what happened to an account; the email itself is nobody's who reads logs."""
    request.state["meters"].account(what)
    log.info(what, account=request.state["account_macs"].logged(email), network=address_of(request))


def from_address(request: Request[State], name: str, times: int) -> list[Attempt]:
    """One attempt by the address that asks, of so many within TIKETI_LOGIN_WINDOW_S."""
    return by_address(request, Limit(name=name, times=times, window_s=request.state["settings"].login_window_s))


async def take_attempts(state: State, attempts: list[Attempt]) -> None:
    """Count these. Raises Problem 429, 503."""
    try:
        await take(state, attempts)
    except LimitsUnavailable as error:
        raise unavailable(error) from None


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


def unavailable(error: Exception) -> Problem:
    return Problem("login_unavailable", why=error)


async def enter(request: Request[State], user: users.User, began_s: float) -> Entered:
    """A new session of somebody who proved that the account is theirs; what this browser had becomes the account's.
    `began_s`: when the log-in began, before the account was read."""
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
        verified=user.verified_at is not None,
    )
    token = state["tokens"].sign_session(session)
    secure = state["settings"].secure_cookies
    cookies = [
        set_cookie(SESSION_COOKIE, token, life_s=life_s, secure=secure),
        set_cookie(DEVICE_COOKIE, state["account_macs"].new_device(user.email), life_s=DEVICE_LIFE_S, secure=secure),
    ]
    return Entered(token, user, [*cookies, *await merge_guest_into_account(state, request.scope["headers"], user.id)])


async def log_out(state: State, session: Session) -> None:
    """End the session everywhere within a second. Raises Problem 503, and it goes on, if that cannot be told."""
    try:
        await state["revoked_sessions"].end_session(session.session_id, session.user_id, session.began_s)
    except RevocationUnavailable as error:
        raise unavailable(error) from None


async def end_account(state: State, user_id: str) -> None:
    """End every session of an account that was changed in SQL, within a second: web processes that cannot be told read
    it there (shut_out.py)."""
    try:
        await state["revoked_sessions"].end_account(user_id)
    except RevocationUnavailable as error:
        log.warning("ended_sessions_not_told", user=user_id, error=str(error))
