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
    """`reference` is the provider's own id of the charge, `amount` in won, `reason` why it was declined. `refunded`: so
    much of a captured charge was paid back."""

    verdict: Verdict
    reference: str
    amount: int
    reason: str = ""
    refunded: int = 0


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
    """One charge in the provider's own records, including any that we do not know. `refunded`: so much of a captured
    charge was paid back."""

    charge_id: str
    verdict: Verdict
    amount: int
    refunded: int = 0


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


class WebhookNotUnderstood(WebhookRefused):
    """The webhook's signature is valid, but it is not in this provider's format, or of a kind we know nothing of."""


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
    def slow_methods(self) -> Mapping[str, float]:
        """Methods whose buyers need longer than others: seconds that a payment by them keeps its hold."""

    @property
    def redirect_origins(self) -> frozenset[str]:
        """The origins it may redirect buyers to, such as `https://pay.example.com`; other redirects are refused."""

    async def charge(self, request: ChargeRequest) -> GatewayAnswer | RedirectBuyer: ...

    async def find(self, charge_id: str) -> GatewayAnswer | None:
        """The provider's current answer for a charge; None if it has never received it.

        The answer must be pending, not None, while the buyer may still pay: after None the charge is cancelled.
        """

    async def refund(self, charge_id: str, amount: int) -> None:
        """Refund all that is left of a charge and never take money for it afterwards. A repeated call refunds nothing
        more, nor does one for a charge that the provider has paid back by itself."""

    async def refund_part(self, charge_id: str, amount: int, part: int) -> None:
        """Refund `amount` of a captured charge, once for each `part`. A charge of which nothing is left is refunded no
        further."""

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """Check and decode a webhook; None if it is of a kind that is known to concern no charge. Header names are in
        lower case.

        Raises SignatureInvalid unless it was signed recently with this provider's own secret, WebhookNotUnderstood if
        its body cannot be decoded or its kind is not known: it may be about money.
        """

    def transactions(self, since: datetime) -> AsyncIterator[Sequence[Transaction]]:
        """For the audit: every charge in the provider's records that was made or changed since then, in pages."""
