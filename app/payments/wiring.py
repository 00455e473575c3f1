"""Makes the payment provider, the checkout and the retry policy with the real clock and random numbers."""

from __future__ import annotations

import asyncio
import random
import secrets
from datetime import UTC, datetime

from app.ledger.database import Database
from app.payments.checkout import Checkout, Send, Submit
from app.payments.provider import PaymentProvider
from app.payments.providers.simulator import Simulator
from app.payments.retry_policy import RetryPolicy

ID_BYTES = 15


def make_gateway(db: Database) -> PaymentProvider:
    return Simulator(db, now=_now, sleep=asyncio.sleep, chance=random.random)


def make_retry_policy() -> RetryPolicy:
    return RetryPolicy(sleep=asyncio.sleep, chance=random.random)


def make_checkout(db: Database, submit: Submit, send: Send) -> Checkout:
    return Checkout(
        db=db,
        gateway=make_gateway(db),
        submit=submit,
        send=send,
        retry=make_retry_policy(),
        now=_now,
        new_id=lambda: f"c_{secrets.token_urlsafe(ID_BYTES)}",
    )


def _now() -> datetime:
    return datetime.now(UTC)
