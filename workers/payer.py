"""Ends what paying left open, once a second: charges nobody answered for, captured money the lane has not heard of,
refunds that are due. The only one who asks the gateway for a refund.

Bounded passes on any number of workers. A row is worked on by whoever moved its `next_at`; if that worker dies the row
is due again when its time comes, and everything it did can be done again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain.charge import Charge, ChargeStatus, Refund
from app.domain.reservation import ReservationStatus
from app.jobs import Wake, WakeUpFailed
from app.lane.commands import Command, pack
from app.lane.scripts import LaneScripts
from app.lane.stream import LaneBusy, send
from app.ledger import charges, reservations
from app.ledger.database import Database
from app.payments.courier import Courier
from app.payments.gateway import Gateway, GatewayError, Verdict
from app.payments.hearing import PENDING_LOOK_S, confirm_of, heard
from app.payments.patience import Patience
from app.payments.wiring import make_gateway, make_patience

PASS_MAX = 50  # charges, or refunds, in one portion
PORTIONS_MAX = 20  # of each, per pass: a big cancellation is paid back in minutes
PASS_S = 10.0  # then a pass begins no further portion; one of a slow gateway still ends in time for its job
LEASE_S = 20.0  # longer than the gateway's calls for one row may take
AGAIN_S = 1.0  # the first pause before a row is worked on again; each later one is twice as long
AGAIN_MAX_S = 300.0

log = structlog.get_logger()

Send = Callable[[str, Command], Awaitable[None]]  # (event_id, command): down the lane, nobody waits for the outcome


@dataclass(kw_only=True, eq=False)
class Payer:
    """`now` is the wall clock in UTC, `clock` a monotonic one in seconds."""

    db: Database
    gateway: Gateway
    send: Send
    patience: Patience
    now: Callable[[], datetime]
    clock: Callable[[], float]

    async def round(self) -> int:
        """One bounded pass, in portions while there may be more; gives how many rows were worked on."""
        ends, worked = self.clock() + PASS_S, 0
        todo = [self.settle, self.pay_back]
        for _ in range(PORTIONS_MAX):
            done = [(work, await work()) for work in todo]
            worked += sum(count for _, count in done)
            todo = [work for work, count in done if count == PASS_MAX]
            if not todo or self.clock() >= ends:
                break
        return worked

    async def settle(self) -> int:
        """Bring charges nobody looks after to their end."""
        due = await charges.due(self.db, self.now(), PASS_MAX)
        until = self._in(LEASE_S)
        mine = [charge for charge in due if await charges.claim(self.db, charge, until)]
        async with asyncio.TaskGroup() as tasks:
            for charge in mine:
                tasks.create_task(self._settle(charge))
        return len(mine)

    async def pay_back(self) -> int:
        """Give money back that the lane noted as due."""
        due = await charges.due_refunds(self.db, self.now(), PASS_MAX)
        until = self._in(LEASE_S)
        mine = [refund for refund in due if await charges.claim_refund(self.db, refund, until)]
        async with asyncio.TaskGroup() as tasks:
            for refund in mine:
                tasks.create_task(self._pay_back(refund))
        return len(mine)

    async def _pay_back(self, refund: Refund) -> None:
        try:
            await self.patience(partial(self.gateway.refund, refund.reference, refund.amount))
        except GatewayError as error:
            log.warning("refund_put_off", charge_id=refund.reference, tries=refund.tries, error=repr(error))
            await charges.put_off_refund(self.db, refund, self._in(again_s(refund.tries)))
            return
        if await charges.paid_back(self.db, refund, self.now()):
            log.info("paid_back", charge_id=refund.reference, amount=refund.amount)

    async def _settle(self, charge: Charge) -> None:
        try:
            match charge.status:
                case ChargeStatus.started:
                    await self._find_out(charge)
                case ChargeStatus.captured:
                    await self._tell_lane(charge)
                case _:
                    await self._give_up(charge)
        except (GatewayError, LaneBusy, WakeUpFailed, RedisError, OSError) as error:
            log.warning("charge_put_off", charge_id=charge.id, tries=charge.tries, error=repr(error))
            await charges.turn(self.db, charge, charge.status, next_at=self._in(again_s(charge.tries)))

    async def _find_out(self, charge: Charge) -> None:
        """Ask what became of a charge. One that never happened is given up before anybody may believe in it."""
        answer = await self.patience(partial(self.gateway.find, charge.id))
        if answer is not None and answer.verdict is not Verdict.pending:
            found = await heard(self.db, charge, answer, self.now())
            if found.status is ChargeStatus.captured:
                await self._tell_lane(found)
            return
        reservation = await reservations.get(self.db, charge.reservation_id)
        held = reservation is not None and reservation.status is ReservationStatus.pending
        if answer is not None and held:
            await charges.turn(self.db, charge, charge.status, next_at=self._in(PENDING_LOOK_S))
            return
        given_up = await charges.turn(self.db, charge, ChargeStatus.refund_due, next_at=self.now())
        if given_up.status is ChargeStatus.refund_due:
            await self._give_up(given_up)

    async def _tell_lane(self, charge: Charge) -> None:
        """Send the lane its Confirm, until it has said what the money pays for."""
        if await charges.payment_of(self.db, charge) is not None:
            await charges.turn(self.db, charge, ChargeStatus.settled)
            return
        reservation = await reservations.get(self.db, charge.reservation_id)
        assert reservation is not None, "a charge's reservation is never deleted"
        await self.send(charge.event_id, confirm_of(charge, reservation.holder))
        await charges.turn(self.db, charge, charge.status, next_at=self._in(again_s(charge.tries)))

    async def _give_up(self, charge: Charge) -> None:
        await self.patience(partial(self.gateway.refund, charge.id, charge.amount))
        await charges.turn(self.db, charge, ChargeStatus.refunded)
        log.info("charge_given_up", charge_id=charge.id)

    def _in(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)


def again_s(tries: int) -> float:
    return float(min(AGAIN_MAX_S, AGAIN_S * 2 ** min(tries, 20)))


async def settle_payments(ctx: dict[str, Any]) -> int:
    """The arq job of every second. `ctx["payer"]` is made when the worker starts."""
    payer: Payer = ctx["payer"]
    return await payer.round()


async def tell_news(ctx: dict[str, Any]) -> int:
    """The arq job of every second that plays the gateway: its webhooks."""
    courier: Courier = ctx["courier"]
    return await courier.round()


def make_payer(db: Database, redis: Redis, wake: Wake) -> Payer:
    """With the machine's own clock and chance."""
    scripts = LaneScripts(redis)

    async def send_one(event_id: str, command: Command) -> None:
        await send(scripts, wake, event_id, [pack(command)])

    return Payer(
        db=db,
        gateway=make_gateway(db),
        send=send_one,
        patience=make_patience(),
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
    )
