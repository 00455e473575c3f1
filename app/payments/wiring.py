"""Makes the gateway and its cashier with the machine's own clock and chance: called by the web and by workers."""

from __future__ import annotations

import asyncio
import random
import secrets
from datetime import UTC, datetime

from app.ledger.database import Database
from app.payments.cashier import Cashier, Send, Submit
from app.payments.gateway import Gateway
from app.payments.patience import Patience
from app.payments.simulator import Simulator

ID_BYTES = 15


def make_gateway(db: Database) -> Gateway:
    return Simulator(db, now=_now, sleep=asyncio.sleep, chance=random.random)


def make_patience() -> Patience:
    return Patience(sleep=asyncio.sleep, chance=random.random)


def make_cashier(db: Database, submit: Submit, send: Send) -> Cashier:
    """With a gateway of its own; all gateways share one book."""
    return Cashier(
        db=db,
        gateway=make_gateway(db),
        submit=submit,
        send=send,
        patience=make_patience(),
        now=_now,
        new_id=lambda: f"c_{secrets.token_urlsafe(ID_BYTES)}",
    )


def _now() -> datetime:
    return datetime.now(UTC)
