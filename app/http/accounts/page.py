"""Accounts as pages: register, log in, log out, and what was reserved. Plain forms over the functions of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.credentials import forgotten, session_of
from app.http.accounts.owners import holders_of, kept_id
from app.http.accounts.sessions import Entered, log_in, log_out
from app.http.accounts.sessions import register as make_account
from app.http.events.cache import known_event
from app.http.events.view import event_view
from app.http.kit.forms import Form, first, read_form
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.state import State
from app.http.waitlist.waiting import waiting_of
from app.ledger import reservations

ONWARD_CHARS_MAX = 200
FIELDS = ("name", "email", "password")


async def login_page(request: Request[State]) -> Response:
    return _shown(request, "accounts/login.html", {"next": [request.query_params.get("next", "/")]})


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
    form = await read_form(request)
    try:
        entered = await make_account(request, first(form, "name"), first(form, "email"), first(form, "password"))
    except Problem as problem:
        return _shown(request, "accounts/register.html", form, problem)
    return _onward(form, entered)


def _shown(request: Request[State], template: str, form: Form, refused: Problem | None = None) -> Response:
    """The form with what was typed (never the password), and what is wrong with it."""
    context = {
        "name": first(form, "name"),
        "email": first(form, "email"),
        "onward": own_path(first(form, "next")),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedReservation:
    """A reservation as the list shows it."""

    id: str
    status: str
    title: str
    starts_at: datetime
    zone: str
    seats: int
    total: int


async def my_reservations(request: Request[State]) -> Response:
    state, lang, now = request.state, lang_of(request), datetime.now(UTC)
    listed = []
    mine = await reservations.by_holders(state["db"], await holders_of(request))
    for one in mine:
        shown = event_view(await known_event(state, one.event_id), "direct", None, now, lang)
        listed.append(
            ListedReservation(
                id=one.id,
                status=one.status.value,
                title=shown.title,
                starts_at=shown.starts_at,
                zone=shown.zone,
                seats=len(one.seats),
                total=one.total_price,
            )
        )
    waiting = await waiting_of(request)
    response = page(request, "shop/reservations.html", {"reservations": listed, "waiting": waiting})
    response.raw_headers.extend(kept_id(state, request.scope["headers"], mine))
    return response


routes = [
    page_route("/login", login_page),
    page_route("/login", login, "POST"),
    page_route("/register", register_page),
    page_route("/register", register, "POST"),
    page_route("/logout", logout, "POST"),
    page_route("/reservations", my_reservations),
]
