"""Paying against a plain-Python model, on real Redis and SQL: holds, payments at once and later, graces, prices of 0,
parts given back, refunds of ours and of the gateway's, in whatever order. Both books agree after each step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace

from app.audit import invariants
from app.domain.charge import SIMULATOR
from app.lane.commands import Cancel, Expire
from app.ledger import editing, gateway_book, money_audit, reservations
from app.ledger.events import AdminAction, GradeSpec
from app.payments.checkout import PaidStatus
from app.payments.provider import GatewayAnswer, Verdict, WebhookEvent
from tests.lane.audit import broken, empty
from tests.lane.world import EVENT, HOLD_FOR, START, make_world
from tests.model.stores import Stores, empty_database
from tests.payments.shop import BANK, KAKAO, Shop
from tests.postgres import Postgres

SEATS = 12
PRICES = [100] * 6 + [0] * 6  # the second row costs nothing
LATE_S = 1_000.0  # when the gateway would say by itself what became of a transfer
HOURS_OF_WORK = 10


@dataclass
class Deal:
    """A reservation as the model knows it. `open`: by which way a payment of `amount` is under way; `paid`: what
    the gateway has of it for good, once everything is done."""

    seats: frozenset[int]
    ends: datetime
    status: str = "pending"
    open: str = ""
    amount: int = 0
    kept_until: datetime = START
    paid: int = 0

    @property
    def price(self) -> int:
        return sum(PRICES[idx] for idx in self.seats)

    @property
    def lasts_until(self) -> datetime:
        return max(self.ends, self.kept_until) if self.open else self.ends

    def end(self, status: str) -> None:
        self.status, self.paid = status, 0

    def sold(self) -> None:
        self.status, self.paid, self.open = "confirmed", self.price, ""


class PayingMachine(RuleBasedStateMachine):
    stores: Stores

    @initialize()
    def begin(self) -> None:
        self.shop = Shop(self.run(make_world(self.stores.redis, self.stores.db)))
        self.deals: dict[str, Deal] = {}
        grades = [GradeSpec(name="R", price=100), GradeSpec(name="S", price=0)]
        by = AdminAction("ann", "event.edit", {})
        self.run(editing.edit(self.stores.db, EVENT, editing.Edit(grades=grades), by, START))

    def run(self, work: Awaitable[Any]) -> Any:
        return self.stores.run(work)

    def teardown(self) -> None:
        """Everything that was begun is done in the end, and the gateway has what the sold seats cost."""
        if hasattr(self, "shop"):
            self.run(self.everything_is_done())
        self.run(self.stores.redis.flushall())
        self.run(empty(self.stores.db))

    async def everything_is_done(self) -> None:
        for method in (KAKAO, BANK):
            await self.shop.behaves(method)
        for _ in range(HOURS_OF_WORK):
            await self.gateway_takes()
            await self.shop.later(3_600)
        assert await money_audit.undone(self.stores.db, EVENT) == []
        self.agree(await self.violations())
        for name, deal in self.deals.items():
            assert await self.kept_by_gateway(name) == (deal.paid if deal.status == "confirmed" else 0), (name, deal)

    async def kept_by_gateway(self, reservation_id: str) -> int:
        kept = 0
        for record in await money_audit.charge_records(self.stores.db, EVENT):
            book = await gateway_book.find(self.stores.db, record.id)
            if record.reservation == reservation_id and book is not None and book.status == "captured":
                kept += book.amount - book.refunded
        return kept

    @property
    def now(self) -> datetime:
        return self.shop.world.time.at

    def some_deal(self, data: st.DataObject) -> tuple[str, Deal] | None:
        return data.draw(st.sampled_from(sorted(self.deals.items(), key=lambda each: each[0]))) if self.deals else None

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        taken = {idx for deal in self.deals.values() if deal.status in ("pending", "confirmed") for idx in deal.seats}
        free = sorted(set(range(SEATS)) - taken)
        if not free:
            return
        seats = data.draw(st.sets(st.sampled_from(free), min_size=1, max_size=3))
        held = self.run(self.shop.held(*sorted(seats), holder=f"buyer-{len(self.deals)}"))
        self.deals[held.id] = Deal(frozenset(seats), self.now + HOLD_FOR)
        self.agree()

    @rule(data=st.data(), how=st.sampled_from(["at once", "later", "declined"]))
    def pay(self, data: st.DataObject, how: str) -> None:
        found = self.some_deal(data)
        if found is None or found[1].status != "pending":
            return
        name, deal = found
        method = BANK if how == "later" else KAKAO
        self.run(self.shop.behaves(KAKAO, decline=1.0 if how == "declined" else 0.0))
        self.run(self.shop.behaves(BANK, late_s=LATE_S))
        paid = self.run(self.shop.pay(self.run(self.shop.reservation(name)), method))
        if deal.open == method and deal.price:
            assert paid.status is PaidStatus.pending, "asking again begins nothing"
        elif deal.lasts_until <= self.now:
            assert paid.status is PaidStatus.hold_over
        elif not deal.price or how == "at once":
            assert paid.status is PaidStatus.captured
            deal.sold()
        elif how == "later":
            assert paid.status is PaidStatus.pending
            deal.open, deal.amount, deal.kept_until = method, deal.price, self.now + self.shop.grace
        else:
            assert paid.status is PaidStatus.declined
            deal.open = ""
        self.agree()

    def some_waiting(self, data: st.DataObject, *, begun: bool) -> tuple[str, Deal] | None:
        """A reservation that costs something and lasts a while yet, with a payment under way or without."""
        soon = self.now + timedelta(seconds=2)
        found = [
            (name, deal)
            for name, deal in self.deals.items()
            if deal.status == "pending" and deal.price and bool(deal.open) is begun and deal.lasts_until > soon
        ]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data())
    def pay_as_the_hold_ends(self, data: st.DataObject) -> None:
        """What was begun in time keeps its seats for a grace, and no longer."""
        found = self.some_waiting(data, begun=False)
        if found is None:
            return
        name, deal = found
        self.shop.world.time.pass_s((deal.ends - self.now).total_seconds() - 1.5)
        self.run(self.shop.behaves(BANK, late_s=LATE_S))
        paid = self.run(self.shop.pay(self.run(self.shop.reservation(name)), BANK))
        assert paid.status is PaidStatus.pending
        deal.open, deal.amount, deal.kept_until = BANK, deal.price, self.now + self.shop.grace
        self.shop.world.time.pass_s(60)
        self.sweep()
        assert deal.status == "pending"

    @rule(data=st.data())
    def pay_the_other_way(self, data: st.DataObject) -> None:
        """While a transfer is under way: whichever money comes second goes back."""
        found = self.some_waiting(data, begun=True)
        if found is None:
            return
        name, deal = found
        self.run(self.shop.behaves(KAKAO))
        paid = self.run(self.shop.pay(self.run(self.shop.reservation(name)), KAKAO))
        assert paid.status is PaidStatus.captured
        deal.sold()
        self.agree()

    @rule()
    def the_gateway_takes_what_was_begun(self) -> None:
        self.run(self.gateway_takes())
        self.agree()

    async def gateway_takes(self) -> None:
        """Every transfer that was begun arrives, and its webhook with it."""
        await gateway_book.capture_due(self.stores.db, self.now + timedelta(seconds=LATE_S), 100)
        for record in await money_audit.charge_records(self.stores.db, EVENT):
            book = await gateway_book.find(self.stores.db, record.id)
            if book is None or book.status != "captured" or book.method != BANK:
                continue
            event = WebhookEvent(
                book.charge_id, GatewayAnswer(Verdict.captured, "sim", book.amount, refunded=book.refunded)
            )
            assert await self.shop.checkout().handle_webhook(SIMULATOR, event)
            await self.shop.world.allocator().run(EVENT)
        for deal in self.deals.values():
            if deal.open and deal.status == "pending" and deal.amount == deal.price:
                deal.sold()
            deal.open = ""

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A part of the seats, or all of them."""
        found = self.some_deal(data)
        if found is None or found[1].status not in ("pending", "confirmed"):
            return
        name, deal = found
        some = data.draw(st.sets(st.sampled_from(sorted(deal.seats)), min_size=1))
        names = [f"s{idx}" for idx in sorted(some)]
        self.run(self.shop.world.do(Cancel(id=f"x{next(self.shop.names)}", reservation_id=name, seat_ids=names)))
        if some == deal.seats:
            deal.end("cancelled" if deal.status == "pending" else "refunded")
        else:
            deal.seats -= some
            deal.paid = deal.price if deal.status == "confirmed" else 0
        self.agree()

    @rule(data=st.data())
    def the_gateway_pays_back(self, data: st.DataObject) -> None:
        """After a charge-back, whole."""
        found = self.some_deal(data)
        if found is None or found[1].status != "confirmed":
            return
        name, deal = found
        if self.run(self.charged_back(name)):
            deal.end("refunded")
        self.agree()

    async def charged_back(self, reservation_id: str) -> bool:
        for record in await money_audit.charge_records(self.stores.db, EVENT):
            book = await gateway_book.find(self.stores.db, record.id)
            if record.reservation != reservation_id or book is None or book.status != "captured":
                continue
            if record.charge != "settled" or record.payment != "captured":
                continue  # it goes back already
            await gateway_book.refund(self.stores.db, replace(book, status="refunded"), self.now)
            event = WebhookEvent(book.charge_id, GatewayAnswer(Verdict.refunded, "sim", book.amount))
            assert await self.shop.checkout().handle_webhook(SIMULATOR, event)
            await self.shop.world.allocator().run(EVENT)
            return True
        return False

    @rule(seconds=st.sampled_from([1.0, 60.0, 119.0, 298.0]))
    def time_passes(self, seconds: float) -> None:
        self.shop.world.time.pass_s(seconds)

    @rule()
    def sweep(self) -> None:
        due = self.run(reservations.due(self.stores.db, self.now, 100))
        expected = {name for name, d in self.deals.items() if d.status == "pending" and d.lasts_until <= self.now}
        assert {name for _, name in due} == expected
        for _, name in due:
            self.run(self.shop.world.do(Expire(id=f"expire:{name}:{self.now}", reservation_id=name)))
            self.deals[name].end("expired")
        self.agree()

    @rule()
    def the_payer_works(self) -> None:
        self.run(self.shop.payer().round())
        self.run(self.shop.world.allocator().run(EVENT))
        self.agree()

    async def violations(self) -> list[str]:
        """Of I5 and I7; that a refund is not done yet where time jumps is none."""
        world = self.shop.world
        found = await invariants.check(world.redis, world.db, EVENT, world.time.at, [self.shop.simulator()])
        ours = [each.detail for each in found if each.invariant in ("I5", "I7")]
        return [detail for detail in ours if not detail.endswith("nobody sees to it")] + await broken(world.db)

    def agree(self, violations: list[str] | None = None) -> None:
        assert (self.run(self.violations()) if violations is None else violations) == []
        if violations is not None:
            return
        for name, deal in self.deals.items():
            stored = self.run(self.shop.reservation(name))
            assert (stored.status.value, stored.total_price) == (deal.status, deal.price), (name, deal)
            if deal.status == "pending":
                assert (frozenset(stored.seats), stored.ends_at) == (deal.seats, deal.lasts_until), (name, deal)


@pytest.fixture
def stores(redis_socket: Path, tmp_path: Path, sql_server: Postgres | None) -> Iterator[Stores]:
    with empty_database(tmp_path, sql_server) as url:
        stores = Stores(redis_socket, url)
        yield stores
        stores.close()


def test_paying_does_what_its_model_does(stores: Stores) -> None:
    machine = type("Machine", (PayingMachine,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
