"""The pages of a place in line, whoever's room it is: an event's of this shop, or a site's behind a room of its own.

What differs is said by a `Frame`; pages of both share one template and one script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Opening
from app.http.events.view import EventView
from app.http.kit.render import page, see_other, set_policy
from app.http.line.door import host_of, wait_cookie, wait_left_s
from app.http.line.in_app import is_in_app
from app.http.line.lookup import view_of
from app.http.line.view import WaitView
from app.http.state import State
from app.room.view import LineView


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Of which room a page is. `base`: the address below which its forms lead; `here`: that of the waiting page;
    `onward`: where a turn that was claimed leads; `home`: the page about it, if there is one. `event` is None for a
    room of a site; `text`: of its own, above the line; `leads_to`: other sites to which its forms may lead; `in_app`:
    it is shown in the web view of an app of the site."""

    room_id: str
    title: str
    zone: str
    base: str
    here: str
    onward: str
    home: str = ""
    event: EventView | None = None
    text: str = ""
    leads_to: tuple[str, ...] = ()
    in_app: bool = False


def frame_of(event: EventView) -> Frame:
    base = f"/events/{event.event_id}"
    return Frame(
        room_id=event.event_id,
        title=event.title,
        zone=event.zone,
        base=base,
        here=f"{base}/wait",
        onward=f"{base}/seats",
        home=base,
        event=event,
    )


def show_wait(
    request: Request[State],
    frame: Frame,
    view: WaitView,
    line: LineView | None,
    position: Mapping[str, Any] | None = None,
    wish: str = "",
    *,
    can_move: bool = False,
    is_preview: bool = False,
) -> Response:
    """The waiting page. `position`: as the API would answer it, None for who has no place. `can_move`: the place is a
    browser's, which may take it to another one. `is_preview`: its script asks for nothing."""
    drawn = line is not None and line.opening is Opening.draw
    context = {"frame": frame, "event": frame.event, "view": view, "wish": wish, "drawn": drawn}
    context["in_app"] = is_in_app(request.scope["headers"])
    context["can_move"] = can_move
    script: dict[str, Any] = {
        "eventId": frame.room_id,
        "zone": frame.zone,
        "position": position,
        "onward": frame.onward,
    }
    script["opensAt"] = view.opens_at if position is None else None
    script["isSite"] = frame.event is None
    script["isPreview"] = is_preview
    response = page(request, "line/wait.html", context, script=script, words=("line.", "kit.error."))
    if frame.leads_to:
        set_policy(request, response, form_origins=frame.leads_to)
    return response


async def show_check(request: Request[State], frame: Frame, fields: Sequence[tuple[str, str]], wish: Any) -> Response:
    """Where a browser without scripts waits for its place; one with them works for it instead. `fields`: of the form
    that joins."""
    line = await view_of(request.state, frame.room_id)
    left_s = wait_left_s(request.state, request.scope["headers"], host_of(request.scope), line)
    if left_s is None:
        return see_other(frame.home or frame.here)
    context = {"frame": frame, "left_s": ceil(left_s), "wished": fields}
    context["again"] = f"{frame.base}/check?{urlencode(fields)}"
    has_captcha = request.state["entrance"].captcha is not None
    script = {"eventId": frame.room_id, "wish": wish, "leftS": ceil(left_s), "captcha": has_captcha}
    script["wait"] = frame.here
    response = page(request, "line/check.html", context, script=script, words=("events.door.", "kit.error."))
    return with_captcha(request, response)


async def ask_to_wait(
    request: Request[State], room_id: str, base: str, fields: Sequence[tuple[str, str]] = ()
) -> Response:
    """Send who joined without a script to the page that has them wait, from now on or for what is left of it."""
    line, headers, host = await view_of(request.state, room_id), request.scope["headers"], host_of(request.scope)
    response = see_other(f"{base}/check?{urlencode(fields)}")
    if not wait_left_s(request.state, headers, host, line):
        response.raw_headers.append(wait_cookie(request.state, host, line))
    return response


def with_captcha(request: Request[State], response: Response) -> Response:
    """The page with leave to load the CAPTCHA, if one is asked for."""
    captcha = request.state["entrance"].captcha
    if captcha is not None:
        set_policy(request, response, captcha_origins=captcha.origins)
    return response
