"""`/wait/{room}`: the way of a visitor from a site to its waiting room and back, with a pass in the address.

Without a script too. `?t=` says where they wanted to go: only an address at one of the origin's hosts is taken, and
kept in a cookie until their turn; without one it is the room's target. Coming with `?t=` asks for a place; the page
without it shows the place there is, so reloading it after leaving takes none. Who keeps no cookies takes none either.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Place, RoomState
from app.domain.passing import AdmissionPass
from app.domain.targets import origin_of, safe_target
from app.http.accounts.owners import buyer_of, remember_browser
from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, header, set_cookie
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import see_other
from app.http.kit.routing import page_route
from app.http.line import turns
from app.http.line.door import ASKS_TO_WAIT, host_of
from app.http.line.lookup import view_of
from app.http.line.position import encode_position, tell_nothing
from app.http.line.shown import Frame, ask_to_wait, show_check, show_wait
from app.http.line.view import no_place_view, wait_view
from app.http.origins.branding import brand_of_room
from app.http.origins.entering import ENDED, Standing, enter, standing_of
from app.http.origins.framing import is_framed
from app.http.origins.onward import BY_CONNECTOR, BY_PART, onward_url
from app.http.state import State
from app.metrics.sites import SiteError
from app.origins.directory import KnownRoom
from app.room.view import LineView

TARGET_PREFIX, SENT_PREFIX, BY_PREFIX = b"tiketi_to_", b"tiketi_sent_", b"tiketi_by_"
APP_COOKIE = b"tiketi_app"  # this is the web view of a shop's app
SENT_LIFE_S = 60
SENT_MAX = 5  # times within SENT_LIFE_S that somebody is sent on by themselves: a site that loses the pass sends back
TOLD_APART = "k"  # in the address once a browser was given our cookie: it keeps it by then, or keeps none
ZONE = "UTC"


async def wait(request: Request[State]) -> Response:
    room, state = _room(request), request.state
    if buyer_of(state, request.scope["headers"]) is None:
        return _meet(request, room)
    line = await state["rooms"].find(room.id)
    standing = standing_of(state, request.scope["headers"], line)
    is_coming = "t" in request.query_params
    if _navigates(request, room) and (standing is None or (is_coming and standing.place in ENDED)):
        return await _come_in(request, room, line)
    if standing is not None and _is_let_in(standing, is_coming) and _times_sent(request, room) < SENT_MAX:
        assert line is not None, "there is a place in it"
        return await _sent_on(request, room, await turns.claim_place(state, line, standing.ticket))
    if is_coming:
        return _with_target(request, room, see_other(f"/wait/{room.id}"))
    return _page(request, room, line, standing)


def _is_let_in(standing: Standing, is_coming: bool) -> bool:
    """Whether they go on at once: at their turn only if they came for it, else the page calls them."""
    return standing.place is Place.claimed or (is_coming and standing.place is Place.admitted)


def _room(request: Request[State]) -> KnownRoom:
    """Raises Problem 404."""
    room = request.state["origins"].rooms.get(request.path_params["room_id"])
    if room is None:
        raise Problem("room_unknown", room_id=request.path_params["room_id"])
    return room


def _navigates(request: Request[State], room: KnownRoom) -> bool:
    """Whether a person goes to this page: no picture, frame or script of another site, and nothing ahead of a click."""
    headers = request.scope["headers"]
    if request.method != "GET" or header(headers, b"sec-purpose") is not None:
        return False
    kind = header(headers, b"sec-fetch-dest")
    return kind in (None, b"document") or (kind == b"iframe" and _is_framed_by_the_site(headers, room))


def _is_framed_by_the_site(headers: Headers, room: KnownRoom) -> bool:
    """Whether the frame is one that may show this page, as its page says of itself; anybody else's takes no place."""
    allowed = room.origin.frame_ancestors
    if not allowed or header(headers, b"sec-fetch-site") == b"same-origin":
        return bool(allowed)
    around = (header(headers, b"referer") or b"").decode("latin-1")
    return any(around == each or around.startswith(f"{each}/") for each in allowed)


