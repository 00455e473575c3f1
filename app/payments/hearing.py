"""Taking in what the gateway says of a charge, whoever asked: a buyer's request, a webhook, the payer."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.domain.charge import Charge, ChargeStatus
from app.lane.commands import Confirm
from app.ledger import charges
from app.ledger.database import Database
from app.payments.gateway import Answer, Verdict

CARE_S = 20.0  # after so long the payer takes care of a charge that somebody's request left behind
TOLD_CARE_S = 2.0  # the same where nobody waits for what the lane says of it
PENDING_LOOK_S = 5.0  # how often the payer asks after a charge the gateway promised to tell about

log = structlog.get_logger()


async def heard(db: Database, charge: Charge, answer: Answer, now: datetime, care_s: float = CARE_S) -> Charge:
    """The charge as it is after this answer. Telling it again, or late, changes nothing; whoever hears that the money
    is taken tells the lane at once, and after `care_s` the payer does if that failed."""
    if charge.status is ChargeStatus.failed and answer.verdict is Verdict.captured:
        log.error("declined_charge_was_captured", charge_id=charge.id)
        return await charges.turn(db, charge, ChargeStatus.refund_due, next_at=now)
    if charge.status is not ChargeStatus.started:
        return charge
    becomes, error, look_in_s = _judged(charge, answer, care_s)
    next_at = now + timedelta(seconds=look_in_s)
    return await charges.turn(db, charge, becomes, reference=answer.reference, error=error, next_at=next_at)


def _judged(charge: Charge, answer: Answer, care_s: float) -> tuple[ChargeStatus, str | None, float]:
    """What a started charge becomes, why it failed if it did, and in how many seconds the payer looks at it."""
    match answer.verdict:
        case Verdict.captured if answer.amount != charge.amount:
            log.error("charge_of_another_amount", charge_id=charge.id, amount=answer.amount, asked=charge.amount)
            return ChargeStatus.refund_due, "another amount was taken", 0
        case Verdict.captured:
            return ChargeStatus.captured, None, care_s
        case Verdict.pending:
            return ChargeStatus.started, None, PENDING_LOOK_S
        case _:
            return ChargeStatus.failed, answer.reason or answer.verdict.value, 0


def confirm_of(charge: Charge, holder: str) -> Confirm:
    return Confirm(
        id=f"confirm:{charge.id}",
        reservation_id=charge.reservation_id,
        holder=holder,
        method=charge.method.value,
        reference=charge.id,
    )
