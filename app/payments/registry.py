"""Which payment providers there are, and which of them a charge, a way to pay or a webhook belongs to.

To add a provider: write app/payments/providers/<name>.py, name its maker in MAKERS, give it its settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.charge import SIMULATOR
from app.ledger.database import Database
from app.payments.provider import GatewayError, PaymentProvider
from app.payments.providers.simulator import Simulator
from config.keys import Keys
from config.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a provider may be made with. `random` gives a number in [0, 1), `now` the wall clock in UTC."""

    settings: Settings
    db: Database
    keys: Keys
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]


def _simulator(means: Means) -> Simulator:
    return Simulator(means.db, secret=means.keys.webhook_secret, now=means.now, sleep=means.sleep, chance=means.random)


MAKERS: dict[str, Callable[[Means], PaymentProvider]] = {SIMULATOR: _simulator}


class UnknownMethod(ValueError):
    """No provider offers this way to pay."""


class ProviderMissing(GatewayError):
    """A charge belongs to a provider that the settings do not name: it can neither be asked nor refunded."""


class Providers:
    """Those of `offering` take new payments: of two that offer the same way to pay, the first. `refunding` take none,
    but what they took is still looked up, refunded and audited."""

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
        """The ways to pay, in the order in which they are shown."""
        return tuple(self._by_method)

    @property
    def redirect_origins(self) -> frozenset[str]:
        """Everywhere that some provider may send buyers."""
        return frozenset(origin for provider in self for origin in provider.redirect_origins)

    def named(self, name: str) -> PaymentProvider | None:
        return self._by_name.get(name)

    def of_charge(self, name: str) -> PaymentProvider:
        """The provider that a charge names. Raises ProviderMissing."""
        provider = self._by_name.get(name)
        if provider is None:
            raise ProviderMissing(f"the settings name no payment provider {name!r}")
        return provider

    def for_method(self, method: str) -> PaymentProvider:
        """The provider that takes new payments by this method. Raises UnknownMethod."""
        provider = self._by_method.get(method)
        if provider is None:
            raise UnknownMethod(f"{method[:40]!r} is not a payment method.")
        return provider

    def method_name(self, method: str, language: str) -> str:
        """What buyers call a way to pay; its id if no provider knows it any more."""
        known = (provider.methods[method] for provider in self if method in provider.methods)
        names = next(known, {})
        return names.get(language) or names.get("en") or method


def make_providers(means: Means) -> Providers:
    """Those that the settings name. Raises SettingsError for a name that nobody has, or if nobody takes payments."""
    offering, refunding = (
        [_made(variable, name, means) for name in text.split()]
        for variable, text in (
            ("TIKETI_PAYMENT_PROVIDERS", means.settings.payment_providers),
            ("TIKETI_PAYMENT_PROVIDERS_REFUND_ONLY", means.settings.payment_providers_refund_only),
        )
    )
    if not offering:
        raise SettingsError("TIKETI_PAYMENT_PROVIDERS names no provider: nobody could pay")
    return Providers(offering, refunding)


def _made(variable: str, name: str, means: Means) -> PaymentProvider:
    if name not in MAKERS:
        raise SettingsError(f"{variable}: there is no payment provider {name!r}, only {', '.join(sorted(MAKERS))}")
    return MAKERS[name](means)
