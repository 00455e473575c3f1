"""I7 over both books: whatever the gateway has taken pays for confirmed seats, or is on its way back.

Pure. Holds at every moment, in the middle of any payment: who writes first, the gateway or we, is part of the rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.audit.line_replay import Violation
from app.ledger.money_audit import Slip

# what the lane says of a payment → what the gateway may say of its charge
PAID = {"captured": ("captured",), "refund_due": ("captured", "refunded"), "refunded": ("refunded",)}
# our charge, while the lane has not heard of it → what the gateway may say
ASKED = {
    "started": (None, "pending", "captured", "declined"),
    "captured": ("captured",),
    "failed": (None, "declined", "refunded"),
    "refund_due": (None, "pending", "captured", "declined", "refunded"),
    "refunded": ("refunded", "declined"),
}
HEARD = ("captured", "settled")  # a charge of which the lane has heard


def money_violations(slips: Iterable[Slip], strays: Iterable[str], stuck: Iterable[str]) -> list[Violation]:
    """`strays`: charges only the gateway knows; `stuck`: what nobody works on though it has long been due."""
    wrong = [said for slip in slips for said in _wrong(slip)]
    wrong += [f"the gateway has money for {charge}, which nobody asked for" for charge in strays]
    wrong += [f"charge {what}, and nobody sees to it" for what in stuck]
    return [Violation("I7", said) for said in wrong]


def _wrong(slip: Slip) -> list[str]:
    found = []
    if slip.payment is not None:
        if slip.charge not in HEARD:
            found.append(f"payment {slip.id} is {slip.payment}, but its charge is {slip.charge or 'unknown'}")
        if slip.book not in PAID[slip.payment]:
            found.append(f"payment {slip.id} is {slip.payment}, but the gateway says {slip.book or 'nothing'}")
    elif slip.book not in ASKED.get(slip.charge or "", ()):
        found.append(f"charge {slip.id} is {slip.charge}, but the gateway says {slip.book or 'nothing'}")
    if any(amount != slip.price for amount in slip.amounts):
        found.append(f"charge {slip.id} of {slip.reservation} is of {slip.amounts}, not of {slip.price}")
    return found
