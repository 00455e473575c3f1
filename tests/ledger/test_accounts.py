"""Accounts in the ledger: one per email, a few hashes at once, a browser's id linked to one account only."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from app.ledger import passwords, users
from app.ledger.database import Database
from app.ledger.passwords import Passwords, TooManyHashes, TooManyOfOne
from tests.waiting import WAIT_MAX_S, wait_until

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def account(user_id: str, email: str) -> users.User:
    return users.User(id=user_id, email=email, name="n", role="buyer", password_hash="x", created_at=NOW)


async def test_of_many_who_want_an_email_at_once_one_gets_it(ledger: Database) -> None:
    made = await asyncio.gather(*(users.add(ledger, account(f"u{n}", "ann@example.com")) for n in range(8)))
    assert made.count(True) == 1
    assert await users.find(ledger, "ann@example.com") == account(f"u{made.index(True)}", "ann@example.com")


async def test_a_browser_belongs_to_the_first_account_that_logs_in_there(ledger: Database) -> None:
    for user in ("u1", "u2"):
        await users.add(ledger, account(user, f"{user}@example.com"))
    assert await users.link_holder(ledger, "browser", "u1", NOW)
    assert await users.link_holder(ledger, "browser", "u1", NOW)
    assert not await users.link_holder(ledger, "browser", "u2", NOW)
    assert await users.link_holder(ledger, "newer", "u1", NOW + timedelta(days=1))
    assert await users.holders_of_user(ledger, "u1") == ["newer", "browser"]
    assert await users.holders_of_user(ledger, "u2") == []
    assert await users.holder_owner(ledger, "browser") == "u1"
    assert await users.holder_owner(ledger, "nobody's") is None


async def test_a_password_is_known_again_and_no_other_is() -> None:
    checking = Passwords(2)
    hashed = await checking.hash("test1234")
    assert hashed.startswith("$argon2id$")
    assert await checking.check(hashed, "test1234")
    assert not await checking.check(hashed, "test12345")
    assert not await checking.check("no hash at all", "test1234")
    assert not await checking.check(None, "nobody's password")
    await checking.close()


async def test_only_so_many_hashes_run_at_once_and_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    go, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def slow(_: str) -> str:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        go.wait(WAIT_MAX_S)
        with lock:
            running[0] -= 1
        return "hash"

    monkeypatch.setattr(passwords, "hash_password", slow)
    checking = Passwords(2, waiting_max=3)
    asked = [asyncio.create_task(checking.hash("x")) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyHashes):
        await checking.hash("x")
    asked[4].cancel()
    await asyncio.gather(asked[4], return_exceptions=True)
    with pytest.raises(TooManyHashes):  # who went away still has a hash under way
        await checking.hash("x")

    async def both_run() -> bool:
        return running[0] == 2

    await wait_until(both_run, description="two hashes run")
    go.set()
    assert await asyncio.gather(*asked[:4]) == ["hash"] * 4
    assert most == [2]
    await checking.close()


async def test_one_address_never_has_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log-ins that succeed are counted by no limit: what bounds them is how many are under way."""
    go = threading.Event()
    monkeypatch.setattr(passwords, "hash_password", lambda _: "hash" if go.wait(10) else "")
    checking = Passwords(2, waiting_max=4, of_one_max=3)
    asked = [asyncio.create_task(checking.hash("x", "10.0.0.1")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyOfOne):
        await checking.hash("x", "10.0.0.1")
    asked += [asyncio.create_task(checking.hash("x", whose)) for whose in ("10.0.0.2", "")]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*asked) == ["hash"] * 5
    assert await checking.hash("x", "10.0.0.1") == "hash", "its places are given back"
    assert not checking._asked, "nothing is remembered of an address that has none under way"
    await checking.close()


def test_half_of_the_places_are_for_others() -> None:
    assert passwords.OF_ONE_MAX * 2 <= passwords.WAITING_MAX
