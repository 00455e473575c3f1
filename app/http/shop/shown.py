"""What the pages that sell share: what who asks has of an event, and the way back from a refused form."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.line import Place
from app.domain.passing import AdmissionPass
from app.domain.reservation import Reservation
from app.domain.sale import SaleStatus
from app.http.accounts.owners import holders_of, own_pass
from app.http.events.view import EventView
from app.http.kit.forms import first, read_form
from app.http.kit.problems import Problem
from app.http.kit.render import see_other
from app.http.shop.view import REFUSALS
from app.http.state import State
from app.ledger import reservations
from app.ledger.errors import StoreError

log = structlog.get_logger()


async def own_of(request: Request[State], event: EventView) -> list[Reservation]:
    """What who asks holds or has bought of the event; before the sale that is nothing, and the store is not asked.

    While the store is away nothing is said of it: the rest of the page comes from memory.
    """
    if event.status is SaleStatus.upcoming:
        return []
    try:
        holders = await holders_of(request)
        return await reservations.live_of(request.state["db"], event.event_id, holders) if holders else []
    except StoreError as error:
        log.warning("own_not_shown", event_id=event.event_id, error=type(error).__name__)
        return []


def pass_of(request: Request[State], event_id: str) -> AdmissionPass | None:
    try:
        return own_pass(request.state, request.scope["headers"], event_id)
    except Problem:
        return None  # the map may be looked at without one


def is_inside(state: State, admission: AdmissionPass) -> bool:
    """Whether the pass still opens anything: paying and leaving end the place in line before the pass's own time."""
    line = state["rooms"].views.get(admission.event_id)
    if line is None or line.epoch != admission.epoch:
        return False
    return line.place(admission.number) not in (Place.left, Place.lapsed)


def may_choose(request: Request[State], event: EventView) -> bool:
    """Whether who asks may hold seats of the event now."""
    if event.status is not SaleStatus.on_sale:
        return False
    admission = pass_of(request, event.event_id)
    return event.room == "direct" or (admission is not None and is_inside(request.state, admission))


def back_to_reservation(request: Request[State], refused: Problem, **chosen: str) -> Response:
    """Back to the reservation, where a reload or another language repeats no form; the address names the reason."""
    if refused.code not in REFUSALS:
        raise refused
    request.state["meters"].refused(refused.code)
    told = urlencode({"said": refused.code, **chosen})
    return see_other(f"/reservations/{request.path_params['reservation_id']}?{told}")


async def renewed(request: Request[State], stale: Problem) -> Response:
    """The reservation anew, with the way to pay that was chosen, for who logged in or out in another tab meanwhile."""
    method = first(await read_form(request), "method")
    return back_to_reservation(request, stale, **({"method": method} if method else {}))
