"""A payment provider that is simulated: it takes every payment, unless a fault profile says otherwise.

Its records are durable and shared by all processes, as another company's would be. So are the fault profiles: what an
admin or a test sets is met by the next call of every process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
import structlog

from app.domain.charge import PaymentMethod, SimulatedCharge
from app.ledger import gateway_book
from app.ledger.database import Database
from app.payments.provider import GatewayAnswer, GatewayFault, GatewayTimeout, NetworkFailure, Verdict

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

log = structlog.get_logger()


class FaultProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How one way to pay fails: which share of its calls goes wrong and how, and how slow or late it answers."""

    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    decline: Share = 0.0
    network: Share = 0.0  # the call never arrives
    timeout: Share = 0.0  # no answer, and nothing is done
    lost: Share = 0.0  # it is done, and the answer is lost
    fault: Share = 0.0  # it answers with an error of its own, and nothing is done
    late_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None  # pending for so long; then a webhook
    twice: bool = False  # sends one webhook more than needed


class Simulator:
    """`chance` gives a number in [0, 1), `now` the wall clock in UTC."""

    def __init__(
        self,
        db: Database,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
    ) -> None:
        self._db = db
        self._now = now
        self._sleep = sleep
        self._chance = chance

    async def charge(self, charge_id: str, method: PaymentMethod, amount: int) -> GatewayAnswer:
        profile = await self._arrive(method)
        verdict = Verdict.captured if profile.late_s is None else Verdict.pending
        reason = ""
        if self._hit(profile.decline):
            verdict, reason = Verdict.declined, "insufficient funds"
        late = timedelta(seconds=profile.late_s or 0)
        wanted = SimulatedCharge(
            charge_id=charge_id,
            method=method,
            amount=amount,
            status=verdict.value,
            reason=reason,
            settles_at=self._now() + late if verdict is Verdict.pending else None,
            webhook_at=self._now() + late,
            webhooks_left=(verdict is Verdict.pending) + profile.twice,
        )
        booked = await gateway_book.record(self._db, wanted, self._now())
        log.info("gateway_charged", charge_id=charge_id, method=method, amount=amount, status=booked.status)
        self._answer(profile)
        return answer_of(booked)

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        booked = await gateway_book.find(self._db, charge_id)
        if booked is not None:
            self._answer(await self._arrive(booked.method))
        return None if booked is None else answer_of(booked)

    async def refund(self, charge_id: str, amount: int) -> None:
        booked = await gateway_book.find(self._db, charge_id)
        profile = FaultProfile() if booked is None else await self._arrive(booked.method)
        never = SimulatedCharge(
            charge_id=charge_id,
            method=PaymentMethod.bank_transfer if booked is None else booked.method,
            amount=amount,
            status=Verdict.refunded.value,
            reason="cancelled before it was taken",
            settles_at=None,
            webhook_at=None,
            webhooks_left=0,
        )
        await gateway_book.refund(self._db, never, self._now())
        log.info("gateway_refunded", charge_id=charge_id, amount=amount)
        self._answer(profile)

    async def _arrive(self, method: PaymentMethod) -> FaultProfile:
        """The request on its way: gives the method's fault profile. Raises GatewayError as that says."""
        profile = await fault_profile_of(self._db, method)
        if profile.slow_ms:
            await self._sleep(profile.slow_ms / 1000)
        if self._hit(profile.network):
            raise NetworkFailure("the connection was refused")
        if self._hit(profile.timeout):
            raise GatewayTimeout("the gateway did not answer")
        if self._hit(profile.fault):
            raise GatewayFault("the gateway answered 500")
        return profile

    def _answer(self, profile: FaultProfile) -> None:
        """The answer on its way back. Raises GatewayTimeout if the fault profile loses it."""
        if self._hit(profile.lost):
            raise GatewayTimeout("the answer was lost")

    def _hit(self, share: float) -> bool:
        return share > 0 and self._chance() < share


def answer_of(booked: SimulatedCharge) -> GatewayAnswer:
    return GatewayAnswer(Verdict(booked.status), f"sim_{booked.charge_id}", booked.amount, booked.reason)


async def fault_profile_of(db: Database, method: PaymentMethod) -> FaultProfile:
    return (await fault_profiles(db)).get(method, FaultProfile())


async def fault_profiles(db: Database) -> dict[PaymentMethod, FaultProfile]:
    """The profiles that were set, by method; the other methods work without faults."""
    found = await gateway_book.fault_profiles(db)
    return {PaymentMethod(name): msgspec.convert(profile, FaultProfile) for name, profile in found.items()}


async def set_fault_profile(db: Database, method: PaymentMethod, profile: FaultProfile) -> None:
    await gateway_book.set_fault_profile(db, method.value, msgspec.to_builtins(profile))
