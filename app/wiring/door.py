"""Makes what is asked of people at the doors of rooms."""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack

from app.connections import follow
from app.domain.invited import Invited
from app.door.captcha import Captcha
from app.door.challenges import Challenges
from app.door.entrance import Entrance
from app.door.invitations import BadKeys, Invitations, remote_keys
from app.door.resume_codes import ResumeCodes
from app.door.waits import Waits
from app.http.accounts.keyring import Keyring
from app.http.kit.clock import Clock
from app.limits.addresses import Addresses
from config.keys import Keys
from config.settings import Settings, SettingsError


async def make_entrance(
    stack: AsyncExitStack, settings: Settings, addresses: Addresses, keys: Keys, keyring: Keyring, clock: Clock
) -> Entrance:
    """What is asked of people at the doors of rooms."""
    challenges = Challenges(keys.ticket_keys, keys.ticket_kid, secrets.randbelow)
    waits = Waits(keys.ticket_keys, keys.ticket_kid, secrets.token_bytes)
    keyring.on_change(lambda more: challenges.learn(more.ticket_keys))
    keyring.on_change(lambda more: waits.learn(more.ticket_keys))
    invited = Invited(keys.ticket_keys, keys.ticket_kid, keys.holder_key)
    keyring.on_change(lambda more: invited.learn(more.ticket_keys))
    invitations = make_invitations(stack, settings, clock)
    await follow(stack, invitations)
    captcha = None
    if settings.captcha_verify_url:
        asked = (settings.captcha_verify_url, settings.captcha_site_key, settings.captcha_secret)
        captcha = Captcha(*asked, settings.captcha_script_url, time.monotonic)
    return Entrance(
        addresses=addresses,
        challenges=challenges,
        waits=waits,
        captcha=captcha,
        invited=invited,
        invitations=invitations,
        resume_codes=ResumeCodes(keys.holder_key, secrets.token_bytes),
    )


def make_invitations(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Invitations:
    """Raises SettingsError if the keys that invitations are signed with cannot be used."""
    remote = None
    if settings.invitation_jwks_url:
        remote, client = remote_keys(settings.invitation_jwks_url, time.monotonic)
        stack.push_async_callback(client.aclose)
    try:
        return Invitations(settings.invitation_secret, settings.invitation_jwks, clock.seconds, remote)
    except BadKeys as error:
        raise SettingsError(f"TIKETI_INVITATION_SECRET_FILE, TIKETI_INVITATION_JWKS_FILE: {error}") from error
