"""What the apps of a shop ask: a place in a room of its, and the link by which their web view goes on with it.

The answer is a token for who was let in at once, else a link to the waiting page. Who the user is an app only says, so
it is not believed: whoever shows an enqueue token is whom it names, anybody else is somebody new.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.http.accounts.credentials import INVITED_PREFIX, browser_of
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute
from app.http.kit.bodies import decode, read_body
from app.http.kit.cookies import COOKIE_LIFE_S, HOST_PREFIX, set_cookie
from app.http.kit.problems import Problem
from app.http.kit.routing import page_route
from app.http.line.door import ASKS_TO_WAIT, host_of
from app.http.origins.connector import found, room_of
from app.http.origins.enqueue import show_enqueue_token
from app.http.origins.entering import Entered, enter
from app.http.origins.onward import connector_token, wait_path
from app.http.origins.wait import APP_COOKIE
from app.http.state import State
from app.limits.limits import Limit, LimitsUnavailable
from app.origins.connector.app_links import LIFE_S, AppLink
from app.origins.directory import KnownRoom

ONCE = Limit(name="app_link", times=1, window_s=LIFE_S)
SHOWN_ON_PAGE = frozenset({*ASKS_TO_WAIT, "room_not_open", "room_closed"})  # the waiting page says what to do

_Text = Annotated[str, msgspec.Meta(max_length=4_000)]


class AppEnqueue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an app says. `enqueueToken`: of its shop, for a room whose door is `invited`. The rest is not used."""

    enqueue_token: _Text | None = None
    user_id: _Text | None = None
    user_agent: _Text | None = None
    sdk_version: _Text | None = None
    layout_name: _Text | None = None
    language: _Text | None = None
    enqueue_key: _Text | None = None


class AppPlace(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A token for who was let in, else both addresses: where the web view goes, good once, and where that ends."""

    queue_id: str | None
    queue_url: str | None
    queue_url_ttl_in_minutes: int = msgspec.field(name="QueueUrlTTLInMinutes")
    event_target_url: str | None
    queueit_token: str | None


_decoder = msgspec.json.Decoder(AppEnqueue)


async def enqueue(request: Request[State]) -> Response:
    """Raises Problem: 4xx is final, 5xx is for trying again."""
    state, named = request.state, request.path_params
    room = room_of(state, named["customer"], named["customer_room"])
    wanted, host = decode(await read_body(request.receive), _decoder), host_of(request.scope)
    invited = await show_enqueue_token(state, [], room, wanted.enqueue_token, host) if wanted.enqueue_token else []
    pairs = [_pair(cookie) for cookie in invited]
    headers = [(b"cookie", "; ".join(f"{name}={value}" for name, value in pairs).encode())]
    try:
        entered = await enter(state, headers, host, room)
    except Problem as problem:
        if problem.code not in SHOWN_ON_PAGE:
            raise
        state["meters"].refused(problem.code)
        return json_answer(_link(request, room, pairs, None))
    if entered.admission is not None:
        token = connector_token(state, room, entered.admission, host, straight=entered.straight)
        if token is not None:
            return json_answer(_let_in(_queue_id(state, room, entered), token))
    pairs += [_pair(cookie) for cookie in entered.cookies]
    return json_answer(_link(request, room, pairs, _queue_id(state, room, entered)))


def _pair(cookie: tuple[bytes, bytes]) -> tuple[str, str]:
    """Name and value in a Set-Cookie header of ours."""
    name, _, value = cookie[1].partition(b";")[0].decode().partition("=")
    return name.removeprefix(HOST_PREFIX.decode()), value


def _queue_id(state: State, room: KnownRoom, entered: Entered) -> str:
    return state["origins"].queue_ids.of(room.id, entered.ticket.epoch, entered.ticket.number)


def _let_in(queue_id: str, token: str) -> AppPlace:
    return AppPlace(
        queue_id=queue_id, queue_url=None, queue_url_ttl_in_minutes=0, event_target_url=None, queueit_token=token
    )


def _link(request: Request[State], room: KnownRoom, pairs: list[tuple[str, str]], queue_id: str | None) -> AppPlace:
    state = request.state
    ends_s = state["clock"].seconds() + LIFE_S
    code = state["origins"].app_links.make(AppLink(room=room.id, target=room.target_url, cookies=pairs, ends_s=ends_s))
    ours = (state["settings"].public_url or str(request.base_url)).rstrip("/")
    return AppPlace(
        queue_id=queue_id,
        queue_url=f"{ours}/app/{code}",
        queue_url_ttl_in_minutes=LIFE_S // 60,
        event_target_url=room.target_url,
        queueit_token=None,
    )


async def open_link(request: Request[State]) -> Response:
    """Keep what the link brings, once, and go on to the waiting page. A browser that we know stays who it is: else a
    link could take its places away. Raises Problem 404."""
    state, code = request.state, request.path_params["code"]
    link = state["origins"].app_links.read(code, state["clock"].seconds())
    room = None if link is None else state["origins"].rooms.get(link.room)
    if link is None or room is None:
        raise Problem("not_found")
    response = found(wait_path(room, link.target))
    secure = state["settings"].secure_cookies
    is_known = browser_of(state["browsers"], request.scope["headers"]) is not None
    if await _is_first(state, code):
        for name, value in link.cookies:
            if not is_known or name.encode().startswith(INVITED_PREFIX):
                response.raw_headers.append(set_cookie(name.encode(), value, life_s=COOKIE_LIFE_S, secure=secure))
    response.raw_headers.append(set_cookie(APP_COOKIE, "1", life_s=COOKIE_LIFE_S, secure=secure))
    return response


async def _is_first(state: State, code: str) -> bool:
    try:
        return not await state["limits"].take([(ONCE, sha256(code.encode()).hexdigest())])
    except LimitsUnavailable:
        raise Problem("line_unavailable") from None


routes = [
    ApiRoute(
        "POST",
        "/api/mobileapp/queue/{customer}/{customer_room}/enqueue",
        enqueue,
        summary="A place for the user of an app: a token if they are let in at once, else a link for its web view.",
        body=AppEnqueue,
        answers={200: AppPlace},
        refusals=(
            "customer_unknown",
            "invitation_required",
            "enqueue_token_invalid",
            "enqueue_token_expired",
            "enqueue_token_elsewhere",
            "enqueue_token_foreign",
            "enqueue_token_spent",
        ),
    ),
    page_route("/app/{code}", open_link),
]
