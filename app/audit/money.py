"""I7 over our records and the providers': money that was taken pays for confirmed seats, or is on its way back.

Pure. Holds at every moment, also in the middle of a payment: the tables below say which states of both sides fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.audit.line_replay import Violation
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
    charge_records: Iterable[ChargeRecord], strays: Iterable[str], stuck: Iterable[str]
) -> list[Violation]:
    """`strays`: charges that only the provider knows; `stuck`: open work that nobody does though it is long due."""
    wrong = [said for record in charge_records for said in _wrong(record)]
    wrong += [f"the gateway has money for {charge}, which nobody asked for" for charge in strays]
    wrong += [f"charge {what}, and nobody sees to it" for what in stuck]
    return [Violation("I7", said) for said in wrong]


def _wrong(record: ChargeRecord) -> list[str]:
    found = []
    if record.payment is not None:
        if record.charge not in CONFIRMED:
            found.append(f"payment {record.id} is {record.payment}, but its charge is {record.charge or 'unknown'}")
        if record.book not in PAID[record.payment]:
            found.append(f"payment {record.id} is {record.payment}, but the gateway says {record.book or 'nothing'}")
    elif record.book not in ASKED.get(record.charge or "", ()):
        found.append(f"charge {record.id} is {record.charge}, but the gateway says {record.book or 'nothing'}")
    if any(amount != record.price for amount in record.amounts):
        found.append(f"charge {record.id} of {record.reservation} is of {record.amounts}, not of {record.price}")
    return found
