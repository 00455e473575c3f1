"""The waiting list as a page of its event: join it, see one's place, take up what is offered, leave it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.domain.waitlist import LIVE_STATES
from app.http.accounts.owners import holders_of
from app.http.events.shown import shown_event
from app.http.kit.forms import read_form, wish_of
from app.http.kit.i18n import texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.state import State
from app.http.waitlist import api as waitlist
from app.http.waitlist.entry import why_no_entry
from app.ledger import waitlist as ledger


async def list_page(request: Request[State]) -> Response:
    return await _shown(request)


async def _shown(request: Request[State], refused: Problem | None = None) -> Response:
    event, t = await shown_event(request), texts_for(request)
    entry = await ledger.own(request.state["db"], event.event_id, await holders_of(request))
    barred = why_no_entry(request, event.event_id)
    says_so = refused is not None and barred is not None and refused.code == barred.code
    context = {
        "event": event,
        "barred": "" if barred is None else problem_words(t, barred),
        "may_log_in": barred is not None and barred.status == 401,
        "entry": entry,
        "live": entry is not None and entry.state in LIVE_STATES,
        "seats_max": request.state["settings"].seats_per_buyer_max,
        "notice_text": problem_words(t, refused) if refused and not says_so else "",
    }
    script = {"eventId": event.event_id, "state": entry.state.value if entry else "none"}
    if entry is not None:
        script["place"] = str(entry.place or 0)
    status = refused.status if refused else 200
    return page(
        request, "waitlist/waitlist.html", context, script=script, words=("waitlist.", "kit.error."), status=status
    )


async def join(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    try:
        wish = wish_of(await read_form(request))
        if wish is None:
            raise Problem("payload_invalid.quantity")
        _, _, cookies = await waitlist.join_list(request, event_id, wish)
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _shown(request, problem)
    response = see_other(f"/events/{event_id}/waitlist")
    response.raw_headers.extend(cookies)
    return response


async def leave(request: Request[State]) -> Response:
    event_id = request.path_params["event_id"]
    try:
        await waitlist.leave_list(request, event_id)
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _shown(request, problem)
    return see_other(f"/events/{event_id}/waitlist")


routes = [
    page_route("/events/{event_id}/waitlist", list_page),
    page_route("/events/{event_id}/waitlist", join, "POST"),
    page_route("/events/{event_id}/waitlist/leave", leave, "POST"),
]
