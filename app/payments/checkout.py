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

from app.domain.charge import FREE, NO_PROVIDER, Charge, ChargeStatus
from app.domain.reservation import PaymentStatus, Reservation
from app.lane.commands import Confirm, Outcome, OutcomeStatus, Reverse
from app.lane.errors import LaneUnavailable
from app.ledger import charges, reservations
from app.ledger.charges import Begun
from app.ledger.database import Database
from app.payments.gateway_answers import (
    RECHECK_AFTER_S,
    RECHECK_AFTER_WEBHOOK_S,
    apply_gateway_answer,
    commands_of,
    confirm_of,
)
from app.payments.provider import (
    ChargeRequest,
    GatewayAnswer,
    GatewayError,
    GatewayFault,
    NetworkFailure,
    RedirectBuyer,
    Verdict,
    WebhookEvent,
    WebhookNotUnderstood,
)
from app.payments.redirects import why_no_redirect
from app.payments.registry import Providers
from app.payments.retry_policy import RetryPolicy

UNREACHED = "not reached: "  # how the error of a charge begins of which no request ever reached the provider
log = structlog.get_logger()

Submit = Callable[[str, Confirm], Awaitable[Outcome]]  # (event_id, command)
Send = Callable[[str, Sequence[Confirm | Reverse]], Awaitable[None]]  # the same, without waiting for the lane's outcome


class PaidStatus(StrEnum):
    """The result of an attempt to pay."""

    captured = "captured"  # the buyer has paid and the seats are sold
    pending = "pending"  # the provider has not decided yet; its webhook will report the decision
    unclear = "unclear"  # the provider did not answer; the payer job will ask it later
    unreachable = "unreachable"  # no request reached the provider; repeating the payment resumes it
    already_paid = "already_paid"  # the reservation is paid by another method
    refund_due = "refund_due"  # the buyer has paid, but does not have the seats: the money will be refunded
    refunded = "refunded"  # the same, and the money has been refunded
    declined = "declined"  # the provider took no money
    given_up = "given_up"  # we cancelled this charge; any money taken for it is refunded
    key_reused = "key_reused"  # the idempotency key belongs to another payment; nothing was charged
    hold_over = "hold_over"  # the seats are not held any more; nothing was charged
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
    `grace`: how long a payment by a method that is begun in time keeps its hold.
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
    grace: Callable[[str], timedelta]

    async def pay(self, reservation: Reservation, method: str, key: str | None) -> Paid:
        """Charge the price of the reservation, if it has one, or resume an earlier charge: the one with the same
        idempotency key, else one for the same reservation and method that is under way or paid.

        Raises UnknownMethod if no provider offers the method.
        """
        free = reservation.total_price == 0
        wanted = Charge(
            id=self.new_id(),
            reservation_id=reservation.id,
            event_id=reservation.event_id,
            method=FREE if free else method,
            amount=reservation.total_price,
            status=ChargeStatus.captured if free else ChargeStatus.started,
            key=key,
            created_at=self.now(),
            next_at=self._in(RECHECK_AFTER_S),
            provider=NO_PROVIDER if free else self.providers.for_method(method).name,
            keeps_until=None if free else self.now() + self.grace(method),
        )
        begun, charge = await charges.begin(self.db, wanted)
        match begun:
            case Begun.other_body:
                return Paid(PaidStatus.key_reused, charge)
            case Begun.other_method:
                return Paid(PaidStatus.already_paid, charge)
            case Begun.hold_over:
                return Paid(PaidStatus.hold_over, charge)
            case Begun.too_many:
                return Paid(PaidStatus.too_many, charge)
            case _:
                paid = await self.resume(charge, reservation.holder, first=begun is Begun.made)
                lasts = max(reservation.ends_at, charge.keeps_until or reservation.ends_at)
                return paid if lasts > self.now() else replace(paid, redirect_url=None)

    async def resume(self, charge: Charge, holder: str, *, first: bool = False) -> Paid:
        """Do the remaining steps of a charge, from whatever state it is in: call the provider, then the lane.

        `first`: nobody can have called the provider for it before.
        """
        redirect_url = None
        if charge.status is ChargeStatus.started:
            try:
                answer = await self._ask(charge)
            except GatewayError as error:
                return await self._no_answer(charge, error, first=first)
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
        """Apply a provider's webhook to its charge; False if that provider has no such charge. Raises
        WebhookNotUnderstood for a part of the money that was paid back and that we know nothing of.

        Returns once the answer is stored and the lane's commands are sent, without waiting for their outcomes: a
        webhook's sender waits less long. If they are lost, the payer job sends them again.
        """
        charge = await charges.get(self.db, event.charge_id)
        if charge is None or charge.provider != provider:
            return False
        if event.answer.refunded and event.answer.verdict is Verdict.captured:
            ours = await charges.paid_back(self.db, charge)
            if event.answer.refunded > ours:
                raise WebhookNotUnderstood(
                    f"{event.answer.refunded} of charge {charge.id} were paid back, and we know of {ours}"
                )
        charge = await apply_gateway_answer(self.db, charge, event.answer, self.now(), RECHECK_AFTER_WEBHOOK_S)
        if charge.status in (ChargeStatus.captured, ChargeStatus.returned):
            reservation = await reservations.get(self.db, charge.reservation_id)
            assert reservation is not None, "a charge's reservation is never deleted"
            await self._send(charge, reservation.holder)
        return True

    async def _send(self, charge: Charge, holder: str) -> None:
        try:
            await self.send(charge.event_id, commands_of(charge, holder))
        except LaneUnavailable as error:
            log.warning("charge_not_sent_to_lane", charge_id=charge.id, error=repr(error))

    async def _no_answer(self, charge: Charge, error: GatewayError, *, first: bool) -> Paid:
        log.warning("gateway_no_answer", charge_id=charge.id, error=f"{type(error).__name__}: {error}")
        # Else an earlier request may have been carried out, or one may be on its way.
        unreachable = isinstance(error, NetworkFailure) and (first or (charge.error or "").startswith(UNREACHED))
        why = f"{UNREACHED}{error}" if unreachable else str(error)
        charge = await charges.transition(self.db, charge, charge.status, error=why)
        if charge.status is not ChargeStatus.started:
            return Paid(await self._paid_status(charge), charge)  # a webhook came first
        return Paid(PaidStatus.unreachable if unreachable else PaidStatus.unclear, charge)

    async def _paid_status(self, charge: Charge) -> PaidStatus:
        match charge.status:
            case ChargeStatus.settled:
                said = await charges.payment_of(self.db, charge)
                return PaidStatus(said.value if said is not None else PaymentStatus.refund_due.value)
            case ChargeStatus.returned:
                return PaidStatus.refunded
            case ChargeStatus.failed:
                return PaidStatus.declined
            case ChargeStatus.refund_due | ChargeStatus.refunded:
                return PaidStatus.given_up
            case _:
                return PaidStatus.pending

    def _in(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)
