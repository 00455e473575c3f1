"""What a payment gateway is to us: one interface for every way to pay, answers as values, failures by class.

A charge id makes a charge once: sent again, it gives the first answer again. After `refund` has returned nothing of
that charge is taken and nothing ever will be, even if the charge itself is still on its way to the gateway.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from app.domain.charge import PaymentMethod


class Verdict(StrEnum):
    captured = "captured"
    declined = "declined"
    pending = "pending"  # it will tell us by webhook
    refunded = "refunded"  # given back, or given up before anything was taken


class Answer(NamedTuple):
    """`reference` is the gateway's own name for the charge, `amount` in won, `reason` why it was declined."""

    verdict: Verdict
    reference: str
    amount: int
    reason: str = ""


class GatewayError(Exception):
    """The gateway could not be asked, or did not answer."""


class NetworkFailure(GatewayError):
    """The question did not reach the gateway: nothing was done."""


class GatewayTimeout(GatewayError):
    """No answer in time: whether it was done is not known."""


class GatewayFault(GatewayError):
    """The gateway answered that it is broken: whether it was done is not known."""


class Gateway(Protocol):
    """Every call may raise GatewayError."""

    async def charge(self, charge_id: str, method: PaymentMethod, amount: int) -> Answer: ...

    async def find(self, charge_id: str) -> Answer | None:
        """What the gateway knows of a charge; None if it never heard of it."""

    async def refund(self, charge_id: str, amount: int) -> None:
        """Give back all of a charge and take nothing for it any more. A repeat gives nothing more."""
