"""Where the connectors of a shop send its visitors: to wait, back from an error of theirs, and away at the end.

They say which customer and room they mean (`c`, `e`) and where the visitor wanted to go; the way is that of the waiting
page, and ends with a token instead of a pass. Nobody is sent to an address that is not at one of the origin's hosts.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from app.domain.line import Place
from app.domain.targets import safe_target
from app.http.kit.answers import NO_STORE
from app.http.kit.cookies import header, set_cookie
from app.http.kit.i18n import LANG_COOKIE, LANGS
from app.http.kit.menu import PageRoute
from app.http.kit.problems import Problem
from app.http.kit.render import LANG_COOKIE_S, page
from app.http.kit.routing import page_route
from app.http.line.door import host_of
from app.http.line.turns import claim_place, leave_line
from app.http.origins.branding import brand_of_customer
from app.http.origins.enqueue import ENQUEUE_PART, show_enqueue_token
from app.http.origins.entering import Standing, standing_of
from app.http.origins.onward import onward_url, wait_path
from app.http.origins.visits import Visit, end_visit
from app.http.state import State
from app.limits.addresses import network_of
from app.limits.limits import Limit, LimitsUnavailable
from app.metrics.sites import SiteError
from app.metrics.web import CLIENTS_S
from app.origins.connector.refused import Refused, why
from app.origins.connector.tokens import TOKEN_PART, QueueToken, read
from app.origins.directory import KnownOrigin, KnownRoom

AGAIN = Limit(name="connector_token", times=3, window_s=60)  # fresh tokens of one visit whose last was refused
CLIENT = Limit(name="connector_client", times=1, window_s=CLIENTS_S)  # each raises an alarm once, by one visit
TIME_DIGITS_MAX = 12
VISITS_MAX = 20  # that one address may end
LET_IN = (Place.admitted, Place.claimed)

log = structlog.get_logger()


def customer_of(state: State, customer_id: str) -> KnownOrigin:
    """Whom connectors call so. Raises Problem 404."""
    origin = state["origins"].customers.get(customer_id.lower())
    if origin is None:
        raise Problem("customer_unknown", customer=customer_id[:40])
    return origin


def room_of(state: State, customer_id: str, event_id: str) -> KnownRoom:
    """The customer's room of exactly this id: a connector would refuse a token of another. Raises Problem 404."""
    origin, room = customer_of(state, customer_id), state["origins"].rooms.get(event_id)
    if room is None or room.origin.id != origin.id:
        raise Problem("customer_room_unknown", customer=customer_id[:40], room_id=event_id[:40])
    return room


def is_from_connector(request: Request[State]) -> bool:
    return "c" in request.query_params and "e" in request.query_params


async def come(request: Request[State]) -> Response:
    """A visitor without a token, at `/`. Raises Problem."""
    asked = request.query_params
    room = room_of(request.state, asked["c"], asked["e"])
    scope, token = request.scope, asked.get(ENQUEUE_PART)
    invited: list[tuple[bytes, bytes]] = []
    if token is not None:
        invited = await show_enqueue_token(request.state, scope["headers"], room, token, host_of(scope))
    response = _to_line(request, room)
    response.raw_headers.extend(invited)
    return response


def _target(request: Request[State], room: KnownRoom) -> str:
    return safe_target(request.query_params.get("t", ""), room.origin.hosts) or room.target_url


def _to_line(request: Request[State], room: KnownRoom) -> Response:
    response = found(wait_path(room, _target(request, room)))
    lang = request.query_params.get("cid", "")[:2].lower()
    if lang in LANGS:
        secure = request.state["settings"].secure_cookies
        response.raw_headers.append(set_cookie(LANG_COOKIE.encode(), lang, life_s=LANG_COOKIE_S, secure=secure))
    return response


def found(url: str) -> Response:
    """Sends a browser there."""
    return RedirectResponse(url, 302, headers=NO_STORE)


async def error(request: Request[State]) -> Response:
    """A visitor whose token or cookie the connector refused: with a fresh one while they may be in, else to the line.

    At most AGAIN fresh ones, so that nobody goes round in circles. Raises Problem."""
    state, asked = request.state, request.query_params
    room = room_of(state, asked.get("c", ""), asked.get("e", ""))
    await _note(request, room, asked.get(TOKEN_PART, ""), asked.get("ts", ""))
    line = await state["rooms"].find(room.id)
    standing = standing_of(state, request.scope["headers"], line)
    if line is None or standing is None or standing.place not in LET_IN:
        return _to_line(request, room)
    if not await _may_try_again(state, room, standing):
        again = wait_path(room, _target(request, room))
        response = page(request, "origins/refused.html", {"again": again}, status=503)
        response.headers["Retry-After"] = str(AGAIN.window_s)
        return response
    admission = await claim_place(state, line, standing.ticket)
    host = host_of(request.scope)
    return found(await onward_url(state, room, _target(request, room), admission, host, by_connector=True))


async def _may_try_again(state: State, room: KnownRoom, standing: Standing) -> bool:
    visit = f"{room.id}.{standing.ticket.epoch}.{standing.ticket.number}"
    try:
        return not await state["limits"].take([(AGAIN, visit)])
    except LimitsUnavailable as failure:
        log.warning("connector_tokens_not_counted", error=str(failure))
        return False


