"""A shop that takes money, on real stores: its checkout, its payer and a provider. Clock and chance are the test's."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.audit import invariants
from app.domain.reservation import Reservation
from app.lane.commands import Command, Confirm, Outcome
from app.ledger import charges, money_audit, reservations
from app.ledger.charges import Money
from app.ledger.database import Database
from app.payments.checkout import Checkout, Paid
from app.payments.provider import PaymentProvider
from app.payments.providers.simulator import FaultProfile, SimulatedMethod, Simulator, set_fault_profile
from app.payments.registry import Providers
from app.payments.retry_policy import RetryPolicy
from app.payments.webhook_sender import WebhookSender
from app.payments.webhook_signature import WebhookSecrets
from tests.lane.world import EVENT, World, hold
from workers.payer import Payer

SECRET = b"s" * 32
KAKAO, NAVER, BANK = SimulatedMethod.kakao_pay, SimulatedMethod.naver_pay, SimulatedMethod.bank_transfer


@dataclass
class Shop:
    world: World
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    slept: list[float] = field(default_factory=list)
    posted: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    grace: timedelta = timedelta(seconds=120)
    names: itertools.count[int] = field(default_factory=itertools.count)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def submit(self, event_id: str, command: Confirm) -> Outcome:
        (outcome,) = await self.world.do(command)
        return outcome

    async def send(self, event_id: str, command: Command) -> None:
        await self.world.send(command)

    async def tell(self, event_id: str, commands: Sequence[Command]) -> None:
        await self.world.send(*commands)

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        self.posted.append((body, headers))
        return 200

    def retry(self) -> RetryPolicy:
        return RetryPolicy(sleep=self.sleep, chance=self.chance.random)

    def simulator(self, db: Database | None = None) -> Simulator:
        return Simulator(
            db or self.world.db,
            secrets=WebhookSecrets([SECRET]),
            now=self.world.time.now,
            sleep=self.sleep,
            chance=self.chance.random,
        )

    def checkout(
        self, db: Database | None = None, provider: PaymentProvider | None = None, submit: Any = None, send: Any = None
    ) -> Checkout:
        return Checkout(
            db=db or self.world.db,
            providers=Providers([provider or self.simulator()]),
            submit=submit or self.submit,
            send=send or self.tell,
            retry=self.retry(),
            now=self.world.time.now,
            new_id=lambda: f"c_{next(self.names)}",
            return_url=lambda reservation_id: f"https://shop.example/reservations/{reservation_id}",
            https_only=True,
            grace=lambda method: self.grace,
        )

    def payer(self, db: Database | None = None, provider: PaymentProvider | None = None, send: Any = None) -> Payer:
        return Payer(
            db=db or self.world.db,
            providers=Providers([provider or self.simulator()]),
            send=send or self.send,
            retry=self.retry(),
            now=self.world.time.now,
            clock=self.world.time.clock,
        )

    def webhook_sender(self) -> WebhookSender:
        return WebhookSender(db=self.world.db, post=self.post, secret=SECRET, now=self.world.time.now)

    async def held(self, *seats: int, holder: str = "") -> Reservation:
        """A hold of these seats, or of the first one, by somebody of its own: ann has the first."""
        seats = seats or (0,)
        holder = holder or ("ann" if seats[0] == 0 else f"ann-{seats[0]}")
        (outcome,) = await self.world.do(hold(f"hold-{next(self.names)}", seats, holder=holder))
        assert outcome.reservation is not None
        return await self.reservation(outcome.reservation.id)

    async def reservation(self, reservation_id: str) -> Reservation:
        found = await reservations.get(self.world.db, reservation_id)
        assert found is not None
        return found

    async def pay(self, reservation: Reservation, method: str = KAKAO, key: str | None = None) -> Paid:
        return await self.checkout().pay(reservation, method, key)

    async def money(self, reservation: Reservation) -> Money | None:
        return (await charges.money_of(self.world.db, [reservation.id])).get(reservation.id)

    async def behaves(self, method: SimulatedMethod = KAKAO, **profile: Any) -> None:
        """The gateway's profile for a method; well again without any."""
        await set_fault_profile(self.world.db, method, FaultProfile(**profile))

    async def later(self, seconds: float = 60.0) -> int:
        """Time passes, the payer and the lane work; how many rows the payer worked on."""
        self.world.time.pass_s(seconds)
        worked = await self.payer().round()
        await self.world.allocator().run(EVENT)
        return worked

    async def agrees(self) -> None:
        """Seats, reservations, our money and the gateway's book say the same."""
        world = self.world
        found = await invariants.check(world.redis, world.db, EVENT, world.time.at, [self.simulator()])
        assert [violation for violation in found if violation.invariant in ("I5", "I7")] == []

    async def drained(self) -> None:
        """Until the payer has nothing left to do, however long that takes by the clock."""
        for _ in range(40):
            await self.later(400)
        undone = await money_audit.undone(self.world.db, EVENT)
        assert undone == [], undone