def _meet(request: Request[State], room: KnownRoom) -> Response:
    """Give a browser that nobody has seen its secret, and see whether it keeps it. Raises Problem 403."""
    kept = {name: request.query_params[name] for name in ("t", BY_PART) if name in request.query_params}
    in_frame = is_framed(request.url.path, request.scope["headers"])
    if TOLD_APART in request.query_params:
        raise Problem("cookies_needed", window=f"/wait/{room.id}?{urlencode(kept)}" if in_frame else "")
    again = urlencode({TOLD_APART: "", **(kept if in_frame else {})})  # a frame may keep none, to be led out of it
    response = _with_target(request, room, see_other(f"/wait/{room.id}?{again}"))
    remember_browser(request, response)
    return response


async def _come_in(request: Request[State], room: KnownRoom, line: LineView | None) -> Response:
    state, headers = request.state, request.scope["headers"]
    try:
        entered = await enter(state, headers, host_of(request.scope), room)
    except Problem as problem:
        if problem.code in ASKS_TO_WAIT:
            return _with_target(request, room, await ask_to_wait(request, room.id, f"/wait/{room.id}"))
        if problem.code not in ("room_not_open", "room_closed"):
            raise
        state["meters"].refused(problem.code)
        return _with_target(request, room, _page(request, room, line, None))
    if entered.admission is not None:
        response = await _sent_on(request, room, entered.admission, straight=entered.straight)
    else:
        response = _with_target(request, room, see_other(f"/wait/{room.id}"))
    response.raw_headers.extend(entered.cookies)
    return response


def _asked_target(request: Request[State], room: KnownRoom) -> str | None:
    asked = request.query_params.get("t")
    safe = None if asked is None else safe_target(asked, room.origin.hosts)
    if asked is not None and safe is None:
        request.state["meters"].sites.failed(room.origin.id, room.id, SiteError.target_foreign)
    return safe


def _target(request: Request[State], room: KnownRoom) -> str:
    """Where they go at their turn. What a cookie says is checked as what an address says is."""
    asked = _asked_target(request, room)
    if asked is not None:
        return asked
    kept = cookie(request.scope["headers"], TARGET_PREFIX + room.id.encode())
    try:
        known = None if kept is None else urlsafe_b64decode(kept).decode()
    except (BinasciiError, ValueError):
        known = None
    return (known and safe_target(known, room.origin.hosts)) or room.target_url


def _with_target(request: Request[State], room: KnownRoom, response: Response) -> Response:
    """The answer, with which the browser keeps where its person wanted to go."""
    asked = _asked_target(request, room)
    if asked is not None:
        _set(request, response, TARGET_PREFIX, room, urlsafe_b64encode(asked.encode()).decode(), COOKIE_LIFE_S)
    if "t" in request.query_params and _is_by_connector(request, room) is not _came_by_connector(request, room):
        came_by = BY_CONNECTOR if _is_by_connector(request, room) else ""
        _set(request, response, BY_PREFIX, room, came_by, COOKIE_LIFE_S if came_by else 0)
    return response


def _is_by_connector(request: Request[State], room: KnownRoom) -> bool:
    """Whether who comes now, or came before, was sent by the site's connector, which knows another sign than a pass."""
    if "t" in request.query_params:
        return request.query_params.get(BY_PART) == BY_CONNECTOR
    return _came_by_connector(request, room)


def _came_by_connector(request: Request[State], room: KnownRoom) -> bool:
    return cookie(request.scope["headers"], BY_PREFIX + room.id.encode()) == BY_CONNECTOR.encode()


def _set(request: Request[State], response: Response, prefix: bytes, room: KnownRoom, value: str, life_s: int) -> None:
    secure = request.state["settings"].secure_cookies
    response.raw_headers.append(set_cookie(prefix + room.id.encode(), value, life_s=life_s, secure=secure))


def _times_sent(request: Request[State], room: KnownRoom) -> int:
    """How often they were sent on by themselves just now."""
    kept = cookie(request.scope["headers"], SENT_PREFIX + room.id.encode()) or b""
    return int(kept) if kept.isdigit() and len(kept) <= 2 else 0