async def _note(request: Request[State], room: KnownRoom, text: str, their_time: str) -> None:
    """Count what the connector says. Raises Problem 404 if it is no error that connectors know."""
    state = request.state
    now_s = state["clock"].seconds()
    token = read(text, room.origin.secrets_at(now_s))
    is_time = their_time.isascii() and their_time.isdecimal() and len(their_time) <= TIME_DIGITS_MAX
    ahead_s = int(their_time) - now_s if is_time else None
    refused = why(request.path_params["error"], token, ahead_s, now_s)
    if refused is None:
        raise Problem("not_found")
    state["meters"].connector_refused(room.origin.id, room.id, refused)
    if token is None or not await _is_another_client(request, room, refused, token):
        return
    is_about_clocks = refused in (Refused.late, Refused.clock_differs)
    state["meters"].connector_client(room.origin.id, refused, ahead_s if is_about_clocks else None)
    if refused in (Refused.secret_differs, Refused.clock_differs, Refused.room_differs):
        ahead = None if ahead_s is None else round(ahead_s)
        state["meters"].sites.failed(room.origin.id, room.id, SiteError(refused.value))
        log.warning("connector_refused", origin=room.origin.id, room=room.id, why=refused, ahead_s=ahead)


async def _is_another_client(request: Request[State], room: KnownRoom, refused: Refused, token: QueueToken) -> bool:
    """Whether neither this address nor this visit has said so lately: who has a token of their own can say anything,
    and may not raise an alarm by saying it again."""
    of = f"{room.origin.id} {refused}"
    attempts = [(CLIENT, f"{of} {network_of(host_of(request.scope))}"), (CLIENT, f"{of} visit {token.queue_id}")]
    try:
        return not await request.state["limits"].take(attempts)
    except LimitsUnavailable as failure:
        log.warning("connector_clients_not_counted", error=str(failure))
        return False


async def cancel(request: Request[State]) -> Response:
    """The end of a visit that its id names, or of the place of the browser that comes from a page of the shop."""
    state, named = request.state, request.path_params
    room = room_of(state, named["customer"], named["event"])
    if "queue_id" in named:
        await _end(state, room, named["queue_id"])
    elif _comes_from(request, room) and standing_of(
        state, request.scope["headers"], await state["rooms"].find(room.id)
    ):
        await leave_line(state, request.scope["headers"], room.id)
    return _leave(request, room.origin)


async def cancel_several(request: Request[State]) -> Response:
    """The end of visits in several rooms of one customer, named as `room~id` and joined by `_`."""
    state = request.state
    origin = customer_of(state, request.path_params["customer"])
    for named in request.query_params.get("wrl", "").split("_")[:VISITS_MAX]:
        room_id, _, queue_id = named.partition("~")
        room = state["origins"].rooms.get(room_id)
        if room is not None and room.origin.id == origin.id:
            await _end(state, room, queue_id)
    return _leave(request, origin)


async def _end(state: State, room: KnownRoom, queue_id: str) -> None:
    """Free the place that this id names, once or again; nothing if it names none. Raises Problem, RoomUnavailable."""
    place = state["origins"].queue_ids.read(room.id, queue_id)
    if place is None:
        return
    visit = Visit(room, *place)
    try:
        await end_visit(state, visit)
    except Problem as problem:
        if problem.code not in ("visit_waits", "visit_unknown", "room_closed"):
            raise
        if problem.code == "visit_waits":
            await state["scripts"].leave(room.id, visit.epoch, visit.number, "", release_id="")


def _comes_from(request: Request[State], room: KnownRoom) -> bool:
    """Whether a page of the shop sent them: any other page could lead somebody here who wants to stay."""
    referrer = header(request.scope["headers"], b"referer") or b""
    return safe_target(referrer.decode("latin-1"), room.origin.hosts) is not None


def _leave(request: Request[State], origin: KnownOrigin) -> Response:
    return found(safe_target(request.query_params.get("r", ""), origin.hosts) or origin.target_url)


class FromConnectors(PageRoute):
    """Takes nobody but whom a connector sends: any other address below a path is somebody else's, or nothing."""

    brand = staticmethod(brand_of_customer)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return super().matches(scope) if "c" in asked and "e" in asked else (Match.NONE, {})


routes = [
    FromConnectors("/{prefix}/", page_route("/", come).endpoint, methods=["GET"]),
    page_route("/{prefix}/error/{error:path}/", error, brand=brand_of_customer),
    page_route("/{prefix}/cancel/multiple/{customer}", cancel_several, brand=brand_of_customer),
    page_route("/{prefix}/cancel/{customer}/{event}", cancel, brand=brand_of_customer),
    page_route("/{prefix}/cancel/{customer}/{event}/{queue_id}", cancel, brand=brand_of_customer),
    page_route("/error/{error:path}/", error, brand=brand_of_customer),
    page_route("/cancel/multiple/{customer}", cancel_several, brand=brand_of_customer),
    page_route("/cancel/multiple/{customer}/", cancel_several, brand=brand_of_customer),
    page_route("/cancel/{customer}/{event}", cancel, brand=brand_of_customer),
    page_route("/cancel/{customer}/{event}/", cancel, brand=brand_of_customer),
    page_route("/cancel/{customer}/{event}/{queue_id}", cancel, brand=brand_of_customer),
    page_route("/cancel/{customer}/{event}/{queue_id}/", cancel, brand=brand_of_customer),
]
