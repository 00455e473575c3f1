"""`tiketi admin`: makes an admin, gives an account another password, lets one in again, verifies one. And the look at
published passwords before anybody else can reach us.

Works on SQL alone; where Redis answers, running web processes are told at once. What they could not be told they read
from the audit log within a second.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.connections import open_redis, store_of_command
from app.domain.account import BadAccount, check_name, check_password, name_of
from app.ledger import account_admin, users
from app.ledger.account_admin import AccountChange
from app.ledger.common_passwords import is_common
from app.ledger.database import Database
from app.ledger.emails import email_of, is_email
from app.ledger.passwords import hash_password, matches
from app.limits.limits import Limit, Limits, LimitsUnavailable
from app.limits.revocations import RevocationLog, RevocationUnavailable
from app.run.children import Say
from app.run.console import ConsoleError, who
from config.demo import ACCOUNTS
from config.settings import Settings

USER_ID_BYTES = 12
PASSWORD_FILE_BYTES_MAX = 4_096
REDIS_ANSWER_S = 2.0
NOT_TOLD = "Redis does not answer: web processes learn it from the database, within a second."
WHY_NOT = {
    BadAccount.name: "this is not a name",
    BadAccount.password_short: "a password has at least 10 characters",
    BadAccount.password_long: "a password has at most 200 characters",
    BadAccount.password_known: "this password is among the commonest, or is the name or the email",
}

Ask = Callable[[str], str]


def password_from(file: Path | None, ask: Ask) -> str:
    """The password in the file's first line, or as typed twice. Raises ConsoleError."""
    if file is None:
        typed = ask("Password: ")
        if typed != ask("Once more: "):
            raise ConsoleError("The two passwords differ.")
        return typed
    try:
        with file.open(encoding="utf-8") as opened:
            lines = opened.read(PASSWORD_FILE_BYTES_MAX).splitlines()
    except (OSError, ValueError) as error:
        raise ConsoleError(f"{file} cannot be read: {error}.") from error
    return lines[0] if lines else ""


async def create(settings: Settings, email: str, name: str, password: str, say: Say) -> None:
    """Make an admin. Raises ConsoleError, StoreError."""
    email = email_of(email)
    name = name_of(name or email.partition("@")[0])
    if not is_email(email):
        raise ConsoleError(f"{email!r} is not an email address.")
    _check(password, email, name)
    async with store_of_command(settings) as db:
        made = await users.create(
            db,
            user_id=f"u_{secrets.token_urlsafe(USER_ID_BYTES)}",
            email=email,
            name=name,
            password=password,
            role="admin",
            now=datetime.now(UTC),
        )
    if made is None:
        raise ConsoleError(f"{email} has an account already: tiketi admin promote {email} makes it an admin's.")
    say(f"{email} is an admin.")


async def promote(settings: Settings, email: str, say: Say) -> None:
    """Make an account an admin's and end its sessions, which hold the old role. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        user = await _known(db, email)
        now = datetime.now(UTC)
        await account_admin.set_role(db, user.id, "admin", who=who(), now=now)
    say(f"{user.email} is an admin from its next log-in on.")
    await _end_sessions(settings, user.id, now, say)


async def set_password(settings: Settings, email: str, password: str, say: Say) -> None:
    """Give an account another password and end its sessions. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        user = await _known(db, email)
        _check(password, user.email, user.name)
        now = datetime.now(UTC)
        await account_admin.set_password(db, user.id, hash_password(password), who=who(), now=now)
    say(f"{user.email} has another password, and every session of it ended.")
    await _end_sessions(settings, user.id, now, say)


async def unlock(settings: Settings, email: str, say: Say) -> None:
    """Let an account in again that was disabled, or where too many log-ins failed. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        user = await _known(db, email)
        changed = await account_admin.enable(db, user.id, who=who(), now=datetime.now(UTC))
    limit = Limit(name="login", times=settings.logins_per_account_max, window_s=settings.login_window_s)
    told = await _told(settings, lambda redis: Limits(redis).forget([(limit, user.email)]))
    say(f"{user.email} was {'disabled; it is' if changed is AccountChange.changed else ''} enabled.".replace("  ", " "))
    say("Its failed log-ins are forgotten." if told else "Redis does not answer, so no log-in is locked now.")


async def verify(settings: Settings, email: str, say: Say) -> None:
    """Note that an account is known to be one person's. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        user = await _known(db, email)
        await account_admin.verify(db, user.id, who=who(), now=datetime.now(UTC))
    say(f"{user.email} is a verified account from its next log-in on.")


async def unverify(settings: Settings, email: str, say: Say) -> None:
    """Take the verification of an account back and end its sessions. Raises ConsoleError, StoreError."""
    async with store_of_command(settings) as db:
        user = await _known(db, email)
        now = datetime.now(UTC)
        await account_admin.unverify(db, user.id, who=who(), now=now)
    say(f"{user.email} is no verified account any more, and every session of it ended.")
    await _end_sessions(settings, user.id, now, say)


PLAIN: dict[str, Callable[[Settings, str, Say], Coroutine[Any, Any, None]]] = {
    "promote": promote,
    "unlock": unlock,
    "verify": verify,
    "unverify": unverify,
}  # the actions that need nothing but the email


async def _end_sessions(settings: Settings, user_id: str, now: datetime, say: Say) -> None:
    """Tell the web processes that the account was changed then."""
    ended = [(f"u:{user_id}", now.timestamp())]
    if not await _told(settings, lambda redis: RevocationLog(redis, settings.session_s).add(ended)):
        say(NOT_TOLD)


def _check(password: str, email: str, name: str) -> None:
    bad = check_name(name) or check_password(password, email, name, is_common)
    if bad is not None:
        raise ConsoleError(f"Refused: {WHY_NOT[bad]}.")


async def _known(db: Database, email: str) -> users.User:
    user = await users.find(db, email)
    if user is None:
        raise ConsoleError(f"No account has the email {email!r}.")
    return user


async def _told(settings: Settings, tell: Callable[[Any], Awaitable[object]]) -> bool:
    """Whether Redis answered."""
    redis = open_redis(settings)
    try:
        async with asyncio.timeout(REDIS_ANSWER_S):
            await tell(redis)
    except (LimitsUnavailable, RevocationUnavailable, TimeoutError):
        return False
    finally:
        await redis.aclose()
    return True


async def published(db: Database) -> list[str]:
    """The emails of the accounts whose password is the one that everybody can read in config/demo.py."""
    found = [(account, await users.get(db, account.id)) for account in ACCOUNTS]
    return [
        user.email
        for account, user in found
        if user is not None and await asyncio.to_thread(matches, user.password_hash, account.password)
    ]


async def why_not_public(settings: Settings) -> str:
    """Why nobody but this machine may reach us, and what to do; empty if they may. Raises StoreError."""
    if not (settings.is_public and settings.demo):
        return ""
    async with store_of_command(settings) as db:
        known = await published(db)
    if not known:
        return ""
    where = f"TIKETI_PUBLIC_URL={settings.public_url}" if settings.public_url else f"HOST={settings.host}"
    return (
        f"{where} lets others reach this shop, and everybody knows the password of {' and '.join(known)}. Set "
        "TIKETI_DEMO=0, with which they cannot log in, and make an admin of your own (tiketi admin create EMAIL); or "
        "give each a password of its own (tiketi admin password EMAIL)."
    )
