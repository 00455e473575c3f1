"""I7 over our records and the payment providers': money that was taken pays for confirmed seats, or is on its way back.

Pure. Holds at every moment, also in the middle of a payment: the tables below say which states of both sides fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.audit.line_replay import Violation
from app.audit.provider_records import ProviderRecords
from app.ledger.money_audit import ChargeRecord

# status of a payment that the lane wrote → what the provider may say of its charge
PAID = {"captured": ("captured",), "refund_due": ("captured", "refunded"), "refunded": ("refunded",)}
# status of our charge before the lane was told → what the provider may say of it
ASKED = {
    "started": (None, "pending", "captured", "declined"),
    "captured": ("captured",),
    "failed": (None, "declined", "refunded"),
    "refund_due": (None, "pending", "captured", "declined", "refunded"),
    "refunded": ("refunded", "declined"),
}
CONFIRMED = ("captured", "settled")  # charges that the lane may know of


def money_violations(
    charge_records: Iterable[ChargeRecord], theirs: ProviderRecords, stuck: Iterable[str]
) -> list[Violation]:
    """Where both sides do not fit. `stuck`: open work that nobody does though it is long due."""
    wrong = [said for record in charge_records for said in _wrong(record, theirs)]
    wrong += [f"charge {what}, and nobody sees to it" for what in stuck]
    return [Violation("I7", said) for said in wrong]


def provider_violations(theirs: ProviderRecords) -> list[Violation]:
    """Money that nobody asked a provider for, and providers whose records could not be compared with ours."""
    wrong = [f"{name} has money for {charge}, which nobody asked for" for name, charge in theirs.strays]
    wrong += [f"the records of {name} cannot be compared: {why}" for name, why in sorted(theirs.unread.items())]
    return [Violation("I7", said) for said in wrong]


def _wrong(ours: ChargeRecord, theirs: ProviderRecords) -> list[str]:
    found = []
    transaction = theirs.transactions.get((ours.provider, ours.id))
    verdict = None if transaction is None else transaction.verdict.value
    unread = ours.provider in theirs.unread
    if ours.payment is not None:
        if ours.charge not in CONFIRMED:
            found.append(f"payment {ours.id} is {ours.payment}, but its charge is {ours.charge or 'unknown'}")
        if not unread and verdict not in PAID[ours.payment]:
            found.append(f"payment {ours.id} is {ours.payment}, but {ours.provider} says {verdict or 'nothing'}")
    elif not unread and verdict not in ASKED.get(ours.charge or "", ()):
        found.append(f"charge {ours.id} is {ours.charge}, but {ours.provider} says {verdict or 'nothing'}")
    amounts = (*ours.amounts, *([] if transaction is None else [transaction.amount]))
    if any(amount != ours.price for amount in amounts):
        found.append(f"charge {ours.id} of {ours.reservation} is of {amounts}, not of {ours.price}")
    return found
