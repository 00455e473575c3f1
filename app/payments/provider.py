"""What a payment provider must do for us: one interface for all, answers as values, failures by class.

Two rules keep the money right. A charge id is charged once: asked again, the provider gives its first answer again.
Once `refund` has returned, nothing of that charge is taken and nothing ever will be, even if the request to charge is
still on its way to the provider.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from app.domain.charge import PaymentMethod


class Verdict(StrEnum):
    captured = "captured"
    declined = "declined"
    pending = "pending"  # not decided yet: a webhook will say, or `find`
    refunded = "refunded"  # paid back, or cancelled before anything was taken


class GatewayAnswer(NamedTuple):
    """`reference` is the provider's own id of the charge, `amount` in won, `reason` why it was declined."""

    verdict: Verdict
    reference: str
    amount: int
    reason: str = ""


class GatewayError(Exception):
    """The provider could not be asked, or did not answer."""


class NetworkFailure(GatewayError):
    """The request did not reach the provider: nothing was done."""


class GatewayTimeout(GatewayError):
    """No answer in time: whether it was done is not known."""


class GatewayFault(GatewayError):
    """The provider answered with an error of its own: whether it was done is not known."""


class PaymentProvider(Protocol):
    """Every call may raise GatewayError."""

    async def charge(self, charge_id: str, method: PaymentMethod, amount: int) -> GatewayAnswer: ...

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        """What the provider knows of a charge; None if it knows no such charge."""

    async def refund(self, charge_id: str, amount: int) -> None:
        """Pay back all of a charge and never take anything for it any more. A repeat pays nothing more."""
