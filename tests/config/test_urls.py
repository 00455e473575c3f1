"""The stores' addresses: which are taken, and that no message ever shows a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings, SettingsError, load
from config.urls import shown, with_password

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://tiketi:s3cret@db:5432/tiketi",
        "postgresql://tiketi@db/tiketi?sslmode=require",
        "postgresql://tiketi@pool:6432/tiketi?pooler=pgbouncer",
        "postgres://db/tiketi",
        "postgresql://tiketi@/tiketi?host=/run/postgresql",
        "sqlite+aiosqlite:////srv/tiketi.db",
    ],
)
def test_a_database_is_taken_by_each_of_its_names(url: str) -> None:
    assert load({"DATABASE_URL": url}).database == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"mysql://tiketi:{SECRET}@db/tiketi", "mysql://… must begin with one of"),
        (f"tiketi:{SECRET}@db/tiketi", "… must begin with one of"),
        (f"postgresql://tiketi:{SECRET}/x@db/tiketi", "no port that is a number"),
        (f"postgresql://tiketi:{SECRET}@db:54x/tiketi", "no port that is a number"),
        (f"postgresql://tiketi:{SECRET}@db", "names no database"),
        (f"postgresql://tiketi:{SECRET}@db/tiketi?sslrootcert=x", "not sslrootcert"),
        (f"postgresql://tiketi:{SECRET}@db/tiketi?pooler=pgpool", "may say pooler=pgbouncer, not pooler=pgpool"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({"DATABASE_URL": url})
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_settings_as_a_text_show_no_password() -> None:
    given = load({"DATABASE_URL": f"postgresql://a:{SECRET}@db/t", "REDIS_URL": f"redis://:{SECRET}@cache"})
    assert SECRET not in repr(given)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        (f"postgresql://a:{SECRET}@db:5432/t?sslmode=require", "postgresql://a:***@db:5432/t?sslmode=require"),
        (f"redis://:{SECRET}@cache:6379/1", "redis://:***@cache:6379/1"),
        ("postgresql://a@db/t", "postgresql://a@db/t"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, safe: str) -> None:
    assert shown(url) == safe


def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/word\n")
    settings = load({"DATABASE_URL": "postgresql://a@db/t", "TIKETI_DATABASE_PASSWORD_FILE": str(file)})
    assert settings.database == "postgresql://a:p%40ss%2Fword@db/t"
    assert with_password("postgres://a:old@db/t", "new") == "postgres://a:new@db/t"
    file.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        _ = settings.database


def test_a_file_alone_does_not_make_a_database(tmp_path: Path) -> None:
    assert Settings(database_password_file=tmp_path, data_dir=tmp_path).database.startswith("sqlite")
