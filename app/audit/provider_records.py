"""What the payment providers say they took, read from themselves: the other side of our own records of the money.

However much it is, it takes little memory: it is kept in a temporary file while it is compared. Between reading the
providers and our own records money moves on, so whoever finds that the two do not fit asks again (see invariants.py).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from app.ledger import money_audit
from app.ledger.database import Database
from app.payments.provider import GatewayError, PaymentProvider, Transaction, Verdict

TAKEN = (Verdict.captured, Verdict.pending)
CLOCKS_APART = timedelta(hours=1)  # a provider's clock may be so much behind ours
STRAYS_WITHIN = timedelta(days=1)  # money that nobody asked for is looked for at least this far back
READ_S = 20.0  # for each page; then a provider counts as not answering


class ProviderRecords:
    """`strays`: (provider, transaction) that no charge of ours asked for. `unread`: provider → why its records could
    not be read. `known`: the providers that were asked.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self.strays: list[tuple[str, Transaction]] = []
        self.unread: dict[str, str] = {}
        self.known = frozenset(known)
        self._file = sqlite3.connect("")  # a temporary file, gone when it is closed
        self._file.execute(
            "CREATE TABLE said (provider TEXT, id TEXT, verdict TEXT, amount INTEGER, refunded INTEGER,"
            " PRIMARY KEY (provider, id))"
            " WITHOUT ROWID"
        )

    def add(self, provider: str, page: Sequence[Transaction]) -> None:
        rows = [(provider, one.charge_id, one.verdict.value, one.amount, one.refunded) for one in page]
        self._file.executemany("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?)", rows)

    def of(self, provider: str, charge_id: str) -> Transaction | None:
        """What a provider says of a charge; None if it did not name it."""
        asked = "SELECT verdict, amount, refunded FROM said WHERE provider = ? AND id = ?"
        found = self._file.execute(asked, (provider, charge_id)).fetchone()
        return None if found is None else Transaction(charge_id, Verdict(found[0]), *found[1:])

    def is_read(self, provider: str) -> bool:
        """Whether the provider's records are here. One that is not among the settings is noted as unread."""
        if provider not in self.known:
            self.unread[provider] = "the settings name no such payment provider, and it has charges"
        return provider not in self.unread

    def close(self) -> None:
        self._file.close()


async def read_records(
    db: Database, providers: Iterable[PaymentProvider], first_at: datetime | None, now: datetime
) -> ProviderRecords:
    """What the providers say of everything since `first_at`, when our first charge was made; None if there is none.
    Close it."""
    asked = list(providers)
    found = ProviderRecords([provider.name for provider in asked])
    since = min(now - STRAYS_WITHIN, first_at or now) - CLOCKS_APART
    for provider in asked:
        try:
            await _read(db, provider, since, found)
        except (GatewayError, TimeoutError) as error:
            found.unread[provider.name] = str(error) or f"no answer within {READ_S:g} s"
    return found


async def _read(db: Database, provider: PaymentProvider, since: datetime, found: ProviderRecords) -> None:
    pages = aiter(provider.transactions(since))
    while True:
        async with asyncio.timeout(READ_S):
            page = await anext(pages, None)
        if page is None:
            return
        found.add(provider.name, page)
        taken = {one.charge_id: one for one in page if one.verdict in TAKEN}
        strays = await money_audit.not_ours(db, provider.name, list(taken))
        found.strays += [(provider.name, taken[charge_id]) for charge_id in strays]
