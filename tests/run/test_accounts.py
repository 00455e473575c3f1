"""The first admin, a forgotten password, a locked account, and passwords that everybody knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.connections import store_of_command
from app.ledger import account_admin, users
from app.ledger.passwords import matches
from app.limits.limits import Limit, Limits
from app.redis_keys import REVOKED_SESSIONS
from app.run import accounts
from app.run.console import ConsoleError
from app.run.database import migrate, prepare
from config.settings import Settings

EMAIL, PASSWORD = "ann@example.com", "correct horse"


@pytest.fixture
async def settings(tmp_path: Path, redis: Redis, redis_socket: Path) -> Settings:
    """A shop with tables and a Redis."""
    made = Settings(data_dir=tmp_path / "data", redis_url=f"unix://{redis_socket}")
    await migrate(made)
    return made


def without_redis(settings: Settings) -> Settings:
    return Settings(data_dir=settings.data_dir, redis_url="unix:///nowhere/redis.sock")


async def stored(settings: Settings) -> users.User:
    async with store_of_command(settings) as db:
        found = await users.find(db, EMAIL)
    assert found is not None
    return found


async def test_the_first_admin_is_made_while_nothing_runs(settings: Settings) -> None:
    said: list[str] = []
    await accounts.create(without_redis(settings), " Ann@Example.com ", "", PASSWORD, said.append)
    made = await stored(settings)
    assert (made.role, made.name, matches(made.password_hash, PASSWORD)) == ("admin", "ann", True)
    assert PASSWORD not in str(said)
    with pytest.raises(ConsoleError, match="has an account already"):
        await accounts.create(settings, EMAIL, "", PASSWORD, said.append)


@pytest.mark.parametrize("password", ["short", "password123", "ann@example.com"])
async def test_a_weak_password_makes_no_admin(settings: Settings, password: str) -> None:
    with pytest.raises(ConsoleError, match="Refused"):
        await accounts.create(settings, EMAIL, "", password, print)


async def test_another_password_ends_the_sessions_also_where_redis_was_away(settings: Settings, redis: Redis) -> None:
    await accounts.create(settings, EMAIL, "", PASSWORD, print)
    said: list[str] = []
    await accounts.set_password(settings, EMAIL, "another horse", said.append)
    user = await stored(settings)
    assert matches(user.password_hash, "another horse")
    ((_, entry),) = await redis.xrange(REVOKED_SESSIONS)
    assert entry[b"n"].decode() == f"u:{user.id}"
    await accounts.set_password(without_redis(settings), EMAIL, "a third horse", said.append)
    assert "Redis does not answer" in said[-1]
    async with store_of_command(settings) as db:
        since = datetime.now(UTC) - timedelta(minutes=1)
        assert user.id in await account_admin.ended_since(db, since), "web processes read it there"


async def test_an_account_that_is_there_is_made_an_admin_s(settings: Settings, redis: Redis) -> None:
    async with store_of_command(settings) as db:
        who = {"user_id": "u-1", "email": EMAIL, "name": "Ann", "password": PASSWORD}
        await users.create(db, **who, role="buyer", now=datetime.now(UTC))
    with pytest.raises(ConsoleError, match=f"tiketi admin promote {EMAIL}"):
        await accounts.create(settings, EMAIL, "", PASSWORD, print)
    await accounts.promote(settings, EMAIL, print)
    assert (await stored(settings)).role == "admin"
    assert await redis.xlen(REVOKED_SESSIONS) == 1, "sessions with the old role are over"


async def test_an_account_is_verified_and_loses_that_with_its_sessions(settings: Settings, redis: Redis) -> None:
    await accounts.create(settings, EMAIL, "", PASSWORD, print)
    said: list[str] = []
    await accounts.verify(settings, EMAIL, said.append)
    user = await stored(settings)
    assert user.verified_at is not None
    assert not await redis.exists(REVOKED_SESSIONS), "sessions go on"
    await accounts.unverify(settings, EMAIL, said.append)
    assert (await stored(settings)).verified_at is None
    ((_, entry),) = await redis.xrange(REVOKED_SESSIONS)
    assert entry[b"n"].decode() == f"u:{user.id}"
    await accounts.verify(without_redis(settings), EMAIL, said.append)
    await accounts.unverify(without_redis(settings), EMAIL, said.append)
    assert "Redis does not answer" in said[-1]
    with pytest.raises(ConsoleError, match="No account"):
        await accounts.verify(settings, "nobody@example.com", said.append)


async def test_an_account_is_unlocked(settings: Settings, redis: Redis) -> None:
    await accounts.create(settings, EMAIL, "", PASSWORD, print)
    limit = Limit(name="login", times=settings.logins_per_account_max, window_s=settings.login_window_s)
    for _ in range(settings.logins_per_account_max):
        await Limits(redis).take([(limit, EMAIL)])
    assert await Limits(redis).take([(limit, EMAIL)]) > 0
    await accounts.unlock(settings, EMAIL, print)
    assert await Limits(redis).take([(limit, EMAIL)]) == 0
    with pytest.raises(ConsoleError, match="No account"):
        await accounts.unlock(settings, "nobody@example.com", print)


def test_a_password_comes_from_a_file_or_is_typed_twice_alike(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" a b\n")
    assert accounts.password_from(file, lambda _: "typed") == " a b"
    assert accounts.password_from(None, lambda _: "typed") == "typed"
    answers: Iterator[str] = iter(["one", "two"])
    with pytest.raises(ConsoleError, match="differ"):
        accounts.password_from(None, lambda _: next(answers))
    with pytest.raises(ConsoleError, match="cannot be read"):
        accounts.password_from(tmp_path / "none", lambda _: "")


async def test_nobody_else_reaches_a_shop_whose_password_everybody_knows(tmp_path: Path) -> None:
    near = Settings(data_dir=tmp_path / "data")
    await prepare(near)
    assert await accounts.why_not_public(near) == ""
    for public in ({"host": "0.0.0.0"}, {"public_url": "https://tiketi.example"}):
        why = await accounts.why_not_public(Settings(data_dir=near.data_dir, **public))  # type: ignore[arg-type]
        assert "admin@tiketi.gg and test@tiketi.gg" in why
        assert "TIKETI_DEMO=0" in why
        assert "tiketi admin create" in why
        off = Settings(data_dir=near.data_dir, demo=False, **public)  # type: ignore[arg-type]
        assert await accounts.why_not_public(off) == ""
    for email in ("admin@tiketi.gg", "test@tiketi.gg"):
        await accounts.set_password(without_redis(near), email, PASSWORD, print)
    assert await accounts.why_not_public(Settings(data_dir=near.data_dir, host="0.0.0.0")) == ""


async def test_a_demo_that_others_can_reach_has_events_and_no_accounts(tmp_path: Path) -> None:
    public = Settings(data_dir=tmp_path / "data", host="0.0.0.0")
    await prepare(public)
    assert await accounts.why_not_public(public) == ""
    async with store_of_command(public) as db:
        assert await users.find(db, "admin@tiketi.gg") is None