async def _onward(
    request: Request[State], room: KnownRoom, admission: AdmissionPass, *, straight: bool = False
) -> Response:
    """To where they wanted to go, with the sign that they were let in."""
    how = {"by_connector": _is_by_connector(request, room), "straight": straight}
    target, host = _target(request, room), host_of(request.scope)
    return see_other(await onward_url(request.state, room, target, admission, host, **how))


async def _sent_on(
    request: Request[State], room: KnownRoom, admission: AdmissionPass, *, straight: bool = False
) -> Response:
    response = await _onward(request, room, admission, straight=straight)
    _set(request, response, SENT_PREFIX, room, str(_times_sent(request, room) + 1), SENT_LIFE_S)
    return response


def _page(request: Request[State], room: KnownRoom, line: LineView | None, standing: Standing | None) -> Response:
    t, state = texts_for(request), request.state
    position: dict[str, Any] | None = None
    if line is None:
        closed = room.is_over(state["clock"].now())
        view = no_place_view(t, "closed" if closed else "recovering")
    elif standing is None:
        is_ahead = line.state is RoomState.scheduled
        opens_at = datetime.fromtimestamp(line.opens_ms / 1000, UTC) if is_ahead else None
        view = no_place_view(t, line.state.value, opens_at)
    else:
        ticket = standing.ticket
        state["presence"].see(line, ticket.number, ticket.holder, wishes=False)
        position = msgspec.json.decode(encode_position(line, ticket.number, tell_nothing))
        position.pop("reason", None)  # a site may close without a sale that ends
        view = wait_view(t, position, ZONE)
    return show_wait(request, _frame(request, room), view, line, position)


def _frame(request: Request[State], room: KnownRoom) -> Frame:
    base = f"/wait/{room.id}"
    return Frame(
        room_id=room.id,
        title=room.translations.get(lang_of(request), room.name),
        zone=ZONE,
        base=base,
        here=base,
        onward=base,
        text=room.origin.text_in(lang_of(request)),
        leads_to=(origin_of(_target(request, room)),),
        in_app=cookie(request.scope["headers"], APP_COOKIE) is not None,
    )


async def join(request: Request[State]) -> Response:
    """The button of who has no place, or none any more."""
    room = _room(request)
    return await _come_in(request, room, await request.state["rooms"].find(room.id))


async def claim(request: Request[State]) -> Response:
    """Go on. No turn: back to the place in line."""
    room, state = _room(request), request.state
    line = await view_of(state, room.id)
    standing = standing_of(state, request.scope["headers"], line)
    try:
        if standing is None:
            raise Problem("ticket_missing")
        admission = await turns.claim_place(state, line, standing.ticket)
    except Problem as problem:
        if problem.status in (401, 403, 409, 410):
            return see_other(f"/wait/{room.id}")
        raise
    return await _onward(request, room, admission)


async def leave(request: Request[State]) -> Response:
    room = _room(request)
    await turns.leave_line(request.state, request.scope["headers"], room.id)
    return see_other(f"/wait/{room.id}")


async def check_page(request: Request[State]) -> Response:
    room = _room(request)
    return await show_check(request, _frame(request, room), [], None)


async def nothing(request: Request[State]) -> Response:
    """Any other address below: said in the look of the site. Raises Problem 404."""
    if not request.path_params["rest"]:
        return see_other(str(request.url.replace(path=request.url.path.rstrip("/"))))
    raise Problem("not_found")


routes = [
    page_route("/wait/{room_id}", wait, brand=brand_of_room),
    page_route("/wait/{room_id}/check", check_page, brand=brand_of_room),
    page_route("/wait/{room_id}/join", join, "POST", brand=brand_of_room),
    page_route("/wait/{room_id}/claim", claim, "POST", brand=brand_of_room),
    page_route("/wait/{room_id}/leave", leave, "POST", brand=brand_of_room),
    page_route("/wait/{room_id}/{rest:path}", nothing, brand=brand_of_room),
]
