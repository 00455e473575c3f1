"""Charges: what was asked of a payment provider, and what became of it.

    started ──► captured ──► settled      the lane has written the reservation's payment: see there
       │  │         └──► returned ◄──┘    the provider has paid the money back by itself; settled again once the lane
       │  │                               has given the seats back
       │  └───► failed                    the provider says that it took no money
       └──────► refund_due ──► refunded   cancelled by us: money taken for it is refunded, and none will be taken

The first change from `started` wins: a charge that is being cancelled can never pay for seats. A charge that the
provider itself has cancelled or paid back while it was `started` is `refunded`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

SIMULATOR = "simulator"  # the provider of every charge that names none
NO_PROVIDER = "none"  # of a charge of nothing, which is captured from the start
FREE = "free"  # its method


class ChargeStatus(StrEnum):
    started = "started"
    captured = "captured"
    settled = "settled"
    returned = "returned"
    failed = "failed"
    refund_due = "refund_due"
    refunded = "refunded"


UNDER_WAY = frozenset({ChargeStatus.started, ChargeStatus.captured})
# the payer job must still work on these
UNDONE = frozenset({*UNDER_WAY, ChargeStatus.returned, ChargeStatus.refund_due})


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to be paid, through the payment provider named `provider`.

    `reference` is the provider's own id for it; `next_at` is when the payer job (workers/payer.py) next works on it.
    `keeps_until`: while it is under way the hold lasts until then, though its own time is over.
    """

    id: str
    reservation_id: str
    event_id: str
    method: str
    amount: int
    status: ChargeStatus
    created_at: datetime
    next_at: datetime
    tries: int = 0
    key: str | None = None
    reference: str | None = None
    error: str | None = None
    provider: str = SIMULATOR
    keeps_until: datetime | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that must be paid back: the lane did not sell its seats, or gave them back.

    `part`: 0 for all that is left of it, else which of its parts.
    """

    id: int
    part: int
    reference: str
    amount: int
    tries: int
    next_at: datetime
    provider: str


class SimulatedCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as the simulated provider records it. It has `webhooks_left` webhooks to send, the next `webhook_at`."""

    charge_id: str
    method: str
    amount: int
    status: str  # pending | captured | declined | refunded
    reason: str
    settles_at: datetime | None
    webhook_at: datetime | None
    webhooks_left: int
    refunded: int = 0  # so much was paid back
