"""Choosing, holding, cancelling, and what was reserved, as pages and plain forms over the shop's own functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from app.domain.charge import SIMULATOR
from app.domain.reservation import ReservationStatus
from app.http.accounts.owners import holders_of, kept_id, remember_browser
from app.http.events.cache import known_event
from app.http.events.shown import shown_event
from app.http.events.view import event_view
from app.http.kit.forms import read_form, wish_of
from app.http.kit.headers import content_security_policy
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line.lookup import place_of, room_of
from app.http.shop import cancelling
from app.http.shop import rules as shop
from app.http.shop.cancelling import CancelBody
from app.http.shop.shown import back_to_reservation, is_inside, may_choose, own_of, pass_of, renewed
from app.http.shop.view import MOVING, left_words, payment_words, refusal_words, reservation_view, returned_words
from app.http.state import State
from app.http.waitlist.entry import why_no_entry
from app.http.waitlist.waiting import waiting_of
from app.ledger import reservations
from app.ledger.charges import Money


async def seats_page(request: Request[State]) -> Response:
    return await _seats(request)


async def _seats(request: Request[State], refused: Problem | None = None) -> Response:
    """The map; after a refused form, with the reason and the form's status."""
    event, t = await shown_event(request), texts_for(request)
    shown = pass_of(request, event.event_id)
    admission = shown if shown is not None and is_inside(request.state, shown) else None
    seats_max = request.state["settings"].seats_per_buyer_max
    is_let_in = event.room == "direct" or admission is not None
    may_hold = is_let_in and not event.stopped
    notice = "" if refused is None else " ".join([problem_words(t, refused), left_words(t, refused.extra)])
    own = await own_of(request, event)
    context = {
        "event": event,
        "seats_max": seats_max,
        "is_let_in": is_let_in,
        "was_let_in": shown is not None,
        "has_place": place_of(request, request.state["rooms"].views.get(event.event_id)) is not None,
        "may_hold": may_hold,
        "own": own,
        "offers_list": event.lacks_a_grade and why_no_entry(request, event.event_id) is None,
        "pass_until": datetime.fromtimestamp(admission.expires_s, UTC) if admission else None,
        "notice_text": notice.strip(),
    }
    script = {
        "eventId": event.event_id,
        "seatsMax": seats_max,
        "mayHold": may_hold,
        "status": event.status,
        "grades": [grade.name for grade in event.grades],
        "notice": notice,
        "has": bool(own),
    }
    status = 200 if refused is None else refused.status
    response = page(
        request,
        "shop/seats.html",
        context,
        script=script,
        words=("shop.seats.", "kit.error.", "line.admitted.none"),
        status=status,
    )
    if event.room == "direct":
        remember_browser(request, response)
    return response


async def reserve(request: Request[State]) -> Response:
    """Best available from a plain form."""
    event_id = request.path_params["event_id"]
    try:
        wish = wish_of(await read_form(request))
        if wish is None:
            raise Problem("payload_invalid.quantity")
        network = shop.network_that_counts(request, event_id)
        made, _ = await shop.reserve(request.state, request.scope["headers"], event_id, wish, network)
    except Problem as problem:
        if problem.code == "already_holding":
            return see_other(f"/reservations/{problem.extra['reservation']['id']}?said={problem.code}")
        if problem.status == 404:
            raise
        return await _seats(request, problem)
    return see_other(f"/reservations/{made['id']}")


async def reservation_page(request: Request[State]) -> Response:
    """A reservation as it stands, with why the form that led here was refused if that still holds."""
    found = await shop.own(request.state, request.scope["headers"], request.path_params["reservation_id"])
    (answer,) = await shop.with_money(request.state, [found])
    payment: Money | None = answer.get("payment")
    event = await known_event(request.state, found.event_id)
    shown = event_view(event, room_of(request.state, event), None, request.state["clock"].now(), lang_of(request))
    asked, providers = request.query_params, request.state["providers"]
    method_name = partial(providers.method_name, language=lang_of(request))
    method = asked.get("method") or (payment.method if payment else "")
    kept = found.status is ReservationStatus.confirmed and await shop.has_begun(request.state, found.event_id)
    said = refusal_words(texts_for(request), asked.get("said", ""), found.status, payment)
    unreached = bool(said) and asked.get("said") == "payment_unreachable"
    says_of_money = unreached or (bool(said) and payment is not None and payment.status == "failed")
    context = {
        "event": shown,
        "reservation": reservation_view(answer),
        "can_cancel": found.live and not kept,
        "may_choose": not found.live and may_choose(request, shown),
        "methods": [(method, method_name(method)) for method in providers.methods],
        "chosen": method if method in providers.methods else providers.methods[0],
        "simulated": any(providers.for_method(method).name == SIMULATOR for method in providers.methods),
        "payment": payment,
        "payment_text": "" if says_of_money else payment_words(texts_for(request), payment, method_name),
        "returned_text": returned_words(texts_for(request), payment),
        "payment_moves": _moves(payment) and not unreached,
        "gives_up_payment": payment is not None and payment.status == "pending" and not unreached,
        "notice_text": said,
    }
    response = page(request, "shop/reservation.html", context, script={}, words=("shop.reservation.",))
    response.raw_headers.extend(kept_id(request.state, request.scope["headers"], [found]))
    if providers.redirect_origins:  # the form leads to the provider's page: browsers hold redirects to form-action too
        response.headers["Content-Security-Policy"] = content_security_policy(sorted(providers.redirect_origins))
    return response


def _moves(payment: Money | None) -> bool:
    """Whether money is on its way, so that the page waits for news of it."""
    return payment is not None and (payment.status in MOVING or payment.returning > 0)


async def cancel(request: Request[State]) -> Response:
    reservation_id = request.path_params["reservation_id"]
    try:
        form = await read_form(request)
        chosen = form.get("seat", [])
        if "choose" in form and not chosen:
            raise Problem("seats_not_chosen")
        wanted = CancelBody(seat_ids=chosen or None)
        await cancelling.as_buyer(request.state, request.scope["headers"], reservation_id, wanted)
    except Problem as problem:
        return back_to_reservation(request, problem)
    return see_other(f"/reservations/{reservation_id}")


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
    state, lang = request.state, lang_of(request)
    now = state["clock"].now()
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
    page_route("/reservations", my_reservations),
    page_route("/events/{event_id}/seats", seats_page),
    page_route("/events/{event_id}/reserve", reserve, "POST"),
    page_route("/reservations/{reservation_id}", reservation_page),
    page_route("/reservations/{reservation_id}/cancel", cancel, "POST", stale=renewed),
]
