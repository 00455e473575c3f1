"""Puts together those who sign what browsers carry: tickets, browsers' secrets, forms, sessions and passes.

Each signs with the newest of its keys, and checks with all that there are and will be.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import TypedDict

from app.domain.browser import Browsers
from app.domain.ticket import TicketSigner
from app.http.accounts.account_macs import AccountMacs
from app.http.accounts.credentials import visitor_of
from app.http.accounts.keyring import Keyring
from app.http.accounts.revoked_sessions import RevokedSessions
from app.http.accounts.tokens import Session, Tokens
from app.http.kit.clock import Clock
from app.http.kit.cookies import Headers
from app.http.kit.csrf import Csrf
from app.origins.compact import CompactPasses
from app.origins.passes import Passes
from config.keys import Keys


class Signers(TypedDict):
    """Those of the services a request may use that sign what browsers carry."""

    tickets: TicketSigner
    browsers: Browsers
    csrf: Csrf
    tokens: Tokens
    passes: Passes
    account_macs: AccountMacs
    visitor_of: Callable[[Headers], Session | None]


def make_signers(keys: Keys, keyring: Keyring, revoked: RevokedSessions, clock: Clock) -> Signers:
    """Those who sign with the newest of the keys, and check with all that there are and will be."""
    tickets, csrf = TicketSigner(keys.ticket_keys, keys.ticket_kid), Csrf(keys.ticket_keys, keys.ticket_kid)
    browsers = Browsers(keys.ticket_keys, keys.ticket_kid, keys.holder_key, secrets.token_bytes)
    compact = CompactPasses(keys.ticket_keys, keys.ticket_kid)
    passes = Passes(keys.signing_keys, keys.signing_kid, compact, clock.seconds)
    tokens = Tokens(keys.signing_keys, keys.signing_kid, revoked.is_over, clock, revoked.session_s)
    keyring.on_change(lambda more: tickets.learn(more.ticket_keys))
    keyring.on_change(lambda more: browsers.learn(more.ticket_keys))
    keyring.on_change(lambda more: csrf.learn(more.ticket_keys))
    keyring.on_change(lambda more: tokens.learn(more.signing_keys))
    keyring.on_change(lambda more: passes.learn(more.signing_keys, more.ticket_keys))
    return Signers(
        tickets=tickets,
        browsers=browsers,
        csrf=csrf,
        tokens=tokens,
        passes=passes,
        account_macs=AccountMacs(keys.holder_key, secrets.token_bytes),
        visitor_of=partial(visitor_of, tokens),
    )
