"""The payment providers, and which of them is responsible for a charge, a payment method or a webhook.

To add a provider: write app/payments/providers/<name>.py, add the function that makes it to MAKERS, add its settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.charge import FREE, SIMULATOR
from app.ledger.database import Database
from app.payments.provider import GatewayError, PaymentProvider
from app.payments.providers.simulator import Simulator
from app.payments.webhook_signature import WebhookSecrets
from config.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """What a provider may be made from. `random` returns a number in [0, 1), `now` the current time in UTC."""

    settings: Settings
    db: Database
    webhook_secrets: WebhookSecrets
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]


def _simulator(context: ProviderContext) -> Simulator:
    return Simulator(
        context.db, secrets=context.webhook_secrets, now=context.now, sleep=context.sleep, chance=context.random
    )


MAKERS: dict[str, Callable[[ProviderContext], PaymentProvider]] = {SIMULATOR: _simulator}


FREE_NAMES = {"ko": "무료", "en": "free of charge"}


class UnknownMethod(ValueError):
    """No provider offers this payment method."""


class ProviderMissing(GatewayError):
    """The settings do not name the provider of a charge, so the charge can be neither looked up nor refunded."""


class Providers:
    """`offering` take new payments; if two offer the same method, the first takes it. `refunding` take no new payments,
    but their earlier charges are still looked up, refunded and audited."""

    def __init__(self, offering: Sequence[PaymentProvider], refunding: Sequence[PaymentProvider] = ()) -> None:
        self._by_name = {provider.name: provider for provider in (*refunding, *offering)}
        self._by_method: dict[str, PaymentProvider] = {}
        for provider in offering:
            for method in provider.methods:
                self._by_method.setdefault(method, provider)

    def __iter__(self) -> Iterator[PaymentProvider]:
        return iter(self._by_name.values())

    @property
    def methods(self) -> tuple[str, ...]:
        """The ids of the payment methods, in the order in which they are shown."""
        return tuple(self._by_method)

    @property
    def redirect_origins(self) -> frozenset[str]:
        """All origins to which any provider may redirect buyers."""
        return frozenset(origin for provider in self for origin in provider.redirect_origins)

    def named(self, name: str) -> PaymentProvider | None:
        return self._by_name.get(name)

    def of_charge(self, name: str) -> PaymentProvider:
        """The provider of this name, which a charge has stored. Raises ProviderMissing."""
        provider = self._by_name.get(name)
        if provider is None:
            raise ProviderMissing(f"the payment provider {name!r} is not in the settings")
        return provider

    def for_method(self, method: str) -> PaymentProvider:
        """The provider that takes new payments by this method. Raises UnknownMethod."""
        provider = self._by_method.get(method)
        if provider is None:
            raise UnknownMethod(f"{method[:40]!r} is not a payment method.")
        return provider

    def grace(self, method: str, usual: timedelta) -> timedelta:
        """How long a payment by this method keeps its hold. Raises UnknownMethod."""
        return max(usual, timedelta(seconds=self.for_method(method).slow_methods.get(method, 0.0)))

    def method_name(self, method: str, language: str) -> str:
        """A payment method's name as shown to buyers; its id if no provider knows it any more."""
        if method == FREE:
            return FREE_NAMES[language]
        known = (provider.methods[method] for provider in self if method in provider.methods)
        names = next(known, {})
        return names.get(language) or names.get("en") or method


def make_providers(context: ProviderContext) -> Providers:
    """The providers that the settings name. Raises SettingsError for an unknown name, or if none takes new payments."""
    offering, refunding = (
        [_made(variable, name, context) for name in text.split()]
        for variable, text in (
            ("TIKETI_PAYMENT_PROVIDERS", context.settings.payment_providers),
            ("TIKETI_PAYMENT_PROVIDERS_REFUND_ONLY", context.settings.payment_providers_refund_only),
        )
    )
    if not offering:
        raise SettingsError("TIKETI_PAYMENT_PROVIDERS must name at least one provider, or nobody could pay")
    return Providers(offering, refunding)


def _made(variable: str, name: str, context: ProviderContext) -> PaymentProvider:
    if name not in MAKERS:
        raise SettingsError(f"{variable}: unknown payment provider {name!r}; known: {', '.join(sorted(MAKERS))}")
    return MAKERS[name](context)
