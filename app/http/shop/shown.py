"""What the pages that sell share: what who asks has of an event, and the way back from a refused form."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.reservation import Reservation
from app.domain.sale import SaleStatus
from app.http.accounts.owners import holders_of
from app.http.events.view import EventView
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


def back_to_reservation(request: Request[State], refused: Problem, **chosen: str) -> Response:
    """Back to the reservation, where a reload or another language repeats no form; the address names the reason."""
    if refused.code not in REFUSALS:
        raise refused
    request.state["meters"].refused(refused.code)
    told = urlencode({"said": refused.code, **chosen})
    return see_other(f"/reservations/{request.path_params['reservation_id']}?{told}")
