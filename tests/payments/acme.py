"""A second payment provider, as unlike the simulator as one can be: it sends buyers to a page of its own, signs in its
own way and has a format of its own. Its records are in memory, shared by all who are given the same `AcmePay`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.payments.provider import (
    ChargeRequest,
    GatewayAnswer,
    GatewayTimeout,
    RedirectBuyer,
    SignatureInvalid,
    Transaction,
    Verdict,
    WebhookEvent,
    WebhookNotUnderstood,
)

ORIGIN = "https://pay.acme.example"
SIGNATURE = "x-acme-hmac"
STATES = {"OPEN": Verdict.pending, "PAID": Verdict.captured, "REJECTED": Verdict.declined, "VOID": Verdict.refunded}


@dataclass
class Order:
    charge_id: str
    amount: int
    return_url: str
    state: str = "OPEN"
    parts: dict[int, int] = field(default_factory=dict)  # that were refunded


@dataclass
class AcmePay:
    """`asked` counts the calls by name. While `answers_are_lost`, calls are carried out and not answered; its list of
    transactions `hangs`, or is given after `meanwhile`."""

    secret: bytes = field(repr=False)
    page: str = f"{ORIGIN}/checkout"
    name: str = "acme"
    redirect_origins: frozenset[str] = frozenset({ORIGIN})
    orders: dict[str, Order] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    answers_are_lost: bool = False
    hangs: bool = False
    meanwhile: Callable[[], Awaitable[None]] | None = None

    @property
    def slow_methods(self) -> Mapping[str, float]:
        return {}

    @property
    def methods(self) -> Mapping[str, Mapping[str, str]]:
        return {"card": {"ko": "신용카드", "en": "Credit card"}}

    async def charge(self, request: ChargeRequest) -> GatewayAnswer | RedirectBuyer:
        self._count("charge")
        made = Order(request.charge_id, request.amount, request.return_url)
        order = self.orders.setdefault(request.charge_id, made)
        self._lose()
        if order.state == "OPEN":
            return RedirectBuyer(f"acme-{order.charge_id}", f"{self.page}?order={order.charge_id}")
        return self._answer(order)

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        self._count("find")
        order = self.orders.get(charge_id)
        return None if order is None else self._answer(order)

    async def refund(self, charge_id: str, amount: int) -> None:
        self._count("refund")
        self.orders.setdefault(charge_id, Order(charge_id, amount, "")).state = "VOID"
        self._lose()

    async def refund_part(self, charge_id: str, amount: int, part: int) -> None:
        self._count("refund_part")
        order = self.orders[charge_id]
        if order.state == "PAID":
            order.parts.setdefault(part, amount)
        self._lose()

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        if not hmac.compare_digest(self.sign(body), headers.get(SIGNATURE, "")):
            raise SignatureInvalid("The signature is missing or wrong.")
        try:
            said: dict[str, Any] = json.loads(body)
            if said["type"] == "REPORT_READY":
                return None
            if said["type"] != "ORDER_CHANGED":
                raise WebhookNotUnderstood("acme has sent a kind of webhook that we do not know.")
            answer = GatewayAnswer(STATES[said["state"]], f"acme-{said['order']}", int(said["won"]))
            return WebhookEvent(said["order"], answer)
        except (ValueError, KeyError, TypeError):
            raise WebhookNotUnderstood("This is not a webhook of acme.") from None

    async def transactions(self, since: datetime) -> AsyncIterator[Sequence[Transaction]]:
        self._lose()
        if self.hangs:
            await asyncio.Event().wait()
        if self.meanwhile is not None:
            await self.meanwhile()
        yield [
            Transaction(one.charge_id, STATES[one.state], one.amount, sum(one.parts.values()))
            for one in self.orders.values()
        ]

    def sign(self, body: bytes) -> str:
        return base64.b64encode(hmac.new(self.secret, body, hashlib.sha512).digest()).decode()

    def buyer_pays(self, charge_id: str, state: str = "PAID") -> bytes:
        """The buyer ends their visit of the provider's page; the webhook that says so."""
        order = self.orders[charge_id]
        if order.state == "OPEN":
            order.state = state
        return self.webhook(order)

    @staticmethod
    def webhook(order: Order) -> bytes:
        return json.dumps(
            {"type": "ORDER_CHANGED", "order": order.charge_id, "state": order.state, "won": order.amount}
        ).encode()

    def _answer(self, order: Order) -> GatewayAnswer:
        return GatewayAnswer(STATES[order.state], f"acme-{order.charge_id}", order.amount)

    def _count(self, call: str) -> None:
        self.asked[call] = self.asked.get(call, 0) + 1

    def _lose(self) -> None:
        if self.answers_are_lost:
            raise GatewayTimeout("acme did not answer")
