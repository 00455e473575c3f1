"""Makes what knows who somebody is: keys, sessions that are over, the organiser's log-in."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial

from redis.asyncio import Redis

from app.connections import closed_with, follow
from app.http.accounts.keyring import Keyring
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.shut_out import ShutOut
from app.http.kit.clock import Clock
from app.identity.subject import Client, Provider
from app.ledger import account_admin
from app.ledger.database import Database
from app.limits.revocations import RevocationLog
from app.outages import Outages
from app.payments.webhook_signature import WebhookSecrets
from config.demo import DEMO_IDS
from config.keys import Keys, load_keys, path_of
from config.settings import Settings


def read_keys(settings: Settings) -> tuple[Keys, Keyring]:
    """The keys there are, made if need be, and what looks for more of them from now on."""
    load_keys(settings.data_dir, settings.keys_file)
    keyring = Keyring(path_of(settings.data_dir, settings.keys_file))
    return load_keys(settings.data_dir, settings.keys_file), keyring


def webhook_secrets(keys: Keys, keyring: Keyring) -> WebhookSecrets:
    """Those that webhooks may be signed with, now and after a rotation."""
    known = WebhookSecrets(keys.webhook_secrets)
    keyring.on_change(lambda more: known.learn(more.webhook_secrets))
    return known


async def revoked_sessions(
    stack: AsyncExitStack, redis: Redis, db: Database, clock: Clock, settings: Settings, outages: Outages
) -> RevokedSessions:
    """Every session that is over: as Redis was told, and as SQL goes on saying of accounts that an admin shut out."""
    revocations = RevocationLog(redis, settings.session_s)
    revoked = RevokedSessions(revocations, clock, frozenset() if settings.demo else DEMO_IDS, outages)
    await revoked.load()
    shut_out = ShutOut(partial(account_admin.ended_since, db), revoked, clock, outages)
    await shut_out.load()
    await follow(stack, shut_out)
    return revoked


def make_openid(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Provider | None:
    """The organiser's log-in, where one is set: only there its library, which takes long, is imported."""
    if not settings.oidc_issuer:
        return None
    from app.identity.openid import OpenId

    callback = f"{settings.buyers_url}/login/openid/callback"
    client = Client(settings.oidc_client_id, settings.oidc_client_secret, callback)
    return closed_with(stack, OpenId(settings.oidc_issuer, client, clock.seconds, time.monotonic))
