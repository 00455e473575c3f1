"""Charges buyers and has the lane sell their seats: the one path from a charge to a confirmed reservation.

A charge is stored before the provider is called. `apply_gateway_answer` applies every answer of the provider: to a
request, by webhook, or to the payer job (workers/payer.py), which finishes charges that a request left open. The lane
gets a Confirm whose id is derived from the charge's id. So if a process dies at any step, another process can resume
the charge from there; two may do so at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import structlog

from app.domain.charge import Charge, ChargeStatus
from app.domain.reservation import PaymentStatus, Reservation
from app.lane.commands import Confirm, Outcome, OutcomeStatus
from app.lane.errors import LaneUnavailable
from app.ledger import charges, reservations
from app.ledger.charges import Begun
from app.ledger.database import Database
from app.payments.gateway_answers import RECHECK_AFTER_S, RECHECK_AFTER_WEBHOOK_S, apply_gateway_answer, confirm_of
from app.payments.provider import (
    ChargeRequest,
    GatewayAnswer,
    GatewayError,
    GatewayFault,
    NetworkFailure,
    RedirectBuyer,
    Verdict,
    WebhookEvent,
)
from app.payments.redirects import why_no_redirect
from app.payments.registry import Providers
from app.payments.retry_policy import RetryPolicy

log = structlog.get_logger()

Submit = Callable[[str, Confirm], Awaitable[Outcome]]  # (event_id, command)
Send = Callable[[str, Sequence[Confirm]], Awaitable[None]]  # the same, without waiting for the lane's outcome


class PaidStatus(StrEnum):
    """The result of an attempt to pay."""

    captured = "captured"  # the buyer has paid and the seats are sold
    pending = "pending"  # the provider has not decided yet; its webhook will report the decision
    unclear = "unclear"  # the provider did not answer; the payer job will ask it later
    unreachable = "unreachable"  # the request did not reach the provider; repeating the payment resumes it
    already_paid = "already_paid"  # the reservation is paid by another method
    refund_due = "refund_due"  # the buyer has paid, but does not have the seats: the money will be refunded
    refunded = "refunded"  # the same, and the money has been refunded
    declined = "declined"  # the provider took no money
    given_up = "given_up"  # we cancelled this charge; any money taken for it is refunded
    key_reused = "key_reused"  # the idempotency key belongs to another payment; nothing was charged
    too_many = "too_many"  # too many attempts for this reservation; nothing was charged


@dataclass(frozen=True, slots=True)
class Paid:
    """`redirect_url`: the provider's page on which the buyer pays; set only if `status` is pending."""

    status: PaidStatus
    charge: Charge
    redirect_url: str | None = None


