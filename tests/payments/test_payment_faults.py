"""A gateway that fails in every way, workers that die between any two calls, buyers who ask again: I7 holds at the end.

Each example is one seed that decides every fault, every crash and every repeat: a failure has a number to be found by.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from app import redis_keys
from app.audit import invariants
from app.domain.reservation import Reservation, ReservationStatus
from app.lane.commands import Cancel, Command, Confirm, Expire, Outcome
from app.lane.errors import LaneUnavailable
from app.ledger import gateway_book, money_audit, reservations
from app.ledger.database import Database
from app.payments.gateway_answers import RECHECK_AFTER_S
from app.payments.provider import ChargeRequest, GatewayAnswer, Verdict, WebhookEvent
from app.payments.providers.simulator import SimulatedMethod, Simulator, answer_of
from app.payments.webhook_signature import WebhookSecrets
from tests.lane.killing import Fuse, fused, killable_ledger, killable_redis, was_killed
from tests.lane.world import EVENT, HOLD_FOR, make_world
from tests.payments.shop import SECRET, Shop
from workers.payer import PAUSE_MAX_S

SEEDS = range(10)
STEPS = 40
SEATS = 12
CALLS_MAX = 25  # of one visit, about: where it is killed


class Interrupted(Simulator):
    """Before a call reaches it, or after it answered, somebody else does what `meanwhile` does, once."""

    def __init__(self, shop: Shop, dice: random.Random, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(
            shop.world.db,
            secrets=WebhookSecrets([SECRET]),
            now=shop.world.time.now,
            sleep=shop.sleep,
            chance=shop.chance.random,
        )
        self._dice = dice
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def _perhaps(self) -> None:
        meanwhile, chosen = self._meanwhile, self._dice.random() < 0.5
        if meanwhile is not None and chosen:
            self._meanwhile = None
            await meanwhile()

    async def charge(self, request: ChargeRequest) -> GatewayAnswer:
        await self._perhaps()
        answer = await super().charge(request)
        await self._perhaps()
        return answer

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        answer = await super().find(charge_id)
        await self._perhaps()
        return answer

    async def refund(self, charge_id: str, amount: int) -> None:
        await self._perhaps()
        await super().refund(charge_id, amount)
        await self._perhaps()


@dataclass
class Trouble:
    """One example: a shop, and a copy of it whose every call may be its last."""

    shop: Shop
    victim_db: Database
    victim_redis: Redis
    fuse: Fuse
    dice: random.Random
    held: list[Reservation] = field(default_factory=list)

    async def lane(self) -> None:
        """The lane works; now and then its allocator dies and another carries on."""
        world = self.shop.world
        if self.dice.random() < 0.3:
            victim = world.allocator(self.victim_redis, self.victim_db)
            victim.finish = fused(self.fuse, victim.finish)
            await self.dying(lambda: victim.run(EVENT))
            await self.shop.world.redis.delete(redis_keys.lane_lease(EVENT))
        await world.allocator().run(EVENT)

    async def dying(self, visit: Callable[[], Awaitable[object]]) -> bool:
        """Do it as a process that is killed at some call; whether it was."""
        self.fuse.arm(self.dice.randint(1, CALLS_MAX))
        try:
            await visit()
        except LaneUnavailable:
            pass  # told to ask again
        except BaseException as error:
            if not was_killed(error):
                raise
        blown = self.fuse.blown
        self.fuse.arm(0)
        return blown

    async def submit(self, event_id: str, command: Confirm) -> Outcome:
        """What a web process does: send, and wait for the outcome, which may not come in time."""
        self.fuse.step()
        await self.shop.world.send(command)
        self.fuse.step()
        if self.dice.random() < 0.3:
            raise LaneUnavailable("no answer in time")
        await self.shop.world.allocator().run(EVENT)
        return (await self.shop.world.answers())[command.id][-1]

    async def tell(self, event_id: str, commands: Sequence[Command]) -> None:
        for command in commands:
            await self.send(event_id, command)

    async def send(self, event_id: str, command: Command) -> None:
        self.fuse.step()
        if self.dice.random() < 0.2:
            raise LaneUnavailable("the lane is full")
        await self.shop.world.send(command)

    async def step(self) -> None:
        deeds = (
            self.hold,
            self.pay,
            self.pay,
            self.pay,
            self.cancel,
            self.time,
            self.pass_,
            self.pass_,
            self.pass_,
            self.webhooks,
            self.gateway_pays_back,
            self.give_back,
        )
        await self.dice.choice((*deeds, self.expire, self.profile, self.profile))()

    async def hold(self) -> None:
        world = self.shop.world
        statuses = await world.statuses()
        free = [idx for idx in range(SEATS) if statuses[idx] == 0]
        if free:
            self.held.append(await self.shop.held(*self.dice.sample(free, min(len(free), self.dice.randint(1, 3)))))

    async def pay(self) -> None:
        if not self.held:
            return
        chosen = self.dice.choice(self.held)
        now = await self.shop.reservation(chosen.id)
        if now.status not in (ReservationStatus.pending, ReservationStatus.confirmed):
            return
        method = self.dice.choice(list(SimulatedMethod))
        key = self.dice.choice([None, None, f"{chosen.holder}:{chosen.id}"])
        calm = self.dice.random() < 0.5
        provider = self.interrupted(self.payer_comes) if calm else self.shop.simulator(self.victim_db)
        checkout = self.shop.checkout(self.victim_db, provider, self.submit)
        await (
            self.unless_busy(checkout.pay(now, method, key))
            if calm
            else self.dying(lambda: checkout.pay(now, method, key))
        )

    async def cancel(self) -> None:
        if self.held:
            chosen = self.dice.choice(self.held)
            await self.shop.world.send(Cancel(id=f"cancel:{chosen.id}", reservation_id=chosen.id))
            await self.lane()

    async def give_back(self) -> None:
        """Some seats of a reservation."""
        if self.held:
            chosen = self.dice.choice(self.held)
            now = await self.shop.reservation(chosen.id)
            some = [f"s{idx}" for idx in self.dice.sample(now.seats, self.dice.randint(1, len(now.seats)))]
            cancel = Cancel(id=f"part:{chosen.id}:{','.join(sorted(some))}", reservation_id=chosen.id, seat_ids=some)
            await self.shop.world.send(cancel)
            await self.lane()

    async def expire(self) -> None:
        for event_id, name in await reservations.due(self.shop.world.db, self.shop.world.time.at, 100):
            await self.shop.world.send(Expire(id=f"expire:{name}", reservation_id=name), event_id=event_id)
        await self.lane()

    async def time(self) -> None:
        self.shop.world.time.pass_s(self.dice.choice([1.0, 5.0, 25.0, HOLD_FOR.total_seconds()]))

    async def pass_(self) -> None:
        if self.dice.random() < 0.5:
            payer = self.shop.payer(self.victim_db, self.shop.simulator(self.victim_db), self.send)
            await self.dying(payer.round)
        else:
            await self.shop.payer(provider=self.interrupted(self.buyers_ask_again), send=self.send).round()
        await self.lane()

    def interrupted(self, meanwhile: Callable[[], Awaitable[None]]) -> Interrupted:
        return Interrupted(self.shop, self.dice, meanwhile)

    async def payer_comes(self) -> None:
        """A request stands still for so long that the payer takes its charge over."""
        self.shop.world.time.pass_s(RECHECK_AFTER_S + 1)
        await self.shop.payer(send=self.send).round()
        await self.shop.world.allocator().run(EVENT)

    async def buyers_ask_again(self) -> None:
        """While the payer stands still, everybody who may pays by the way they paid before, and another payer comes."""
        for one in self.held:
            now = await self.shop.reservation(one.id)
            if now.status is ReservationStatus.pending:
                await self.unless_busy(self.shop.checkout(submit=self.submit).pay(now, SimulatedMethod.kakao_pay, None))
        if self.dice.random() < 0.5:
            await self.payer_comes()

    async def unless_busy(self, visit: Awaitable[object]) -> None:
        with suppress(LaneUnavailable):  # told to ask again
            await visit

    async def webhooks(self) -> None:
        """The provider sends the webhooks that are due, and sometimes anything it ever knew once more."""
        db, now = self.shop.world.db, self.shop.world.time.at
        await gateway_book.capture_due(db, now, 100)
        for booked in await gateway_book.claim_webhooks(db, now, now - now, 100):
            await self.webhook(booked.charge_id, answer_of(booked))
            await gateway_book.webhook_sent(db, booked, accepted=self.dice.random() < 0.7, again_in=now - now, now=now)
        for record in await money_audit.charge_records(db, EVENT):
            booked_now = await gateway_book.find(db, record.id)
            if booked_now is not None and self.dice.random() < 0.2:
                await self.webhook(record.id, answer_of(booked_now))

    async def gateway_pays_back(self) -> None:
        """After a charge-back; the webhook comes until it is taken."""
        db = self.shop.world.db
        taken = await money_audit.charge_records(db, EVENT)
        books = [await gateway_book.find(db, record.id) for record in taken]
        captured = [book for book in books if book is not None and book.status == "captured"]
        if not captured:
            return
        chosen = self.dice.choice(captured)
        await gateway_book.refund(db, replace(chosen, status="refunded"), self.shop.world.time.at)
        answer = GatewayAnswer(Verdict.refunded, "sim", chosen.amount)
        while await self.webhook(chosen.charge_id, answer):
            pass

    async def webhook(self, charge_id: str, answer: GatewayAnswer) -> bool:
        """Deliver a webhook; whether the process died that took it."""
        provider = self.shop.simulator(self.victim_db)
        checkout = self.shop.checkout(self.victim_db, provider, self.submit, self.tell)
        died = await self.dying(lambda: checkout.handle_webhook("simulator", WebhookEvent(charge_id, answer)))
        await self.lane()
        return died

    async def profile(self) -> None:
        """The gateway turns: well, or bad in some way, for one method."""
        fault = self.dice.choice(["well", "decline", "network", "timeout", "lost", "fault", "late", "slow"])
        share = self.dice.choice([0.3, 0.6, 1.0])
        profiles: dict[str, dict[str, object]] = {
            "well": {},
            "late": {"late_s": 20.0, "twice": True},
            "slow": {"slow_ms": 50},
        }
        method = self.dice.choice(list(SimulatedMethod))
        await self.shop.behaves(method, **profiles.get(fault, {fault: share}))

    async def violations(self) -> list[str]:
        """Of I5 and I7; that work is left undone for long is no wonder where time jumps."""
        world = self.shop.world
        found = await invariants.check(world.redis, world.db, EVENT, world.time.at, [self.shop.simulator()])
        ours = [violation.detail for violation in found if violation.invariant in ("I5", "I7")]
        return [detail for detail in ours if not detail.endswith("nobody sees to it")]

    async def quiet(self) -> None:
        """Everybody is well again and time passes: whatever was left open ends."""
        for method in SimulatedMethod:
            await self.shop.behaves(method)
        for _ in range(12):
            await self.expire()
            await self.shop.later(PAUSE_MAX_S + 1)
            await self.shop.webhook_sender().round()


@pytest.fixture
async def trouble(redis: Redis, ledger: Database) -> AsyncIterator[Trouble]:
    fuse = Fuse()
    victim_db = killable_ledger(ledger, fuse)
    async with killable_redis(redis, fuse) as victim_redis:
        shop = Shop(await make_world(redis, ledger))
        yield Trouble(shop, victim_db, victim_redis, fuse, random.Random(0))
    await victim_db.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_money_and_seats_agree_whatever_fails_and_whoever_dies(trouble: Trouble, seed: int) -> None:
    trouble.dice.seed(seed)
    trouble.shop.chance.seed(seed)
    for _ in range(STEPS):
        await trouble.step()
        assert await trouble.violations() == []
    await trouble.quiet()
    assert await trouble.violations() == []
    assert await money_audit.undone(trouble.shop.world.db, EVENT) == []
    charge_records = await money_audit.charge_records(trouble.shop.world.db, EVENT)
    books = {one.id: await gateway_book.find(trouble.shop.world.db, one.id) for one in charge_records}
    captured = {name for name, book in books.items() if book is not None and book.status == "captured"}
    for record in charge_records:
        status = (await trouble.shop.reservation(record.reservation)).status
        assert (record.id in captured) <= (status is ReservationStatus.confirmed), record
    paid = [record.reservation for record in charge_records if record.id in captured]
    assert len(paid) == len(set(paid)), "a reservation was paid twice"
    sold = [one.id for one in trouble.held if (await trouble.shop.reservation(one.id)).status == "confirmed"]
    assert sorted(paid) == sorted(sold)
