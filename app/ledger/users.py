"""User accounts: who may log in, in which role, and which holder ids (of browsers) belong to an account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from app.domain.ticket import account_holder, holder_text
from app.ledger.database import Database, Transaction
from app.ledger.emails import email_of
from app.ledger.passwords import hash_password
from app.ledger.statements import as_json, one_of
from app.ledger.tables.accounts import user_holders, user_subjects, users

_other = user_holders.alias()
_persons = (
    select(user_holders.c.holder, _other.c.holder)
    .join(_other, _other.c.user_id == user_holders.c.user_id)
    .where(one_of(user_holders.c.holder, "holders"))
)
HOLDERS_LISTED_MAX = 400  # the newest of one account; reservations of older browsers are found by id only

Role = Literal["buyer", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account with its password hash, "" if it has no password."""

    id: str
    email: str
    name: str
    role: Role
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None = None
    verified_at: datetime | None = None


class LoginElsewhere(NamedTuple):
    """Who somebody is at another log-in: its name, and theirs there."""

    issuer: str
    subject: str


async def create(
    db: Database, *, user_id: str, email: str, name: str, password: str, role: Role, now: datetime
) -> User | None:
    """Create an account; None, and nothing changed, if the e-mail address (ignoring case) has one already."""
    password_hash = await asyncio.to_thread(hash_password, password)
    made = User(id=user_id, email=email_of(email), name=name, role=role, password_hash=password_hash, created_at=now)
    return made if await add(db, made) else None


async def add(db: Database, user: User, elsewhere: LoginElsewhere | None = None) -> bool:
    """Store a new account; False, and nothing changed, if its e-mail address has one already, or this log-in
    elsewhere."""
    fields = ("id", "email", "name", "role", "password_hash", "created_at", "verified_at")
    values = {field: getattr(user, field) for field in fields}
    try:
        async with db.write(about=f"user:{user.email}") as tx:
            if (await tx.execute(select(users.c.id).where(users.c.email == user.email))).first():
                return False
            await tx.execute(insert(users), [values])
            own = {"holder": own_holder(user.id), "user_id": user.id, "linked_at": user.created_at}
            await tx.execute(insert(user_holders), [own])  # so that this holder id leads to the account too
            if elsewhere is not None:
                await tx.execute(insert(user_subjects), [_subject_row(elsewhere, user.id, user.created_at)])
    except IntegrityError:  # another was first
        if await find(db, user.email) is None and (elsewhere is None or await of_subject(db, elsewhere) is None):
            raise
        return False
    return True


def _subject_row(elsewhere: LoginElsewhere, user_id: str, now: datetime) -> dict[str, object]:
    return {**elsewhere._asdict(), "user_id": user_id, "linked_at": now}


async def of_subject(db: Database, elsewhere: LoginElsewhere) -> User | None:
    """The account that this log-in elsewhere opens, or None."""
    c = user_subjects.c
    query = select(users).join(user_subjects, c.user_id == users.c.id)
    async with db.read() as tx:
        found = await tx.execute(query.where(c.issuer == elsewhere.issuer, c.subject == elsewhere.subject))
        row = found.mappings().first()
    return None if row is None else User(**row)


async def link_subject(db: Database, elsewhere: LoginElsewhere, user_id: str, now: datetime) -> bool:
    """Let a log-in elsewhere open this account; False, and nothing changed, if it opens one already."""
    try:
        async with db.write(about=f"user:{user_id}") as tx:
            await tx.execute(insert(user_subjects), [_subject_row(elsewhere, user_id, now)])
    except IntegrityError:
        if await of_subject(db, elsewhere) is None:
            raise
        return False
    return True


def own_holder(user_id: str) -> str:
    """The holder id under which the account itself reserves."""
    return holder_text(account_holder(user_id))


async def find(db: Database, email: str) -> User | None:
    """The account of an e-mail address, or None."""
    async with db.read() as tx:
        query = select(users).where(users.c.email == email_of(email))
        row = (await tx.execute(query)).mappings().first()
    return None if row is None else User(**row)


async def get(db: Database, user_id: str) -> User | None:
    """One account, or None."""
    async with db.read() as tx:
        row = (await tx.execute(select(users).where(users.c.id == user_id))).mappings().first()
    return None if row is None else User(**row)


async def link_holder(db: Database, holder: str, user_id: str, now: datetime) -> bool:
    """Assign a browser's holder id to an account, once; False if it belongs to another account."""
    try:
        async with db.write(about=f"holder:{holder}") as tx:
            owner = await _owner(tx, holder)
            if owner is None:
                await tx.execute(insert(user_holders), [{"holder": holder, "user_id": user_id, "linked_at": now}])
    except IntegrityError:  # on a database with several writers, another was first
        owner = await holder_owner(db, holder)
        if owner is None:
            raise
    return owner in (None, user_id)


async def holder_owner(db: Database, holder: str) -> str | None:
    """The account that a holder id belongs to, or None."""
    async with db.read() as tx:
        return await _owner(tx, holder)


async def _owner(tx: Transaction, holder: str) -> str | None:
    row = (await tx.execute(select(user_holders.c.user_id).where(user_holders.c.holder == holder))).first()
    return None if row is None else str(row.user_id)


async def owners_of(db: Database, holders: Iterable[str]) -> dict[str, str]:
    """Browsers' holder ids that an account took over → the holder id of that account."""
    c = user_holders.c
    async with db.read() as tx:
        rows = (await tx.execute(select(c.holder, c.user_id).where(c.holder.in_(list(holders))))).all()
    return {str(holder): own_holder(user_id) for holder, user_id in rows}


def persons(tx: Connection, holders: Iterable[str]) -> dict[str, list[str]]:
    """For each of these holder ids that belongs to an account: all holder ids of that account."""
    found: dict[str, list[str]] = {}
    for holder, other in tx.execute(_persons, {"holders": as_json(sorted(set(holders)))}).all():
        found.setdefault(holder, []).append(other)
    return found


async def holders_of_user(db: Database, user_id: str) -> list[str]:
    """The browsers' holder ids that belong to an account, newest first."""
    c = user_holders.c
    browsers = select(c.holder).where(c.user_id == user_id, c.holder != own_holder(user_id))
    query = browsers.order_by(c.linked_at.desc(), c.holder)
    async with db.read() as tx:
        return [str(holder) for (holder,) in (await tx.execute(query.limit(HOLDERS_LISTED_MAX))).all()]
