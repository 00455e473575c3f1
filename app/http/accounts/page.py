"""Accounts as pages: register, log in, change the password, log out. Plain forms over the functions of the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.credentials import forgotten, session_of
from app.http.accounts.sessions import Entered, change_password, log_in, log_out
from app.http.accounts.sessions import register as make_account
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.state import State

ONWARD_CHARS_MAX = 200
FIELDS = ("name", "email", "password")
SAID_HERE = frozenset(  # why a log-in elsewhere did not work
    {"openid_away", "openid_denied", "openid_email_taken", "openid_refused", "openid_stale", "account_disabled"}
)


async def login_page(request: Request[State]) -> Response:
    form, code = {"next": [request.query_params.get("next", "/")]}, request.query_params.get("refused", "")
    refused = Problem(code) if code in SAID_HERE else None
    return _shown(request, "accounts/login.html", form, refused)


async def register_page(request: Request[State]) -> Response:
    return _shown(request, "accounts/register.html", {"next": [request.query_params.get("next", "/")]})


async def login(request: Request[State]) -> Response:
    form = await read_form(request)
    try:
        entered = await log_in(request, first(form, "email"), first(form, "password"))
    except Problem as problem:
        return _shown(request, "accounts/login.html", form, problem)
    return _onward(form, entered)


async def register(request: Request[State]) -> Response:
    """Go on to the log-in: also where the email had an account already, which this must not tell."""
    form = await read_form(request)
    try:
        await make_account(request, first(form, "name"), first(form, "email"), first(form, "password"))
    except Problem as problem:
        return _shown(request, "accounts/register.html", form, problem)
    return _shown(request, "accounts/login.html", form, registered=True)


async def password_page(request: Request[State]) -> Response:
    if session_of(request.state["tokens"], request.scope["headers"]) is None:
        return see_other("/login?next=/account/password")
    return page(request, "accounts/password.html", {"wrong": "", "openid": request.state["settings"].oidc_shown})


async def password(request: Request[State]) -> Response:
    form = await read_form(request)
    try:
        entered = await change_password(request, first(form, "old"), first(form, "new"))
    except Problem as problem:
        if problem.status == 401:
            raise
        context = {
            "notice_text": problem_words(texts_for(request), problem),
            "wrong": "new" if problem.status == 422 else "old",
            "openid": request.state["settings"].oidc_shown,
        }
        return page(request, "accounts/password.html", context, status=problem.status)
    response = see_other("/")
    response.raw_headers.extend(entered.cookies)
    return response


def _shown(
    request: Request[State], template: str, form: Form, refused: Problem | None = None, *, registered: bool = False
) -> Response:
    """The form with what was typed (never the password), and what is wrong with it."""
    context = {
        "name": first(form, "name"),
        "email": first(form, "email"),
        "registered": registered,
        "onward": own_path(first(form, "next")),
        "openid": request.state["settings"].oidc_shown,
        "may_separate": refused is not None and refused.code == "openid_email_taken",
        "notice_text": problem_words(texts_for(request), refused) if refused else "",
        "wrong": next((field for field in FIELDS if refused and refused.code.startswith(field)), ""),
    }
    response = page(request, template, context, status=refused.status if refused else 200)
    if refused and "retryAfterSeconds" in refused.extra:
        response.headers["Retry-After"] = str(refused.extra["retryAfterSeconds"])
    return response


def _onward(form: Form, entered: Entered) -> Response:
    response = see_other(own_path(first(form, "next")))
    response.raw_headers.extend(entered.cookies)
    return response


def own_path(text: str) -> str:
    """A path of ours to go on to; whatever could lead to another site is the list of events."""
    plain = len(text) <= ONWARD_CHARS_MAX and text.isascii() and text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


async def logout(request: Request[State]) -> Response:
    """The session is over everywhere, and this browser forgets its places in line and its passes."""
    headers = request.scope["headers"]
    found = session_of(request.state["tokens"], headers)
    if found is not None:
        await log_out(request.state, found[0])
    response = see_other("/")
    response.raw_headers.extend(forgotten(headers, request.state["settings"].secure_cookies))
    return response


routes = [
    page_route("/login", login_page),
    page_route("/login", login, "POST"),
    page_route("/register", register_page),
    page_route("/register", register, "POST"),
    page_route("/account/password", password_page),
    page_route("/account/password", password, "POST"),
    page_route("/logout", logout, "POST"),
]
