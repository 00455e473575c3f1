"""The interface of every payment provider: answers are values, failures are subclasses of GatewayError.

Every provider must keep two rules. It charges a charge id once: to a repeated request it gives its first answer again.
Once `refund` has returned, no money of that charge is kept and none will be taken, even if a request to charge is still
on its way or the buyer is still on the provider's page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


class Verdict(StrEnum):
    captured = "captured"
    declined = "declined"
    pending = "pending"  # not decided yet: a webhook or `find` will give the decision
    refunded = "refunded"  # paid back, or cancelled before any money was taken


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
    """The content of a webhook: `answer` is the provider's newest answer to the charge `charge_id`."""

    charge_id: str
    answer: GatewayAnswer


class Transaction(NamedTuple):
    """One charge in the provider's own records, including any that we do not know."""

    charge_id: str
    verdict: Verdict
    amount: int


class GatewayError(Exception):
    """A call to the provider failed."""


class NetworkFailure(GatewayError):
    """The request did not reach the provider, so it had no effect."""


class GatewayTimeout(GatewayError):
    """The provider did not answer in time. The request may have had its effect."""


class GatewayFault(GatewayError):
    """The provider answered with an internal error. The request may have had its effect."""


class WebhookRefused(Exception):
    """A request that is not a valid webhook of this provider. The message says why and contains nothing secret."""


class SignatureInvalid(WebhookRefused):
    """The webhook's signature is missing, wrong or too old."""


class BodyInvalid(WebhookRefused):
    """The webhook's signature is valid, but its body is not in this provider's format."""


class PaymentProvider(Protocol):
    """One instance per process. `charge`, `find`, `refund` and `transactions` may raise GatewayError. A provider needs
    neither time limits nor retries: its caller adds both (retry_policy.py)."""

    @property
    def name(self) -> str:
        """Stored with every charge and part of the webhook address: 1 to 20 characters of a-z, 0-9, `_` and `-`."""

    @property
    def methods(self) -> Mapping[str, Mapping[str, str]]:
        """Its payment methods: id (at most 40 characters) → language (ko, en) → name."""

    @property
    def redirect_origins(self) -> frozenset[str]:
        """The origins it may redirect buyers to, such as `https://pay.example.com`; other redirects are refused."""

    async def charge(self, request: ChargeRequest) -> GatewayAnswer | RedirectBuyer: ...

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        """The provider's current answer for a charge; None if it has never received it.

        The answer must be pending, not None, while the buyer may still pay: after None the charge is cancelled.
        """

    async def refund(self, charge_id: str, amount: int) -> None:
        """Refund a charge in full and never take money for it afterwards. A repeated call refunds nothing more."""

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """Check and decode a webhook; None if it is valid but not about a charge. Header names are in lower case.

        Raises SignatureInvalid unless it was signed recently with this provider's own secret, BodyInvalid if its body
        cannot be decoded.
        """

    def transactions(self, since: datetime) -> AsyncIterator[Sequence[Transaction]]:
        """For the audit: every charge in the provider's records that was made or changed since then, in pages."""
