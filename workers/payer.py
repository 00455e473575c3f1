"""Ends what paying left open, once a second: charges without an answer, captured money the lane was not told of,
refunds that are due. Nobody else asks a provider for a refund.

Bounded passes on any number of workers. A worker claims a row by moving its `next_at` ahead; if it dies, the row is
due again at that time, and every step can be repeated without harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis

from app.domain.charge import Charge, ChargeStatus, Refund
from app.domain.reservation import PaymentStatus, ReservationStatus
from app.jobs import Wake
from app.lane.commands import Command, pack
from app.lane.errors import LaneUnavailable
from app.lane.scripts import LaneScripts
from app.lane.stream import send
from app.ledger import charges, reservations
from app.ledger.database import Database
from app.payments.gateway_answers import RECHECK_PENDING_S, apply_gateway_answer, commands_of
from app.payments.provider import GatewayError, Verdict
from app.payments.registry import Providers
from app.payments.retry_policy import RetryPolicy
from app.payments.webhook_sender import WebhookSender
from app.payments.wiring import make_retry_policy

PASS_MAX = 50  # charges, or refunds, in one portion
PORTIONS_MAX = 20  # of each, per pass: a big cancellation is paid back in minutes
PASS_S = 10.0  # then a pass begins no further portion; one of a slow provider still ends in time for its job
LEASE_S = 20.0  # longer than the provider's calls for one row may take
PAUSE_S = 1.0  # the first pause before a row is worked on again; each later one is twice as long
PAUSE_MAX_S = 300.0

log = structlog.get_logger()

Send = Callable[[str, Command], Awaitable[None]]  # (event_id, command): down the lane, without waiting for the outcome


@dataclass(kw_only=True, eq=False)
class Payer:
    """`now` is the wall clock in UTC, `clock` a monotonic one in seconds."""

    db: Database
    providers: Providers
    send: Send
    retry: RetryPolicy
    now: Callable[[], datetime]
    clock: Callable[[], float]

    async def round(self) -> int:
        """One bounded pass, in portions while there may be more; gives how many rows were worked on."""
        ends, worked = self.clock() + PASS_S, 0
        todo = [self.settle, self.refund]
        for _ in range(PORTIONS_MAX):
            done = [(work, await work()) for work in todo]
            worked += sum(count for _, count in done)
            todo = [work for work, count in done if count == PASS_MAX]
            if not todo or self.clock() >= ends:
                break
        return worked

    async def settle(self) -> int:
        """Resume charges that are due: no request works on them any more."""
        due = await charges.due(self.db, self.now(), PASS_MAX)
        until = self._in(LEASE_S)
        mine = [charge for charge in due if await charges.claim(self.db, charge, until)]
        async with asyncio.TaskGroup() as tasks:
            for charge in mine:
                tasks.create_task(self._settle(charge))
        return len(mine)

    async def refund(self) -> int:
        """Have the money paid back that the lane noted as due back."""
        due = await charges.due_refunds(self.db, self.now(), PASS_MAX)
        until = self._in(LEASE_S)
        mine = [refund for refund in due if await charges.claim_refund(self.db, refund, until)]
        async with asyncio.TaskGroup() as tasks:
            for refund in mine:
                tasks.create_task(self._refund(refund))
        return len(mine)

    async def _refund(self, refund: Refund) -> None:
        try:
            provider = self.providers.of_charge(refund.provider) if refund.amount else None
            if provider is None:
                pass  # a refund of nothing
            elif refund.part:
                await self.retry(partial(provider.refund_part, refund.reference, refund.amount, refund.part))
            else:
                await self.retry(partial(provider.refund, refund.reference, refund.amount))
        except GatewayError as error:
            log.warning("refund_postponed", charge_id=refund.reference, tries=refund.tries, error=repr(error))
            await charges.postpone_refund(self.db, refund, self._in(pause_s(refund.tries)))
            return
        if await charges.refund_done(self.db, refund, self.now()):
            log.info("refund_done", charge_id=refund.reference, amount=refund.amount)

    async def _settle(self, charge: Charge) -> None:
        try:
            match charge.status:
                case ChargeStatus.started:
                    await self._ask_provider(charge)
                case ChargeStatus.captured | ChargeStatus.returned:
                    await self._tell_lane(charge)
                case _:
                    await self._give_up(charge)
        except (GatewayError, LaneUnavailable) as error:
            log.warning("charge_postponed", charge_id=charge.id, tries=charge.tries, error=repr(error))
            await charges.transition(self.db, charge, charge.status, next_at=self._in(pause_s(charge.tries)))

    async def _ask_provider(self, charge: Charge) -> None:
        """Ask the provider what became of a charge; one it does not know is given up, so that it can never succeed."""
        answer = await self.retry(partial(self.providers.of_charge(charge.provider).find, charge.id))
        if answer is not None and answer.verdict is not Verdict.pending:
            found = await apply_gateway_answer(self.db, charge, answer, self.now())
            if found.status is ChargeStatus.captured:
                await self._tell_lane(found)
            return
        reservation = await reservations.get(self.db, charge.reservation_id)
        held = reservation is not None and reservation.status is ReservationStatus.pending
        if answer is not None and held:
            await charges.transition(self.db, charge, charge.status, next_at=self._in(RECHECK_PENDING_S))
            return
        given_up = await charges.transition(self.db, charge, ChargeStatus.refund_due, next_at=self.now())
        if given_up.status is ChargeStatus.refund_due:
            await self._give_up(given_up)

    async def _tell_lane(self, charge: Charge) -> None:
        """Send the lane the charge's commands again, until the lane has written the payment, or taken it back."""
        payment = await charges.payment_of(self.db, charge)
        returned = charge.status is ChargeStatus.returned
        if payment is not None and not (returned and payment is PaymentStatus.captured):
            await charges.transition(self.db, charge, ChargeStatus.settled)
            return
        reservation = await reservations.get(self.db, charge.reservation_id)
        assert reservation is not None, "a charge's reservation is never deleted"
        for command in commands_of(charge, reservation.holder):
            await self.send(charge.event_id, command)
        await charges.transition(self.db, charge, charge.status, next_at=self._in(pause_s(charge.tries)))

    async def _give_up(self, charge: Charge) -> None:
        if charge.amount:
            provider = self.providers.of_charge(charge.provider)
            await self.retry(partial(provider.refund, charge.id, charge.amount))
        await charges.transition(self.db, charge, ChargeStatus.refunded)
        log.info("charge_given_up", charge_id=charge.id)

    def _in(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)


def pause_s(tries: int) -> float:
    return float(min(PAUSE_MAX_S, PAUSE_S * 2 ** min(tries, 20)))


async def settle_payments(ctx: dict[str, Any]) -> int:
    """The arq job of every second. `ctx["payer"]` is made when the worker starts."""
    payer: Payer = ctx["payer"]
    return await payer.round()


async def send_webhooks(ctx: dict[str, Any]) -> int:
    """The arq job of every second that plays the simulated provider: it sends its webhooks."""
    webhook_sender: WebhookSender = ctx["webhook_sender"]
    return await webhook_sender.round()


def make_payer(db: Database, redis: Redis, wake: Wake, providers: Providers, now: Callable[[], datetime]) -> Payer:
    """The payer of a worker; `now` is the wall clock in UTC."""
    scripts = LaneScripts(redis)

    async def send_one(event_id: str, command: Command) -> None:
        await send(scripts, wake, event_id, [pack(command)])

    return Payer(
        db=db,
        providers=providers,
        send=send_one,
        retry=make_retry_policy(),
        now=now,
        clock=time.monotonic,
    )
