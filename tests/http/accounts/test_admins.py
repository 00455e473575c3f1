"""Who is an admin no longer is out within a second, also if no process could be told that their sessions ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.http.accounts.admins import KEPT_MAX, KEPT_S, Admins
from app.http.accounts.tokens import Session
from app.http.kit.problems import Problem
from app.ledger.account_admin import Account, Role

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def session(user_id: str = "u") -> Session:
    return Session(
        user_id=user_id, email="a@b.c", name="A", role="admin", session_id="s", began_s=0.0, expires_s=9_999_999_999
    )


def account(role: Role = "admin", disabled_at: datetime | None = None) -> Account:
    who = Account(id="u", email="a@b.c", name="A", role=role, created_at=NOW, disabled_at=None, verified_at=None)
    return replace(who, disabled_at=disabled_at)


@pytest.mark.parametrize(
    ("after", "code"),
    [(account("buyer"), "admin_only"), (account(disabled_at=NOW), "session_ended"), (None, "session_ended")],
)
async def test_who_is_an_admin_no_longer_is_out_within_a_second(after: Account | None, code: str) -> None:
    stored: Account | None = account()
    clock_s = 0.0

    async def read(_: str) -> Account | None:
        return stored

    admins = Admins(read, lambda: clock_s)
    await admins.check(session())
    stored = after
    clock_s = KEPT_S / 2
    await admins.check(session())
    clock_s = KEPT_S
    with pytest.raises(Problem, match=code):
        await admins.check(session())


async def test_what_is_remembered_of_accounts_is_bounded_and_read_once_a_second() -> None:
    reads: list[str] = []

    async def read(user_id: str) -> Account | None:
        reads.append(user_id)
        return account()

    admins = Admins(read, lambda: 0.0)
    for _ in range(5):
        await admins.check(session())
    assert reads == ["u"]
    for number in range(KEPT_MAX + 10):
        await admins.check(session(f"u{number}"))
    assert len(admins._known) == KEPT_MAX
