"""The other side of the gateway interface, simulated: takes every payment unless its mood says otherwise.

Its book is durable and shared by all processes, as a real company's would be. Moods are kept in the book as well, so an
operator or a test turns them at run time and everybody meets them at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
import structlog

from app.domain.charge import Booked, PaymentMethod
from app.ledger import gateway_book
from app.ledger.database import Database
from app.payments.gateway import Answer, GatewayFault, GatewayTimeout, NetworkFailure, Verdict

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

log = structlog.get_logger()


class Mood(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How one method behaves: shares of its calls that go wrong, and how slow or late it is."""

    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    decline: Share = 0.0
    network: Share = 0.0  # the call never arrives
    timeout: Share = 0.0  # no answer, and nothing is done
    lost: Share = 0.0  # it is done, and the answer is lost
    fault: Share = 0.0  # it answers that it is broken, and nothing is done
    late_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None  # pending; the money is taken then, by webhook
    twice: bool = False  # tells by webhook what it answered already, or tells it again


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

    async def charge(self, charge_id: str, method: PaymentMethod, amount: int) -> Answer:
        mood = await self._arrive(method)
        verdict = Verdict.captured if mood.late_s is None else Verdict.pending
        reason = ""
        if self._hit(mood.decline):
            verdict, reason = Verdict.declined, "insufficient funds"
        late = timedelta(seconds=mood.late_s or 0)
        wanted = Booked(
            charge_id=charge_id,
            method=method,
            amount=amount,
            status=verdict.value,
            reason=reason,
            settles_at=self._now() + late if verdict is Verdict.pending else None,
            news_at=self._now() + late,
            news_left=(verdict is Verdict.pending) + mood.twice,
        )
        booked = await gateway_book.record(self._db, wanted, self._now())
        log.info("gateway_charged", charge_id=charge_id, method=method, amount=amount, status=booked.status)
        self._answer(mood)
        return answer_of(booked)

    async def find(self, charge_id: str) -> Answer | None:
        booked = await gateway_book.find(self._db, charge_id)
        if booked is not None:
            self._answer(await self._arrive(booked.method))
        return None if booked is None else answer_of(booked)

    async def refund(self, charge_id: str, amount: int) -> None:
        booked = await gateway_book.find(self._db, charge_id)
        mood = Mood() if booked is None else await self._arrive(booked.method)
        never = Booked(
            charge_id=charge_id,
            method=PaymentMethod.bank_transfer if booked is None else booked.method,
            amount=amount,
            status=Verdict.refunded.value,
            reason="given up before it was taken",
            settles_at=None,
            news_at=None,
            news_left=0,
        )
        await gateway_book.give_back(self._db, never, self._now())
        log.info("gateway_refunded", charge_id=charge_id, amount=amount)
        self._answer(mood)

    async def _arrive(self, method: PaymentMethod) -> Mood:
        """The call on its way there: how it is treated. Raises GatewayError if it does not arrive or is not served."""
        mood = await mood_of(self._db, method)
        if mood.slow_ms:
            await self._sleep(mood.slow_ms / 1000)
        if self._hit(mood.network):
            raise NetworkFailure("the connection was refused")
        if self._hit(mood.timeout):
            raise GatewayTimeout("the gateway did not answer")
        if self._hit(mood.fault):
            raise GatewayFault("the gateway answered 500")
        return mood

    def _answer(self, mood: Mood) -> None:
        """The answer on its way back. Raises GatewayTimeout if it is lost."""
        if self._hit(mood.lost):
            raise GatewayTimeout("the answer was lost")

    def _hit(self, share: float) -> bool:
        return share > 0 and self._chance() < share


def answer_of(booked: Booked) -> Answer:
    return Answer(Verdict(booked.status), f"sim_{booked.charge_id}", booked.amount, booked.reason)


async def mood_of(db: Database, method: PaymentMethod) -> Mood:
    return (await all_moods(db)).get(method, Mood())


async def all_moods(db: Database) -> dict[PaymentMethod, Mood]:
    """The moods that were set; every other method is well."""
    return {PaymentMethod(name): msgspec.convert(mood, Mood) for name, mood in (await gateway_book.moods(db)).items()}


async def set_mood(db: Database, method: PaymentMethod, mood: Mood) -> None:
    await gateway_book.set_mood(db, method.value, msgspec.to_builtins(mood))
