"""Applies what a payment provider says of a charge, whoever asked: a buyer's request, a webhook, the payer."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.domain.charge import Charge, ChargeStatus
from app.lane.commands import Confirm
from app.ledger import charges
from app.ledger.database import Database
from app.payments.provider import GatewayAnswer, Verdict

RECHECK_AFTER_S = 20.0  # then the payer takes over a charge whose request may have died
RECHECK_AFTER_WEBHOOK_S = 2.0  # the same after a webhook: no request waits for the lane's outcome
RECHECK_PENDING_S = 5.0  # how often the payer asks about a charge that the provider has not decided

log = structlog.get_logger()


async def apply_gateway_answer(
    db: Database, charge: Charge, answer: GatewayAnswer, now: datetime, recheck_s: float = RECHECK_AFTER_S
) -> Charge:
    """Write down what the provider says of a charge; gives the charge as it is then.

    An answer that comes twice, or late, changes nothing. If the charge is captured, the caller sends the lane its
    Confirm; the payer sends it again if that has not worked after `recheck_s`.
    """
    if charge.status is ChargeStatus.failed and answer.verdict is Verdict.captured:
        log.error("declined_charge_captured", charge_id=charge.id)
        return await charges.transition(db, charge, ChargeStatus.refund_due, next_at=now)
    if charge.status is not ChargeStatus.started:
        return charge
    becomes, error, recheck_in_s = _judged(charge, answer, recheck_s)
    next_at = now + timedelta(seconds=recheck_in_s)
    return await charges.transition(db, charge, becomes, reference=answer.reference, error=error, next_at=next_at)


def _judged(charge: Charge, answer: GatewayAnswer, recheck_s: float) -> tuple[ChargeStatus, str | None, float]:
    """What a started charge becomes, why it failed if it did, and in how many seconds the payer checks it."""
    match answer.verdict:
        case Verdict.captured if answer.amount != charge.amount:
            log.error("captured_amount_differs", charge_id=charge.id, amount=answer.amount, asked=charge.amount)
            return ChargeStatus.refund_due, "another amount was taken", 0
        case Verdict.captured:
            return ChargeStatus.captured, None, recheck_s
        case Verdict.pending:
            return ChargeStatus.started, None, RECHECK_PENDING_S
        case _:
            return ChargeStatus.failed, answer.reason or answer.verdict.value, 0


def confirm_of(charge: Charge, holder: str) -> Confirm:
    return Confirm(
        id=f"confirm:{charge.id}",
        reservation_id=charge.reservation_id,
        holder=holder,
        method=charge.method,
        reference=charge.id,
    )
