"""What the payment providers say they took, read from themselves: the other side of our own records of the money.

Our side is read before and after, and only what did not change meanwhile is compared: the answers of a provider in
between then belong to it. What changed is compared the next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.ledger import money_audit
from app.ledger.database import Database
from app.ledger.money_audit import ChargeRecord
from app.payments.provider import GatewayError, PaymentProvider, Transaction, Verdict

TAKEN = (Verdict.captured, Verdict.pending)
CLOCKS_APART = timedelta(hours=1)  # a provider's clock may be so much behind ours
STRAYS_WITHIN = timedelta(days=1)  # money that nobody asked for is looked for at least this far back
READ_S = 20.0  # then a provider counts as not answering


@dataclass(slots=True)
class ProviderRecords:
    """`transactions`: by (provider, charge id). `strays`: (provider, id) of money that no charge of ours asked for.
    `unread`: provider → why its records could not be read."""

    transactions: dict[tuple[str, str], Transaction] = field(default_factory=dict)
    strays: list[tuple[str, str]] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


async def read_records(
    db: Database, providers: Iterable[PaymentProvider], ours: Collection[ChargeRecord], now: datetime
) -> ProviderRecords:
    """What the providers say of these charges, and the money they have that nobody asked for."""
    found = ProviderRecords()
    since = min([now - STRAYS_WITHIN, *(record.created_at for record in ours)]) - CLOCKS_APART
    wanted = {(record.provider, record.id) for record in ours}
    for provider in providers:
        try:
            async with asyncio.timeout(READ_S):
                await _read(db, provider, since, wanted, found)
        except (GatewayError, TimeoutError) as error:
            found.unread[provider.name] = str(error) or f"no answer within {READ_S:g} s"
    known = {provider.name for provider in providers}
    for record in ours:
        if record.provider not in known:
            found.unread[record.provider] = "the settings name no such payment provider, and it has charges"
    return found


async def _read(
    db: Database, provider: PaymentProvider, since: datetime, wanted: set[tuple[str, str]], found: ProviderRecords
) -> None:
    async for page in provider.transactions(since):
        keyed = {(provider.name, one.charge_id): one for one in page}
        found.transactions.update((key, one) for key, one in keyed.items() if key in wanted)
        taken = [one.charge_id for key, one in keyed.items() if key not in wanted and one.verdict in TAKEN]
        strays = await money_audit.not_ours(db, provider.name, taken)
        found.strays += [(provider.name, charge_id) for charge_id in strays]
