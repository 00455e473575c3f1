"""Accounts as admins see and change them: searched a page at a time, disabled, enabled, verified, given another role.

At least one enabled admin always remains: the condition is part of the UPDATE. Every change is recorded in the audit
log in the same transaction. The caller also ends the sessions of an account it disables: see app/http/admin/users.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select, update

from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.tables.accounts import users

PAGE_MAX = 200
ENDED_MAX = 250_000  # accounts that `ended_since` gives: more than a web process remembers, which then notices
ROLE, DISABLE = "user.role", "user.disable"  # actions in the audit log that end every session of an account
PASSWORD = "user.password"  # noqa: S105 # an action, and it ends them too
UNVERIFY = "user.unverify"  # as well
Role = Literal["buyer", "admin"]
_c = users.c
_active_admin = (_c.role == literal_column("'admin'")) & _c.disabled_at.is_(None)  # written out for its index


class AccountChange(StrEnum):
    """The result of a change."""

    changed = "changed"
    unchanged = "unchanged"  # the account has this role or status already
    unknown = "unknown"
    last_admin = "last_admin"  # refused, because no enabled admin would remain


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, without its password. `verified_at`: since when it is known to be one person's; None: it is not."""

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    verified_at: datetime | None


_columns = (_c.id, _c.email, _c.name, _c.role, _c.created_at, _c.disabled_at, _c.verified_at)


async def search(
    db: Database,
    *,
    words: str | None,
    role: Role | None,
    verified: bool | None = None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Account]:
    """At most `limit` accounts, newest first. `words` must occur in the e-mail address or the name."""
    query = select(*_columns).order_by(_c.created_at.desc(), _c.id.desc()).limit(min(limit, PAGE_MAX))
    if words is not None:
        part = words.lower()
        query = query.where(_c.email.contains(part, autoescape=True) | _c.name.icontains(words, autoescape=True))
    if role is not None:
        query = query.where(_c.role == role)
    if verified is not None:
        query = query.where(_c.verified_at.is_not(None) if verified else _c.verified_at.is_(None))
    if after is not None:
        at, user_id = after
        query = query.where(or_(_c.created_at < at, and_(_c.created_at == at, _c.id < user_id)))
    async with db.read() as tx:
        return [Account(**row) for row in (await tx.execute(query)).mappings().all()]


async def get(db: Database, user_id: str) -> Account | None:
    """One account, or None."""
    async with db.read() as tx:
        row = (await tx.execute(select(*_columns).where(_c.id == user_id))).mappings().first()
    return None if row is None else Account(**row)


async def set_role(db: Database, user_id: str, role: Role, *, who: str, now: datetime) -> AccountChange:
    """Give an account another role. Taking the role of the last enabled admin is refused."""
    guard = _another_admin(user_id) if role != "admin" else None
    return await _change(db, user_id, {"role": role}, guard, ROLE, {"role": role}, who, now)


async def disable(db: Database, user_id: str, *, who: str, now: datetime) -> AccountChange:
    """Keep an account from logging in. The last enabled admin cannot be disabled."""
    return await _change(
        db, user_id, {"disabled_at": now}, _another_admin(user_id), DISABLE, {"disabled": True}, who, now
    )


async def enable(db: Database, user_id: str, *, who: str, now: datetime) -> AccountChange:
    """Let a disabled account log in again."""
    return await _change(db, user_id, {"disabled_at": None}, None, "user.enable", {"disabled": False}, who, now)


async def verify(db: Database, user_id: str, *, who: str, now: datetime) -> AccountChange:
    """Note that an account is known to be one person's. Sessions learn it when they begin."""
    return await _change(db, user_id, {"verified_at": now}, None, "user.verify", {"verified": True}, who, now)


async def unverify(db: Database, user_id: str, *, who: str, now: datetime) -> AccountChange:
    """Take that back. The caller ends the account's sessions, which say that it is verified."""
    return await _change(db, user_id, {"verified_at": None}, None, UNVERIFY, {"verified": False}, who, now)


async def set_password(db: Database, user_id: str, password_hash: str, *, who: str, now: datetime) -> None:
    """Store the hash of another password. The caller ends the account's sessions."""
    async with db.write() as tx:
        await tx.execute(update(users).where(_c.id == user_id).values(password_hash=password_hash))
        await audit_log.record(tx, who=who, action=PASSWORD, subject=user_id, event_id=None, change={}, now=now)


async def ended_since(db: Database, since: datetime) -> dict[str, datetime]:
    """The accounts that were disabled, lost their verification, or got another role or password since then, and when:
    older sessions ended."""
    return await audit_log.last_of(db, (ROLE, DISABLE, PASSWORD, UNVERIFY), since, ENDED_MAX)


def _another_admin(user_id: str) -> ColumnElement[bool]:
    """SQL: an enabled admin other than this account exists, or this account is not an enabled admin."""
    others = select(func.count()).where(_active_admin, _c.id != user_id).scalar_subquery()
    return or_(~_active_admin, others >= 1)


async def _change(
    db: Database,
    user_id: str,
    values: dict[str, Any],
    guard: ColumnElement[bool] | None,
    action: str,
    change: dict[str, Any],
    who: str,
    now: datetime,
) -> AccountChange:
    async with db.write() as tx:
        row = (await tx.execute(select(*_columns).where(_c.id == user_id).with_for_update())).first()
        if row is None:
            return AccountChange.unknown
        ((field, value),) = values.items()
        is_now = getattr(row, field)
        if (is_now is None) == (value is None) if field.endswith("_at") else is_now == value:
            return AccountChange.unchanged
        guarded = update(users).where(_c.id == user_id)
        if guard is not None:
            guarded = guarded.where(guard)
        if (await tx.execute(guarded.values(values))).rowcount != 1:
            return AccountChange.last_admin
        ((name, _),) = change.items()
        old = is_now is not None if field.endswith("_at") else is_now
        asked = {"email": row.email, **change, audit_log.WAS: {name: old}}
        await audit_log.record(tx, who=who, action=action, subject=user_id, event_id=None, change=asked, now=now)
    return AccountChange.changed
