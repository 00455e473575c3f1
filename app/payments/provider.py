"""What a payment provider must do for us: one interface for all, answers as values, failures by class.

Two rules keep the money right. A charge id is charged once: asked again, the provider gives its first answer again.
Once `refund` has returned, nothing of that charge is taken and nothing ever will be, even if the request to charge is
still on its way to the provider, or the buyer is still on its page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


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


class RedirectBuyer(NamedTuple):
    """The buyer pays on the provider's own page: send them to `url`. Until they have, the charge is pending."""

    reference: str
    url: str


class ChargeRequest(NamedTuple):
    """`amount` in won. `return_url` is where the provider's page sends the buyer afterwards, by a plain link (GET)."""

    charge_id: str
    method: str
    amount: int
    return_url: str


class WebhookEvent(NamedTuple):
    """What a webhook says: `answer` holds for the charge `charge_id` from now on."""

    charge_id: str
    answer: GatewayAnswer


class Transaction(NamedTuple):
    """One charge in the provider's own records, whoever asked for it."""

    charge_id: str
    verdict: Verdict
    amount: int


class GatewayError(Exception):
    """The provider could not be asked, or did not answer."""


class NetworkFailure(GatewayError):
    """The request did not reach the provider: nothing was done."""


class GatewayTimeout(GatewayError):
    """No answer in time: whether it was done is not known."""


class GatewayFault(GatewayError):
    """The provider answered with an error of its own: whether it was done is not known."""


class WebhookRefused(Exception):
    """Not a webhook of this provider. The message says why and names nothing secret."""


class SignatureInvalid(WebhookRefused):
    """Its signature is missing, wrong or too old."""


class BodyInvalid(WebhookRefused):
    """It is signed, but does not say what a webhook of this provider says."""


class PaymentProvider(Protocol):
    """Made once per process. `charge`, `find`, `refund` and `transactions` may raise GatewayError; the caller bounds
    how long a call takes and tries again as retry_policy.py says, so a provider does neither."""

    @property
    def name(self) -> str:
        """Kept with every charge and part of the webhook address: 1 to 20 characters of a-z, 0-9, `_` and `-`."""

    @property
    def methods(self) -> Mapping[str, Mapping[str, str]]:
        """The ways to pay that it offers, by id (at most 40 characters), each with its name by language (ko, en)."""

    @property
    def redirect_origins(self) -> frozenset[str]:
        """Where it may send buyers, such as `https://pay.example.com`; a redirect to anywhere else is refused."""

    async def charge(self, request: ChargeRequest) -> GatewayAnswer | RedirectBuyer: ...

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        """What the provider knows of a charge; None if it knows no such charge.

        A charge that None was said of is given up. One whose buyer has not paid yet is pending, not None.
        """

    async def refund(self, charge_id: str, amount: int) -> None:
        """Pay back all of a charge and never take anything for it any more. A repeat pays nothing more."""

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """What a webhook says; None if it is genuine but about no charge. Header names are in lower case.

        Raises SignatureInvalid unless it was signed lately with this provider's own secret, BodyInvalid if it cannot be
        read.
        """

    def transactions(self, since: datetime) -> AsyncIterator[Sequence[Transaction]]:
        """Every charge in the provider's records that was made or has changed since then, in pages: for the audit."""
