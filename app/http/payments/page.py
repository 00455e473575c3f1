"""Paying for a reservation by a plain form, over the function of the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.http.kit.forms import first, read_form
from app.http.kit.problems import Problem
from app.http.kit.render import see_other
from app.http.kit.routing import page_route
from app.http.payments import api as payments
from app.http.shop.shown import back_to_reservation, renewed
from app.http.state import State


async def pay(request: Request[State]) -> Response:
    reservation_id = request.path_params["reservation_id"]
    method = first(await read_form(request), "method")
    try:
        paid = await payments.pay(request.state, request.scope["headers"], reservation_id, method)
    except Problem as problem:
        return back_to_reservation(request, problem, method=method)
    return see_other(paid.redirect_url or f"/reservations/{reservation_id}")


routes = [page_route("/reservations/{reservation_id}/pay", pay, "POST", stale=renewed)]
