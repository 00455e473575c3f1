"""A simulated payment provider: it takes every payment, unless a fault profile says otherwise.

Its records and its fault profiles are stored in SQL and shared by all processes, as another company's would be. A fault
profile that an admin or a test sets applies from the next call on, in every process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
import structlog

from app.domain.charge import SIMULATOR, SimulatedCharge
from app.ledger import gateway_book
from app.ledger.database import Database
from app.payments.provider import (
    ChargeRequest,
    GatewayAnswer,
    GatewayFault,
    GatewayTimeout,
    NetworkFailure,
    SignatureInvalid,
    Transaction,
    Verdict,
    WebhookEvent,
    WebhookNotUnderstood,
)
from app.payments.webhook_signature import WebhookSecrets

SIGNATURE_HEADER = "x-tiketi-signature"
PAGE_MAX = 1000  # transactions in one page of the list

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

log = structlog.get_logger()


class SimulatedMethod(StrEnum):
    naver_pay = "naver_pay"
    kakao_pay = "kakao_pay"
    bank_transfer = "bank_transfer"


class FaultProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How one payment method fails: the share of its calls that fail in each way, and how slow or late it answers."""

    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    decline: Share = 0.0
    network: Share = 0.0  # the request does not arrive
    timeout: Share = 0.0  # no answer, and the request has no effect
    lost: Share = 0.0  # the request has its effect, but the answer is lost
    fault: Share = 0.0  # an internal error as the answer, and the request has no effect
    late_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None  # stays pending so long, then sends a webhook
    twice: bool = False  # sends one webhook more than needed


class SimulatorWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of the simulator's webhook: its answer to a charge."""

    charge_id: str
    status: Verdict
    reference: str
    amount: int
    reason: str = ""
    refunded: Annotated[int, msgspec.Meta(ge=0)] = 0


_webhook_decoder = msgspec.json.Decoder(SimulatorWebhook)


class Simulator:
    """`chance` returns a number in [0, 1), `now` the current time in UTC; `secrets` check webhooks."""

    name = SIMULATOR
    methods: Mapping[str, Mapping[str, str]] = {
        SimulatedMethod.naver_pay: {"ko": "네이버페이", "en": "Naver Pay"},
        SimulatedMethod.kakao_pay: {"ko": "카카오페이", "en": "Kakao Pay"},
        SimulatedMethod.bank_transfer: {"ko": "계좌 이체", "en": "Bank transfer"},
    }
    slow_methods: Mapping[str, float] = {SimulatedMethod.bank_transfer: 900.0}
    redirect_origins: frozenset[str] = frozenset()

    def __init__(
        self,
        db: Database,
        *,
        secrets: WebhookSecrets,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
    ) -> None:
        self._db = db
        self._secrets = secrets
        self._now = now
        self._sleep = sleep
        self._chance = chance

    async def charge(self, request: ChargeRequest) -> GatewayAnswer:
        method = SimulatedMethod(request.method)
        profile = await self._receive(method)
        verdict = Verdict.captured if profile.late_s is None else Verdict.pending
        reason = ""
        if self._hit(profile.decline):
            verdict, reason = Verdict.declined, "insufficient funds"
        late = timedelta(seconds=profile.late_s or 0)
        wanted = SimulatedCharge(
            charge_id=request.charge_id,
            method=method,
            amount=request.amount,
            status=verdict.value,
            reason=reason,
            settles_at=self._now() + late if verdict is Verdict.pending else None,
            webhook_at=self._now() + late,
            webhooks_left=(verdict is Verdict.pending) + profile.twice,
        )
        booked = await gateway_book.record(self._db, wanted, self._now())
        log.info(
            "gateway_charged", charge_id=booked.charge_id, method=method, amount=booked.amount, status=booked.status
        )
        self._answer(profile)
        return answer_of(booked)

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        booked = await gateway_book.find(self._db, charge_id)
        if booked is not None:
            self._answer(await self._receive(booked.method))
        return None if booked is None else answer_of(booked)

    async def refund(self, charge_id: str, amount: int) -> None:
        booked = await gateway_book.find(self._db, charge_id)
        profile = FaultProfile() if booked is None else await self._receive(booked.method)
        never = SimulatedCharge(
            charge_id=charge_id,
            method=SimulatedMethod.bank_transfer if booked is None else booked.method,
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

    async def refund_part(self, charge_id: str, amount: int, part: int) -> None:
        booked = await gateway_book.find(self._db, charge_id)
        profile = FaultProfile() if booked is None else await self._receive(booked.method)
        await gateway_book.refund_part(self._db, charge_id, amount, part, self._now())
        log.info("gateway_refunded", charge_id=charge_id, amount=amount, part=part)
        self._answer(profile)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent:
        if not self._secrets.are_of(body, headers.get(SIGNATURE_HEADER, ""), self._now().timestamp()):
            raise SignatureInvalid("The signature is missing, wrong or too old.")
        try:
            said = _webhook_decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise WebhookNotUnderstood(f"The webhook's body is invalid: {error}.") from None
        answer = GatewayAnswer(said.status, said.reference, said.amount, said.reason, said.refunded)
        return WebhookEvent(said.charge_id, answer)

    async def transactions(self, since: datetime) -> AsyncIterator[Sequence[Transaction]]:
        """Not subject to fault profiles, because these apply to one payment method each."""
        after = ""
        while page := await gateway_book.changed_since(self._db, since, after, PAGE_MAX):
            yield [
                Transaction(booked.charge_id, Verdict(booked.status), booked.amount, booked.refunded) for booked in page
            ]
            after = page[-1].charge_id

    async def _receive(self, method: str) -> FaultProfile:
        """Simulate the way of a request to the provider; returns the method's fault profile, which may raise
        GatewayError."""
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
        """Simulate the way of the answer back. Raises GatewayTimeout if the fault profile loses it."""
        if self._hit(profile.lost):
            raise GatewayTimeout("the answer was lost")

    def _hit(self, share: float) -> bool:
        return share > 0 and self._chance() < share


def answer_of(booked: SimulatedCharge) -> GatewayAnswer:
    return GatewayAnswer(
        Verdict(booked.status), f"sim_{booked.charge_id}", booked.amount, booked.reason, booked.refunded
    )


async def fault_profile_of(db: Database, method: str) -> FaultProfile:
    return (await fault_profiles(db)).get(SimulatedMethod(method), FaultProfile())


async def fault_profiles(db: Database) -> dict[SimulatedMethod, FaultProfile]:
    """The fault profiles by payment method; a method that has none works without faults."""
    found = await gateway_book.fault_profiles(db)
    return {SimulatedMethod(name): msgspec.convert(profile, FaultProfile) for name, profile in found.items()}


async def change_fault_profile(
    db: Database, method: SimulatedMethod, profile: FaultProfile, *, who: str, now: datetime
) -> None:
    """The same by an admin: the audit log has it, with the old values."""
    well, wanted = msgspec.to_builtins(FaultProfile()), msgspec.to_builtins(profile)
    await gateway_book.change_fault_profile(db, method.value, wanted, well, who=who, now=now)


async def set_fault_profile(db: Database, method: SimulatedMethod, profile: FaultProfile) -> None:
    await gateway_book.set_fault_profile(db, method.value, msgspec.to_builtins(profile))
