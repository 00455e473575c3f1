"""Applies a payment provider's answer to its charge, wherever the answer came from: a buyer's request, a webhook or the
payer job (workers/payer.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.domain.charge import Charge, ChargeStatus
from app.lane.commands import Confirm, Reverse
from app.ledger import charges
from app.ledger.database import Database
from app.payments.provider import GatewayAnswer, Verdict

RECHECK_AFTER_S = 20.0  # after this time the payer job takes over a charge: its request may have died
RECHECK_AFTER_WEBHOOK_S = 2.0  # the same for a charge captured by webhook: no request is working on it
RECHECK_PENDING_S = 5.0  # how often the payer job asks about a charge that the provider has not decided

log = structlog.get_logger()


async def apply_gateway_answer(
    db: Database, charge: Charge, answer: GatewayAnswer, now: datetime, recheck_s: float = RECHECK_AFTER_S
) -> Charge:
    """Store the provider's answer to a charge and return the updated charge.

    A repeated or late answer changes nothing, except that a capture after a decline makes a refund due, and that a
    captured charge may be paid back. If the charge is captured or returned, the caller must send `commands_of` to the
    lane; after `recheck_s` the payer job checks that a captured one arrived.
    """
    if charge.status is ChargeStatus.failed and answer.verdict is Verdict.captured:
        log.error("declined_charge_captured", charge_id=charge.id)
        return await charges.transition(db, charge, ChargeStatus.refund_due, next_at=now)
    if answer.verdict is Verdict.refunded and charge.status in (ChargeStatus.captured, ChargeStatus.settled):
        return await charges.note_returned(db, charge, now)
    if charge.status is not ChargeStatus.started:
        return charge
    becomes, error, recheck_in_s = _next_status(charge, answer, recheck_s)
    next_at = now + timedelta(seconds=recheck_in_s)
    return await charges.transition(db, charge, becomes, reference=answer.reference, error=error, next_at=next_at)


def _next_status(charge: Charge, answer: GatewayAnswer, recheck_s: float) -> tuple[ChargeStatus, str | None, float]:
    """The next status of a started charge, the reason if it failed, and the seconds until the payer job checks it."""
    match answer.verdict:
        case Verdict.captured if answer.amount != charge.amount:
            log.error("captured_amount_differs", charge_id=charge.id, amount=answer.amount, asked=charge.amount)
            return ChargeStatus.refund_due, "the provider took another amount", 0
        case Verdict.captured:
            return ChargeStatus.captured, None, recheck_s
        case Verdict.pending:
            return ChargeStatus.started, None, RECHECK_PENDING_S
        case Verdict.refunded:
            return ChargeStatus.refunded, answer.reason or answer.verdict.value, 0
        case _:
            return ChargeStatus.failed, answer.reason or answer.verdict.value, 0


def commands_of(charge: Charge, holder: str) -> list[Confirm | Reverse]:
    """What the lane must be told of a captured or returned charge, in this order."""
    confirm = confirm_of(charge, holder)
    if charge.status is not ChargeStatus.returned:
        return [confirm]
    reverse = Reverse(id=f"reverse:{charge.id}", reservation_id=charge.reservation_id, reference=charge.id)
    return [confirm, reverse]


def confirm_of(charge: Charge, holder: str) -> Confirm:
    return Confirm(
        id=f"confirm:{charge.id}",
        reservation_id=charge.reservation_id,
        holder=holder,
        method=charge.method,
        reference=charge.id,
        amount=charge.amount,
    )
