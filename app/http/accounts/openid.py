"""Logging in with the organiser's OpenID Connect provider: a browser is sent there, and comes back with a code.

One subject, one account, which is verified. An account that has the email already is never taken over: whoever is
logged in to it connects the two, anybody else is told how, or takes an account of their own.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.account import check_name, name_of
from app.http.accounts.attempts import take
from app.http.accounts.credentials import session_of
from app.http.accounts.page import SAID_HERE, own_path
from app.http.accounts.sessions import Entered, enter, from_address, take_attempts, tell, unavailable
from app.http.accounts.tokens import BadToken, BegunLogin
from app.http.kit.cookies import cookie, set_cookie
from app.http.kit.csrf import is_foreign
from app.http.kit.problems import Problem
from app.http.kit.render import see_other
from app.http.kit.routing import page_route
from app.http.state import State
from app.identity.subject import LoginRefused, Provider, ProviderAway, Subject, TooManyAtOnce
from app.ledger import account_admin, users
from app.ledger.emails import email_of, is_email
from app.ledger.users import LoginElsewhere
from app.limits.limits import Limit, LimitsUnavailable

BEGUN_COOKIE = b"tiketi_openid"
BEGUN_S = 600  # how long somebody may take to log in there
USER_ID_BYTES = 12
NO_EMAIL = "openid.invalid"  # the domain of the addresses of accounts that have none (RFC 2606)

log = structlog.get_logger()


def _provider(request: Request[State]) -> Provider:
    """Raises Problem 404 where none is set."""
    provider = request.state["openid"]
    if provider is None:
        raise Problem("not_found")
    return provider


async def begin(request: Request[State]) -> Response:
    """Send the browser to the provider. A link of another site only leads to our page: whoever logs in means to."""
    provider, onward = _provider(request), own_path(request.query_params.get("next", "/"))
    settings = request.state["settings"]
    if is_foreign(request.scope["headers"], settings.public_url):
        return _to_login_page(onward)
    try:
        url, attempt = await provider.begin()
    except ProviderAway as error:
        return _away(request, onward, error)
    begun = BegunLogin(attempt, onward, request.query_params.get("separate") == "1")
    response = see_other(url)
    token = request.state["tokens"].sign_begun(begun, int(request.state["clock"].seconds()) + BEGUN_S)
    response.raw_headers.append(set_cookie(BEGUN_COOKIE, token, life_s=BEGUN_S, secure=settings.secure_cookies))
    return response


async def finish(request: Request[State]) -> Response:
    """Take the browser back: logged in, or to the log-in page, which says why not. Its address keeps no code."""
    provider, begun = _provider(request), await _begun(request)
    onward = begun.onward if begun is not None else "/"
    try:
        if begun is None:
            raise Problem("openid_stale")
        response: Response = see_other(own_path(onward))
        response.raw_headers.extend((await _logged_in(request, provider, begun)).cookies)
    except Problem as problem:
        if problem.code not in SAID_HERE:
            raise
        request.state["meters"].refused(problem.code)
        response = _to_login_page(onward, problem.code)
    secure = request.state["settings"].secure_cookies
    response.raw_headers.append(set_cookie(BEGUN_COOKIE, "", life_s=0, secure=secure))
    return response


def _to_login_page(onward: str, refused: str = "") -> Response:
    return see_other(f"/login?{urlencode({'next': onward, **({'refused': refused} if refused else {})})}")


def _away(request: Request[State], onward: str, error: ProviderAway) -> Response:
    _note_away(request, error)
    return _to_login_page(onward, "openid_away")


def _note_away(request: Request[State], error: ProviderAway) -> None:
    request.state["meters"].account("openid_away")
    log.warning("openid_away", error=str(error))


async def _begun(request: Request[State]) -> BegunLogin | None:
    """What this browser was sent away with, if that was here, lately, and is what comes back: each is good once."""
    token = cookie(request.scope["headers"], BEGUN_COOKIE)
    begun = request.state["tokens"].read_begun(token.decode("latin-1")) if token else BadToken.invalid
    state = request.query_params.get("state", "")
    if isinstance(begun, BadToken) or not compare_digest(begun.attempt.state.encode(), state.encode()):
        return None
    try:
        await take(request.state, [(Limit(name="openid", times=1, window_s=BEGUN_S), state)])
    except LimitsUnavailable as error:
        raise unavailable(error) from None
    except Problem:
        return None
    return begun


async def _logged_in(request: Request[State], provider: Provider, begun: BegunLogin) -> Entered:
    """Raises Problem."""
    state = request.state
    began_s = state["clock"].seconds()  # before the account is read: if it is disabled meanwhile, this ends too
    if request.query_params.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
        raise Problem("openid_refused")
    if "error" in request.query_params:
        raise Problem("openid_denied")
    attempts = from_address(request, "login-from", state["settings"].logins_per_address_max)
    await take_attempts(state, attempts)
    subject = await _subject(request, provider, begun)
    try:
        await state["limits"].give_back(attempts)
    except LimitsUnavailable as error:
        raise unavailable(error) from None
    user = await _account(request, LoginElsewhere(provider.issuer, subject.subject), subject, begun)
    if user.disabled_at is not None:
        tell(request, "login_failed", user.email)
        raise Problem("account_disabled")
    tell(request, "admin_login" if user.role == "admin" else "openid_login", user.email)
    return await enter(request, user, began_s)


async def _subject(request: Request[State], provider: Provider, begun: BegunLogin) -> Subject:
    try:
        return await provider.finish(request.query_params.get("code", ""), begun.attempt)
    except ProviderAway as error:
        _note_away(request, error)
        raise Problem("openid_away") from None
    except LoginRefused as error:
        request.state["meters"].account("openid_refused")
        log.warning("openid_refused", error=str(error))
        raise Problem("openid_refused") from None
    except TooManyAtOnce:
        raise Problem("busy") from None


async def _account(
    request: Request[State], elsewhere: LoginElsewhere, subject: Subject, begun: BegunLogin
) -> users.User:
    """The account that this subject opens; made now if it is here for the first time. Raises Problem."""
    db = request.state["db"]
    known = await users.of_subject(db, elsewhere)
    if known is not None:
        return known
    email = email_of(subject.email)
    owner = await users.find(db, email) if is_email(email) else None
    if owner is not None and not begun.separate:
        return await _connected(request, elsewhere, owner)
    return await _made(request, elsewhere, subject, email if owner is None and is_email(email) else "")


async def _connected(request: Request[State], elsewhere: LoginElsewhere, owner: users.User) -> users.User:
    """The account that has this email, if it is its owner who logs in: they are logged in to it, or it was made for the
    same subject meanwhile. Raises Problem 409.
    """
    state = request.state
    session = session_of(state["tokens"], request.scope["headers"])
    if session is None or session[0].user_id != owner.id or owner.disabled_at is not None:
        return await _opened(request, elsewhere)
    now = state["clock"].now()
    if await users.link_subject(state["db"], elsewhere, owner.id, now):
        await account_admin.verify(state["db"], owner.id, who=elsewhere.issuer, now=now)
        tell(request, "openid_connected", owner.email)
    return await _opened(request, elsewhere)


async def _made(request: Request[State], elsewhere: LoginElsewhere, subject: Subject, email: str) -> users.User:
    """A new account without a password, counted as one that is registered here: subjects may be as cheap there. Raises
    Problem 409 if somebody else took the email meanwhile, 429, 503.
    """
    state, user_id = request.state, f"u_{secrets.token_urlsafe(USER_ID_BYTES)}"
    await take_attempts(state, from_address(request, "register", state["settings"].registrations_per_address_max))
    name, now = name_of(subject.name), state["clock"].now()
    user = users.User(
        id=user_id,
        email=email or f"{user_id.lower()}@{NO_EMAIL}",
        name=name if check_name(name) is None else state["settings"].oidc_shown,
        role="buyer",
        password_hash="",
        created_at=now,
        verified_at=now,
    )
    if await users.add(state["db"], user, elsewhere):
        tell(request, "registered", user.email)
        return user
    return await _opened(request, elsewhere)


async def _opened(request: Request[State], elsewhere: LoginElsewhere) -> users.User:
    """The account as it is stored. Raises Problem 409 if this subject opens none."""
    found = await users.of_subject(request.state["db"], elsewhere)
    if found is None:
        raise Problem("openid_email_taken")
    return found


routes = [
    page_route("/login/openid", begin),
    page_route("/login/openid/callback", finish),
]
