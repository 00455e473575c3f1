"""Makes the payment providers, the checkout and the retry policy with the real clock and random numbers."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from app.ledger.database import Database
from app.payments.checkout import Checkout, Send, Submit
from app.payments.provider import PaymentProvider
from app.payments.registry import ProviderContext, Providers, make_providers
from app.payments.retry_policy import RetryPolicy
from app.payments.webhook_signature import WebhookSecrets
from config.settings import Settings

ID_BYTES = 15

Now = Callable[[], datetime]


def open_providers(settings: Settings, webhook_secrets: WebhookSecrets, db: Database, now: Now) -> Providers:
    """The payment providers that the settings name. Raises SettingsError if they cannot be made."""
    return make_providers(
        ProviderContext(
            settings=settings,
            webhook_secrets=webhook_secrets,
            db=db,
            now=now,
            sleep=asyncio.sleep,
            random=random.random,
        )
    )


def providers_for_commands(settings: Settings, db: Database, now: Now) -> Providers:
    """The payment providers for a command, which needs no key file: it receives no webhooks. Raises SettingsError."""
    return open_providers(settings, WebhookSecrets([]), db, now)


def providers_for_audit(settings: Settings, db: Database, now: Now) -> list[PaymentProvider]:
    """Those whose records an audit compares with ours. Raises SettingsError."""
    return list(providers_for_commands(settings, db, now))


def make_retry_policy() -> RetryPolicy:
    return RetryPolicy(sleep=asyncio.sleep, chance=random.random)


def make_checkout(
    settings: Settings, providers: Providers, db: Database, submit: Submit, send: Send, now: Now
) -> Checkout:
    return Checkout(
        db=db,
        providers=providers,
        submit=submit,
        send=send,
        retry=make_retry_policy(),
        now=now,
        new_id=lambda: f"c_{secrets.token_urlsafe(ID_BYTES)}",
        return_url=lambda reservation_id: f"{settings.buyers_url}/reservations/{reservation_id}",
        https_only=settings.secure_cookies,
        grace=lambda method: providers.grace(method, timedelta(seconds=settings.payment_grace_s)),
    )
