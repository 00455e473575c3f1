"""Paying, as the API and the pages do it, and the gateway's webhook. Translates only: app/payments has the rules."""

from __future__ import annotations

from typing import Annotated

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.domain.charge import SIMULATOR
from app.domain.reservation import Reservation, ReservationStatus
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute, Who
from app.http.kit.bodies import decode, read_body
from app.http.kit.cookies import Headers
from app.http.kit.idempotency import idempotency_key
from app.http.kit.problems import Problem
from app.http.shop import rules as shop
from app.http.state import State
from app.lane.errors import LaneUnavailable
from app.ledger.charges import Money, money_of
from app.payments.checkout import Paid, PaidStatus
from app.payments.provider import SignatureInvalid, WebhookNotUnderstood
from app.payments.providers.simulator import SIGNATURE_HEADER, SimulatorWebhook
from app.payments.registry import UnknownMethod


class PayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`paymentMethod` is one of GET /api/payments/methods; not needed where the total is 0."""

    reservation_id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    payment_method: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] = ""


class PaymentView(msgspec.Struct, frozen=True, rename="camel"):
    """One attempt to pay. `status`: captured | pending | refund_due | refunded. `redirectUrl`: while pending, the
    provider's page on which the buyer pays; from there they come back to the reservation's page."""

    id: str
    reservation_id: str
    method: str
    amount: int
    status: str
    redirect_url: str | msgspec.UnsetType = msgspec.UNSET


class PaymentAnswer(msgspec.Struct, frozen=True):
    payment: PaymentView


class MethodsAnswer(msgspec.Struct, frozen=True):
    methods: list[str]


class WebhookAnswer(msgspec.Struct, frozen=True):
    received: bool


log = structlog.get_logger()
_pay_decoder = msgspec.json.Decoder(PayBody)

REFUSALS = {
    PaidStatus.unclear: "payment_unclear",
    PaidStatus.unreachable: "payment_unreachable",
    PaidStatus.already_paid: "already_paid",
    PaidStatus.declined: "payment_declined",
    PaidStatus.given_up: "payment_given_up",
    PaidStatus.key_reused: "key_reused.payment",
    PaidStatus.hold_over: "hold_over",
    PaidStatus.too_many: "too_many_payments",
}


async def pay(state: State, headers: Headers, reservation_id: str, method: str) -> PaymentView:
    """Take the money, if any is asked, then sell the seats; money whose hold is over goes back. A repeat gives the same
    payment."""
    reservation = await shop.own(state, headers, reservation_id)
    if await _begins(state, reservation):
        await shop.check_bought(state, headers, reservation)
    try:
        paid = await state["checkout"].pay(reservation, method, idempotency_key(headers, reservation.holder))
    except UnknownMethod:
        raise Problem("payload_invalid.method", given=method[:40]) from None
    except LaneUnavailable:
        raise shop.lane_busy() from None  # the charge is stored, so the payer job resumes it
    view = payment_view(paid)
    match paid.status:
        case PaidStatus.captured | PaidStatus.pending:
            return view
        case PaidStatus.refund_due | PaidStatus.refunded:
            raise _too_late(view.status, view)
        case _:
            raise Problem(REFUSALS[paid.status])


async def _begins(state: State, reservation: Reservation) -> bool:
    """Whether money is asked for now, and not looked for that was asked for before.

    Raises Problem for a reservation that nobody may pay for any more, saying where its money is.
    """
    if reservation.status is ReservationStatus.confirmed:
        return False
    money = (await money_of(state["db"], [reservation.id])).get(reservation.id)
    owed = money is not None and money.status in ("refund_due", "refunded")
    if reservation.status is ReservationStatus.pending:
        if owed or (money is not None and money.status == "pending"):
            return False
        if reservation.ends_at > state["checkout"].now():
            return True
        raise Problem("hold_over")
    if owed and money is not None and reservation.status is not ReservationStatus.refunded:
        raise _too_late(money.status, money)
    raise shop.over(reservation.status)


def _too_late(status: str, payment: PaymentView | Money) -> Problem:
    goes = "is back" if status == "refunded" else "is on its way back"
    return Problem("paid_too_late", goes=goes, payment=payment)


def payment_view(paid: Paid) -> PaymentView:
    charge = paid.charge
    return PaymentView(
        id=charge.id,
        reservation_id=charge.reservation_id,
        method=charge.method,
        amount=charge.amount,
        status=paid.status.value,
        redirect_url=paid.redirect_url or msgspec.UNSET,
    )


async def process(request: Request[State]) -> Response:
    """201: paid and sold. 202: the provider has not decided; ask again, or look at the reservation."""
    body = decode(await read_body(request.receive), _pay_decoder)
    view = await pay(request.state, request.scope["headers"], body.reservation_id, body.payment_method)
    return json_answer(PaymentAnswer(view), 202 if view.status == PaidStatus.pending else 201)


async def methods(request: Request[State]) -> Response:
    return json_answer(MethodsAnswer(list(request.state["providers"].methods)))


async def webhook(request: Request[State]) -> Response:
    """What became of a charge, sent by the provider itself. Repeated, it changes nothing."""
    name = request.path_params.get("provider", SIMULATOR)
    provider = request.state["providers"].named(name)
    if provider is None:
        raise Problem("provider_unknown", given=name[:40])
    body = await read_body(request.receive)
    try:
        event = await provider.read_webhook(request.headers, body)
        known = event is None or await request.state["checkout"].handle_webhook(name, event)
    except SignatureInvalid:
        raise Problem("signature_invalid") from None
    except WebhookNotUnderstood as error:
        log.error("webhook_not_understood", provider=name, error=str(error))
        raise Problem("webhook_not_understood", why=str(error).removesuffix(".")) from None
    if event is not None and not known:
        log.error("webhook_of_unknown_charge", provider=name, charge_id=event.charge_id[:40])
        raise Problem("charge_unknown")
    return json_answer(WebhookAnswer(received=True))


routes = [
    ApiRoute(
        "POST",
        "/api/payments/process",
        process,
        summary="Pay for a reservation; with an Idempotency-Key it may be repeated.",
        who=Who.owner,
        body=PayBody,
        answers={201: PaymentAnswer, 202: PaymentAnswer},
        refusals=(
            "reservation_unknown",
            "buyer_limit",
            "payment_declined",
            "already_paid",
            "payment_given_up",
            "too_many_payments",
            "reservation_over",
            "hold_over",
            "paid_too_late",
            "key_reused",
            "payment_unclear",
            "payment_unreachable",
            "lane_busy",
        ),
        headers={"Idempotency-Key": "Makes a repeat give the first answer again."},
    ),
    ApiRoute("GET", "/api/payments/methods", methods, summary="The payment methods.", answers={200: MethodsAnswer}),
    ApiRoute(
        "POST",
        "/api/payments/webhook",
        webhook,
        summary="The webhook of the simulated payment provider, at its first address.",
        body=SimulatorWebhook,
        answers={200: WebhookAnswer},
        refusals=("signature_invalid", "charge_unknown", "webhook_not_understood"),
        headers={SIGNATURE_HEADER: "`t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<seconds>.<body>`."},
    ),
    ApiRoute(
        "POST",
        "/api/payments/webhooks/{provider}",
        webhook,
        summary="The webhook of a payment provider: what became of a charge, in its own format and signed its own way.",
        answers={200: WebhookAnswer},
        refusals=("signature_invalid", "charge_unknown", "webhook_not_understood", "body_too_large"),
    ),
]
