"""Takes the money for reservations and tells the lane: the one path from a charge to sold seats.

A charge is written down before the gateway is asked, every answer (of a call, of a webhook, of the payer asking later)
goes through `heard`, and the lane is told by a command of the charge's own id. Stopped anywhere, it can be carried on
by anybody, twice at once included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import structlog

from app.domain.charge import Charge, ChargeStatus, PaymentMethod
from app.domain.reservation import PaymentStatus, Reservation
from app.lane.commands import Confirm, Outcome, OutcomeStatus
from app.lane.stream import LaneBusy
from app.ledger import charges, reservations
from app.ledger.charges import Begun
from app.ledger.database import Database
from app.payments.gateway import Answer, Gateway, GatewayError, NetworkFailure
from app.payments.hearing import CARE_S, TOLD_CARE_S, confirm_of, heard
from app.payments.patience import Patience

log = structlog.get_logger()

Submit = Callable[[str, Confirm], Awaitable[Outcome]]  # (event_id, command)
Send = Callable[[str, Sequence[Confirm]], Awaitable[None]]  # the same, and nobody waits for what the lane says


class PaidStatus(StrEnum):
    """How an attempt to pay stands. Nothing is or will be taken for those after `refunded`."""

    captured = "captured"  # the seats are sold
    pending = "pending"  # the gateway will tell
    unclear = "unclear"  # it did not answer: being found out
    unreachable = "unreachable"  # it was not reached; asking again carries on
    already_paid = "already_paid"  # another way
    refund_due = "refund_due"  # taken, but the seats were gone: goes back
    refunded = "refunded"  # and is back
    declined = "declined"
    given_up = "given_up"
    key_reused = "key_reused"
    too_many = "too_many"


@dataclass(frozen=True, slots=True)
class Paid:
    status: PaidStatus
    charge: Charge


@dataclass(kw_only=True, eq=False)
class Cashier:
    """`submit` sends a Confirm down the lane and waits for its outcome; what it raises, `pay` raises, and a repeat
    carries on from there. `send` does not wait, and need not succeed: it may raise LaneBusy."""

    db: Database
    gateway: Gateway
    submit: Submit
    send: Send
    patience: Patience
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    async def pay(self, reservation: Reservation, method: PaymentMethod, key: str | None) -> Paid:
        """Take the price of the reservation, once per key, or once per method while it is not declined."""
        wanted = Charge(
            id=self.new_id(),
            reservation_id=reservation.id,
            event_id=reservation.event_id,
            method=method,
            amount=reservation.total_price,
            status=ChargeStatus.started,
            key=key,
            created_at=self.now(),
            next_at=self._in(CARE_S),
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
                return await self.carried_on(charge, reservation.holder)

    async def carried_on(self, charge: Charge, holder: str) -> Paid:
        """Bring a charge as far as it will go, from wherever it stands."""
        if charge.status is ChargeStatus.started:
            try:
                ask = partial(self.gateway.charge, charge.id, charge.method, charge.amount)
                charge = await heard(self.db, charge, await self.patience(ask), self.now())
            except GatewayError as error:
                return await self._unanswered(charge, error)
        if charge.status is ChargeStatus.captured:
            charge = await self.confirmed(charge, holder)
        return Paid(await self._standing(charge), charge)

    async def confirmed(self, charge: Charge, holder: str) -> Charge:
        """Tell the lane that the money is here; it writes what the money pays for."""
        outcome = await self.submit(charge.event_id, confirm_of(charge, holder))
        if outcome.status is OutcomeStatus.not_found:
            log.error("captured_for_nothing", charge_id=charge.id, reservation_id=charge.reservation_id)
            return await charges.turn(self.db, charge, ChargeStatus.refund_due, next_at=self.now())
        return await charges.turn(self.db, charge, ChargeStatus.settled)

    async def told(self, charge_id: str, answer: Answer) -> bool:
        """What the gateway tells by itself; False if there is no such charge.

        It is answered for as soon as it is written down, since whoever tells has no patience for a busy lane: a Confirm
        that gets lost is sent again by the payer, who looks after TOLD_CARE_S.
        """
        charge = await charges.get(self.db, charge_id)
        if charge is None:
            return False
        charge = await heard(self.db, charge, answer, self.now(), TOLD_CARE_S)
        if charge.status is ChargeStatus.captured:
            reservation = await reservations.get(self.db, charge.reservation_id)
            assert reservation is not None, "a charge's reservation is never deleted"
            await self._send(charge, reservation.holder)
        return True

    async def _send(self, charge: Charge, holder: str) -> None:
        try:
            await self.send(charge.event_id, [confirm_of(charge, holder)])
        except LaneBusy as error:
            log.warning("confirm_not_sent", charge_id=charge.id, error=repr(error))

    async def _unanswered(self, charge: Charge, error: GatewayError) -> Paid:
        log.warning("gateway_unanswered", charge_id=charge.id, error=f"{type(error).__name__}: {error}")
        charge = await charges.turn(self.db, charge, charge.status, error=str(error))
        if charge.status is not ChargeStatus.started:
            return Paid(await self._standing(charge), charge)  # a webhook was faster
        unreachable = isinstance(error, NetworkFailure) and charge.reference is None
        return Paid(PaidStatus.unreachable if unreachable else PaidStatus.unclear, charge)

    async def _standing(self, charge: Charge) -> PaidStatus:
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