@dataclass(kw_only=True, eq=False)
class Checkout:
    """`submit` sends a Confirm to the lane and waits for its outcome. `pay` passes on its exceptions; a repeated `pay`
    resumes the charge. `send` sends without waiting; if it raises LaneUnavailable, the payer job sends the Confirm
    later. `return_url` maps a reservation id to the address of its page. `https_only` refuses redirects to plain http.
    """

    db: Database
    providers: Providers
    submit: Submit
    send: Send
    retry: RetryPolicy
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    return_url: Callable[[str], str]
    https_only: bool

    async def pay(self, reservation: Reservation, method: str, key: str | None) -> Paid:
        """Charge the price of the reservation, or resume an earlier charge: the one with the same idempotency key, else
        one for the same reservation and method that is under way or paid.

        Raises UnknownMethod if no provider offers the method.
        """
        wanted = Charge(
            id=self.new_id(),
            reservation_id=reservation.id,
            event_id=reservation.event_id,
            method=method,
            amount=reservation.total_price,
            status=ChargeStatus.started,
            key=key,
            created_at=self.now(),
            next_at=self._in(RECHECK_AFTER_S),
            provider=self.providers.for_method(method).name,
        )
        begun, charge = await charges.begin(self.db, wanted)
        match begun:
            case Begun.other_body:
                return Paid(PaidStatus.key_reused, charge)
            case Begun.other_method:
                return Paid(PaidStatus.already_paid, charge)
            case Begun.too_many:
                return Paid(PaidStatus.too_many, charge)
            case _:
                paid = await self.resume(charge, reservation.holder)
                return paid if reservation.expires_at > self.now() else replace(paid, redirect_url=None)

    async def resume(self, charge: Charge, holder: str) -> Paid:
        """Do the remaining steps of a charge, from whatever state it is in: call the provider, then the lane."""
        redirect_url = None
        if charge.status is ChargeStatus.started:
            try:
                answer = await self._ask(charge)
            except GatewayError as error:
                return await self._no_answer(charge, error)
            if isinstance(answer, RedirectBuyer):
                redirect_url = answer.url
                answer = GatewayAnswer(Verdict.pending, answer.reference, charge.amount)
            charge = await apply_gateway_answer(self.db, charge, answer, self.now())
        if charge.status is ChargeStatus.captured:
            charge = await self._confirm(charge, holder)
        status = await self._paid_status(charge)
        return Paid(status, charge, redirect_url if status is PaidStatus.pending else None)

    async def _ask(self, charge: Charge) -> GatewayAnswer | RedirectBuyer:
        """Have the charge's provider charge the buyer. Raises GatewayError, also for a redirect to a wrong address."""
        provider = self.providers.of_charge(charge.provider)
        request = ChargeRequest(charge.id, charge.method, charge.amount, self.return_url(charge.reservation_id))
        answer = await self.retry(partial(provider.charge, request))
        if isinstance(answer, RedirectBuyer):
            wrong = why_no_redirect(answer.url, provider.redirect_origins, https_only=self.https_only)
            if wrong:
                raise GatewayFault(f"the redirect of {provider.name} is refused: {wrong}")
        return answer

    async def _confirm(self, charge: Charge, holder: str) -> Charge:
        """Have the lane sell the seats of a captured charge. If there is no such reservation, a refund is due."""
        outcome = await self.submit(charge.event_id, confirm_of(charge, holder))
        if outcome.status is OutcomeStatus.not_found:
            log.error("captured_without_reservation", charge_id=charge.id, reservation_id=charge.reservation_id)
            return await charges.transition(self.db, charge, ChargeStatus.refund_due, next_at=self.now())
        return await charges.transition(self.db, charge, ChargeStatus.settled)

    async def handle_webhook(self, provider: str, event: WebhookEvent) -> bool:
        """Apply a provider's webhook to its charge; False if that provider has no such charge.

        Returns once the answer is stored and the Confirm is sent, without waiting for its outcome: a webhook's sender
        waits less long. If the Confirm is lost, the payer job sends it again after RECHECK_AFTER_WEBHOOK_S.
        """
        charge = await charges.get(self.db, event.charge_id)
        if charge is None or charge.provider != provider:
            return False
        charge = await apply_gateway_answer(self.db, charge, event.answer, self.now(), RECHECK_AFTER_WEBHOOK_S)
        if charge.status is ChargeStatus.captured:
            reservation = await reservations.get(self.db, charge.reservation_id)
            assert reservation is not None, "a charge's reservation is never deleted"
            await self._send(charge, reservation.holder)
        return True

    async def _send(self, charge: Charge, holder: str) -> None:
        try:
            await self.send(charge.event_id, [confirm_of(charge, holder)])
        except LaneUnavailable as error:
            log.warning("confirm_not_sent", charge_id=charge.id, error=repr(error))

    async def _no_answer(self, charge: Charge, error: GatewayError) -> Paid:
        log.warning("gateway_no_answer", charge_id=charge.id, error=f"{type(error).__name__}: {error}")
        charge = await charges.transition(self.db, charge, charge.status, error=str(error))
        if charge.status is not ChargeStatus.started:
            return Paid(await self._paid_status(charge), charge)  # a webhook came first
        unreachable = isinstance(error, NetworkFailure) and charge.reference is None
        return Paid(PaidStatus.unreachable if unreachable else PaidStatus.unclear, charge)

    async def _paid_status(self, charge: Charge) -> PaidStatus:
        match charge.status:
            case ChargeStatus.settled:
                said = await charges.payment_of(self.db, charge)
                return PaidStatus(said.value if said is not None else PaymentStatus.refund_due.value)
            case ChargeStatus.failed:
                return PaidStatus.declined
            case ChargeStatus.refund_due | ChargeStatus.refunded:
                return PaidStatus.given_up
            case _:
                return PaidStatus.pending

    def _in(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)
