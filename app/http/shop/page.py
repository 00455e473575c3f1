"""Choosing, holding, cancelling, and what was reserved, as pages and plain forms over the shop's own functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from app.domain.charge import SIMULATOR
from app.domain.line import Place
from app.domain.reservation import ReservationStatus
from app.http.accounts.credentials import require_pass
from app.http.accounts.owners import holders_of, kept_id, remember_browser
from app.http.accounts.tokens import AdmissionPass
from app.http.events.cache import known_event
from app.http.events.shown import shown_event
from app.http.events.view import event_view
from app.http.kit.forms import read_form, wish_of
from app.http.kit.headers import content_security_policy
from app.http.kit.i18n import lang_of, texts_for
from app.http.kit.problems import Problem
from app.http.kit.render import page, see_other
from app.http.kit.routing import page_route, problem_words
from app.http.line.lookup import room_of
from app.http.shop import rules as shop
from app.http.shop.shown import back_to_reservation, own_of
from app.http.shop.view import MOVING, left_words, payment_words, refusal_words, reservation_view
from app.http.state import State
from app.http.waitlist.waiting import waiting_of
from app.ledger import reservations
from app.ledger.charges import Money


async def seats_page(request: Request[State]) -> Response:
    return await _seats(request)


async def _seats(request: Request[State], refused: Problem | None = None) -> Response:
    """The map; after a refused form, with the reason and the form's status."""
    event, t = await shown_event(request), texts_for(request)
    shown = _pass_of(request, event.event_id)
    admission = shown if shown is not None and _is_inside(request.state, shown) else None
    seats_max = request.state["settings"].seats_per_buyer_max
    is_let_in = event.room == "direct" or admission is not None
    may_hold = is_let_in and not event.stopped
    notice = "" if refused is None else " ".join([problem_words(t, refused), left_words(t, refused.extra.get("left"))])
    context = {
        "event": event,
        "seats_max": seats_max,
        "is_let_in": is_let_in,
        "was_let_in": shown is not None,
        "may_hold": may_hold,
        "own": await own_of(request, event),
        "pass_until": admission.expires_at if admission else None,
        "notice_text": notice.strip(),
    }
    script = {
        "eventId": event.event_id,
        "seatsMax": seats_max,
        "mayHold": may_hold,
        "status": event.status,
        "grades": [grade.name for grade in event.grades],
        "notice": notice,
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


def _pass_of(request: Request[State], event_id: str) -> AdmissionPass | None:
    try:
        return require_pass(request.state["tokens"], request.scope["headers"], event_id)
    except Problem:
        return None  # the map may be looked at without one


def _is_inside(state: State, admission: AdmissionPass) -> bool:
    """Whether the pass still opens anything: paying and leaving end the place in line before the pass's own time."""
    line = state["rooms"].views.get(admission.event_id)
    if line is None or line.epoch != admission.epoch:
        return False
    return line.place(admission.number) not in (Place.left, Place.lapsed)


async def reserve(request: Request[State]) -> Response:
    """Best available from a plain form."""
    event_id = request.path_params["event_id"]
    try:
        wish = wish_of(await read_form(request))
        if wish is None:
            raise Problem("payload_invalid.quantity")
        made = await shop.reserve(request.state, request.scope["headers"], event_id, None, wish)
    except Problem as problem:
        if problem.code == "already_holding":
            return see_other(f"/reservations/{problem.extra['reservation']['id']}")
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
    shown = event_view(event, room_of(request.state, event.id), None, request.state["clock"].now(), lang_of(request))
    asked, providers = request.query_params, request.state["providers"]
    method_name = partial(providers.method_name, language=lang_of(request))
    method = asked.get("method") or (payment.method if payment else "")
    kept = found.status is ReservationStatus.confirmed and await shop.has_begun(request.state, found.event_id)
    context = {
        "event": shown,
        "reservation": reservation_view(answer),
        "can_cancel": found.live and not kept,
        "methods": [(method, method_name(method)) for method in providers.methods],
        "chosen": method if method in providers.methods else providers.methods[0],
        "simulated": any(providers.for_method(method).name == SIMULATOR for method in providers.methods),
        "payment": payment,
        "payment_text": payment_words(texts_for(request), payment, method_name),
        "payment_moves": payment is not None and payment.status in MOVING,
        "notice_text": refusal_words(texts_for(request), asked.get("said", ""), found.status, payment),
    }
    response = page(request, "shop/reservation.html", context, script={}, words=("shop.reservation.",))
    response.raw_headers.extend(kept_id(request.state, request.scope["headers"], [found]))
    if providers.redirect_origins:  # the form leads to the provider's page: browsers hold redirects to form-action too
        response.headers["Content-Security-Policy"] = content_security_policy(sorted(providers.redirect_origins))
    return response


async def cancel(request: Request[State]) -> Response:
    reservation_id = request.path_params["reservation_id"]
    try:
        await shop.cancel(request.state, request.scope["headers"], reservation_id)
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
    page_route("/reservations/{reservation_id}/cancel", cancel, "POST"),
]
