"""I7 over our records and the payment providers': money that was taken pays for confirmed seats, or is on its way back.

Pure. Holds at every moment, also in the middle of a payment: the tables below say which states of both sides fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.audit.line_replay import Violation
from app.audit.provider_records import ProviderRecords
from app.domain.charge import NO_PROVIDER
from app.ledger.money_audit import ChargeRecord
from app.payments.provider import Transaction, Verdict

# status of a payment that the lane wrote → what the provider may say of its charge
PAID = {"captured": ("captured",), "refund_due": ("captured", "refunded"), "refunded": ("refunded",)}
# status of our charge before the lane was told → what the provider may say of it
ASKED = {
    "started": (None, "pending", "captured", "declined"),
    "captured": ("captured",),
    "returned": ("refunded",),
    "failed": (None, "declined", "refunded"),
    "refund_due": (None, "pending", "captured", "declined", "refunded"),
    "refunded": ("refunded", "declined"),
}
CONFIRMED = ("captured", "settled", "returned")  # charges that the lane may know of


def money_violations(charge_records: Iterable[ChargeRecord], theirs: ProviderRecords) -> list[Violation]:
    """Where both sides do not fit."""
    return [Violation("I7", said) for record in charge_records for said in _wrong(record, theirs)]


def stuck_violations(stuck: Iterable[str]) -> list[Violation]:
    """Open work that nobody does though it is long due."""
    return [Violation("I7", f"charge {what}, and nobody sees to it") for what in stuck]


def is_wrong(record: ChargeRecord, theirs: ProviderRecords) -> bool:
    """Whether both sides of a charge do not fit."""
    return bool(_wrong(record, theirs))


def provider_violations(theirs: ProviderRecords) -> list[Violation]:
    """Money that nobody asked a provider for, and providers whose records could not be compared with ours."""
    wrong = [f"{name} has money for {charge.charge_id}, which nobody asked for" for name, charge in theirs.strays]
    wrong += [f"the records of {name} cannot be compared: {why}" for name, why in sorted(theirs.unread.items())]
    return [Violation("I7", said) for said in wrong]


def _wrong(ours: ChargeRecord, theirs: ProviderRecords) -> list[str]:
    found = []
    unread = ours.provider == NO_PROVIDER or not theirs.is_read(ours.provider)
    transaction = theirs.of(ours.provider, ours.id)
    verdict = None if transaction is None else transaction.verdict.value
    if ours.payment is not None:
        if ours.charge not in CONFIRMED:
            found.append(f"payment {ours.id} is {ours.payment}, but its charge is {ours.charge or 'unknown'}")
        returned = ours.charge == "returned" and verdict == "refunded"
        if not unread and not returned and verdict not in PAID[ours.payment]:
            found.append(f"payment {ours.id} is {ours.payment}, but {ours.provider} says {verdict or 'nothing'}")
    elif not unread and verdict not in ASKED.get(ours.charge or "", ()):
        found.append(f"charge {ours.id} is {ours.charge}, but {ours.provider} says {verdict or 'nothing'}")
    return found + _wrong_amounts(ours, transaction)


def _wrong_amounts(ours: ChargeRecord, transaction: Transaction | None) -> list[str]:
    """A charge is of what its payments are of together; what is left of it while seats are sold is their price."""
    paid = sum(amount for _, amount in ours.payments) if ours.payments else None
    expected = ours.amount if paid is None else paid
    amounts = (ours.amount, paid, None if transaction is None else transaction.amount)
    charged = tuple(amount for amount in amounts if amount is not None)
    found = []
    if any(amount != expected for amount in charged):
        found.append(f"charge {ours.id} of {ours.reservation} is of {charged}, not of {expected}")
    if ours.payment == "captured" and ours.payments[0][1] != ours.price:
        found.append(f"payment {ours.id} of {ours.reservation} is of {ours.payments[0][1]}, not of {ours.price}")
    if ours.payment is not None and transaction is not None and transaction.verdict is Verdict.captured:
        back = sum(amount for status, amount in ours.payments if status == "refunded")
        due = sum(amount for status, amount in ours.payments if status == "refund_due")
        if not back <= transaction.refunded <= back + due:
            found.append(
                f"{ours.provider} paid back {transaction.refunded} of {ours.id}, and we {back} of {back + due}"
            )
    return found
