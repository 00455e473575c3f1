"""A place that moves to another browser: from one inside of an app, which people lose, to one of their own.

The first browser gets a code, good once and for ten minutes; the other one shows it and is from then on who the first
one was: its place, its turn, its pass, its reservations. The first forgets who it was. An account needs no code: it
logs in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.ticket import holder_text, is_account, is_invited
from app.door.resume_codes import Belongings, code_of, shown
from app.http.accounts.attempts import by_address, take
from app.http.accounts.credentials import HOLDER_COOKIE, pass_cookie, presented_ticket, ticket_cookie
from app.http.accounts.owners import browser_of, own_ticket
from app.http.events.shown import shown_event
from app.http.kit.answers import json_answer
from app.http.kit.api import HOLDER_REFUSALS, ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, set_cookie
from app.http.kit.forms import first, read_form
from app.http.kit.i18n import texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.kit.shapes import Nothing, Shape
from app.http.line.lookup import view_of
from app.http.line.shown import frame_of
from app.http.state import State
from app.ledger import reservations
from app.limits.limits import Limit
from app.room import moved_places
from app.room.moved_places import GOOD_FOR_S, MoveState

CODES = Limit(name="resume-code", times=10, window_s=GOOD_FOR_S)  # made for one browser
TRIES = Limit(name="resume", times=20, window_s=GOOD_FOR_S)  # from one address

NO_LINE = ("event_unknown", "room_closed", "event_cancelled")

Cookies = list[tuple[bytes, bytes]]


class ResumeCode(Shape, frozen=True, kw_only=True):
    """`code`: to be typed; `path`: of the page that takes it, with the code where no server sees it."""

    code: str
    path: str
    expires_at: datetime


class CodeShown(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: str


class CodeState(Shape, frozen=True, kw_only=True):
    """`used`: the place is in the other browser now, and this one has none."""

    state: MoveState


_decoder = msgspec.json.Decoder(CodeShown)


async def make_code(request: Request[State], event_id: str) -> ResumeCode:
    """A code for the place of who asks. Raises Problem, RoomUnavailable, LimitsUnavailable."""
    state, headers = request.state, request.scope["headers"]
    ticket = own_ticket(state, headers, await view_of(state, event_id))
    secret, token = cookie(headers, HOLDER_COOKIE), presented_ticket(headers, event_id)
    if is_account(ticket.holder) or is_invited(ticket.holder) or secret is None or token is None:
        raise Problem("place_of_account")
    holder = holder_text(ticket.holder)
    await take(state, [(CODES, holder)])
    shown_pass = cookie(headers, pass_cookie(event_id)) or b""
    sealed = state["entrance"].resume_codes.seal(
        Belongings(
            event_id=event_id,
            browser=secret.decode("latin-1"),
            ticket=token.decode("latin-1"),
            admission_pass=shown_pass.decode("latin-1"),
        )
    )
    await moved_places.put(state["redis"], sealed.name, holder, sealed.value)
    expires_at = state["clock"].now() + timedelta(seconds=GOOD_FOR_S)
    code = shown(sealed.code)
    return ResumeCode(code=code, path=f"/events/{event_id}/resume#{code}", expires_at=expires_at.astimezone(UTC))


async def code_state(request: Request[State], event_id: str, typed: str) -> tuple[MoveState, Cookies]:
    """How far it is with a code that this browser made; once it is used, the cookies that make it forget who it was."""
    state, headers = request.state, request.scope["headers"]
    await view_of(state, event_id)
    code, browser = code_of(typed), browser_of(state, headers)
    if code is None or browser is None:
        return MoveState.unknown, []
    found = await moved_places.state_of(state["redis"], state["entrance"].resume_codes.name_of(event_id, code), browser)
    if found is not MoveState.used:
        return found, []
    secure = state["settings"].secure_cookies
    names = (HOLDER_COOKIE, ticket_cookie(event_id), pass_cookie(event_id))
    return found, [set_cookie(name, "", life_s=0, secure=secure) for name in names]


async def resume(request: Request[State], event_id: str, typed: str) -> Cookies:
    """The cookies of the browser whose code this is. Raises Problem, RoomUnavailable, LimitsUnavailable."""
    state, headers = request.state, request.scope["headers"]
    await view_of(state, event_id)
    await take(state, by_address(request, TRIES))
    code = code_of(typed)
    if code is None:
        raise Problem("code_unknown")
    await _require_nothing_to_lose(state, headers, event_id)
    codes = state["entrance"].resume_codes
    found = await moved_places.take(state["redis"], codes.name_of(event_id, code))
    if found is MoveState.used:
        raise Problem("code_used")
    belongings = None if isinstance(found, MoveState) else codes.open(event_id, code, found)
    if belongings is None:
        raise Problem("code_unknown")
    secure, life_s = state["settings"].secure_cookies, COOKIE_LIFE_S
    cookies = [
        set_cookie(HOLDER_COOKIE, belongings.browser, life_s=life_s, secure=secure),
        set_cookie(ticket_cookie(event_id), belongings.ticket, life_s=life_s, secure=secure),
    ]
    if belongings.admission_pass:
        pass_s = state["scripts"].timing.pass_s
        cookies.append(set_cookie(pass_cookie(event_id), belongings.admission_pass, life_s=pass_s, secure=secure))
    return cookies


async def _require_nothing_to_lose(state: State, headers: Headers, event_id: str) -> None:
    """A browser becomes another one only if it has no place in this line and no reservation. Raises Problem."""
    browser = browser_of(state, headers)
    if browser is None:
        return
    try:
        own_ticket(state, headers, await view_of(state, event_id))
    except Problem:
        if await reservations.by_holders(state["db"], [browser], limit=1):
            raise Problem("browser_in_use") from None
        return
    raise Problem("browser_in_use")


async def post_code(request: Request[State]) -> Response:
    return json_answer(await make_code(request, request.path_params["event_id"]), 201)


async def post_state(request: Request[State]) -> Response:
    code = decode(await read_body(request.receive), _decoder).code
    state, cookies = await code_state(request, request.path_params["event_id"], code)
    return json_answer(CodeState(state=state), cookies=cookies)


async def post_resume(request: Request[State]) -> Response:
    code = decode(await read_body(request.receive), _decoder).code
    return json_answer(Nothing(), cookies=await resume(request, request.path_params["event_id"], code))


async def code_page(request: Request[State]) -> Response:
    """The code, for the browser that the place is to leave."""
    event = await shown_event(request)
    try:
        made, refused = await make_code(request, event.event_id), None
    except Problem as problem:
        made, refused = None, problem
    context = {
        "frame": frame_of(event),
        "made": made,
        "link": f"{request.url.scheme}://{request.url.netloc}{made.path}" if made else "",
        "minutes": GOOD_FOR_S // 60,
        "refused": problem_words(texts_for(request), refused) if refused else "",
    }
    script = {"eventId": event.event_id, "code": made.code if made else ""}
    status = refused.status if refused else 200
    return page(request, "line/resume_code.html", context, script=script, words=("line.resume.",), status=status)


async def resume_page(request: Request[State]) -> Response:
    """Where the other browser shows the code."""
    return await _show_resume(request)


async def _show_resume(request: Request[State], refused: Problem | None = None) -> Response:
    context = {
        "frame": frame_of(await shown_event(request)),
        "refused": problem_words(texts_for(request), refused) if refused else "",
    }
    return page(request, "line/resume.html", context, script={}, words=(), status=refused.status if refused else 200)


async def take_form(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    try:
        cookies = await resume(request, event_id, first(await read_form(request), "code"))
    except Problem as problem:
        if problem.code in ("event_unknown", "form_stale", "form_foreign"):
            raise
        return await _show_resume(request, problem)
    response = see_other(f"/events/{event_id}/wait")
    response.raw_headers.extend(cookies)
    return response


routes = [
    page_route("/events/{event_id}/resume-code", code_page, "POST"),
    page_route("/events/{event_id}/resume", resume_page),
    page_route("/events/{event_id}/resume", take_form, "POST"),
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/resume-code",
        post_code,
        summary="A code with which another browser takes my place along: good once, for ten minutes.",
        who=Who.ticket,
        answers={201: ResumeCode},
        refusals=(*HOLDER_REFUSALS, "place_of_account", "too_many_attempts", *NO_LINE),
    ),
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/resume-code/state",
        post_state,
        summary="Whether the code that I made was used; then this browser forgets who it was.",
        who=Who.all,
        body=CodeShown,
        answers={200: CodeState},
        refusals=NO_LINE,
    ),
    ApiRoute(
        "POST",
        "/api/queue/{event_id}/resume",
        post_resume,
        summary="Take the place along whose code I show.",
        who=Who.all,
        body=CodeShown,
        answers={200: Nothing},
        refusals=("code_unknown", "code_used", "browser_in_use", "too_many_attempts", *NO_LINE),
    ),
]
