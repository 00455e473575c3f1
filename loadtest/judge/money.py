"""I7: what was taken pays for confirmed seats, or is on its way back. From SQL's side: the gateway's book is compared
by the product's own check of its stores, in the row `stores`."""

from __future__ import annotations

from collections import Counter

from loadtest.judge.finding import Finding
from loadtest.records import Records


def judge_money(records: Records) -> Finding:
    """A confirmed reservation has one captured payment, every other one none."""
    finding = Finding(topic="money", invariant="I7")
    if records.stores is None:
        finding.unproven = "the stores were not read"
        return finding
    counts: Counter[str] = Counter()
    for sale in records.stores.sales:
        counts.update(sale.payments)
        captured = sale.payments.count("captured")
        if captured != (sale.status == "confirmed"):
            finding.breach(f"is {sale.status} with {captured} captured payments", sale.id)
    shown = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
    finding.text = f"{counts.total()} payments: {shown or 'none'}"
    finding.claim = "; each pays for sold seats or goes back"
    return finding
