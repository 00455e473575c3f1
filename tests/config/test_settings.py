"""Every setting comes from one variable, and one that cannot be used is named before anything starts."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from config.settings import Settings, SettingsError, environment, load, unknown, variable


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Settings()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"PORT": "  ", "TIKETI_HOLD_S": ""}) == Settings()


def test_a_variable_takes_the_type_of_its_setting() -> None:
    environ = {"PORT": "9000", "TIKETI_WORKER_POLL_S": "0.05", "TIKETI_DEMO": "No", "TIKETI_DATA_DIR": "/srv/tiketi"}
    settings = load(environ)
    assert (settings.port, settings.worker_poll_s, settings.demo) == (9000, 0.05, False)
    assert settings.data_dir == Path("/srv/tiketi")


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = [variable(field.name) for field in fields(Settings)]
    assert len(set(names)) == len(names)
    assert variable("port") == "PORT"
    assert variable("hold_s") == "TIKETI_HOLD_S"


def test_a_variable_that_is_no_setting_is_found_with_the_one_it_resembles() -> None:
    given = {"TIKETI_TRUSTED_PROXYS": "10.0.0.1", "TIKETI_HOLD_S": "60", "TIKETI_QQQ": "1", "PATH": "/bin"}
    assert unknown(given) == {"TIKETI_TRUSTED_PROXYS": "TIKETI_TRUSTED_PROXIES", "TIKETI_QQQ": ""}
    assert unknown(environment(Settings())) == {}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "PORT='eighty' is not a valid int"),
        ("PORT", "70000", "PORT=70000 is not between 0 and 65535"),
        ("WEB", "0", "WEB=0 is not between 1 and 64"),
        ("TIKETI_TICK_MS", "5000", "TIKETI_TICK_MS=5000 is not between 10 and 100"),
        ("TIKETI_OPENING_DRAW_S", "nan", "TIKETI_OPENING_DRAW_S=nan is not between 0 and 30"),
        ("TIKETI_DEMO", "maybe", "TIKETI_DEMO='maybe' is not a valid bool"),
        ("TIKETI_LOG_FORMAT", "xml", "TIKETI_LOG_FORMAT='xml' is not one of"),
        ("TIKETI_LOG_LEVEL", "loud", "TIKETI_LOG_LEVEL='loud' is not one of"),
        ("REDIS_URL", "http://localhost", "REDIS_URL=http://… must begin with one of redis://"),
        ("DATABASE_URL", "mysql://localhost", "DATABASE_URL=mysql://… must begin with one of"),
        ("TIKETI_PUBLIC_URL", "tiketi.example", "TIKETI_PUBLIC_URL=… must begin with one of http"),
        ("TIKETI_CAPTCHA_SITE_KEY", "key", "_SCRIPT_URL are set together or not at all"),
        ("TIKETI_CAPTCHA_SCRIPT_URL", "//captcha.example", "TIKETI_CAPTCHA_SCRIPT_URL=… must begin with one of http"),
        ("TIKETI_TRUSTED_PROXIES", "*", "TIKETI_TRUSTED_PROXIES='*' names '*', which is no address"),
        ("TIKETI_TRUSTED_PROXIES", "10.0.0.1, nginx", "names 'nginx', which is no address"),
        ("TIKETI_TRUSTED_PROXIES", "10.0.0.1/8", "names '10.0.0.1/8', which is no address"),
        ("TIKETI_LOGIN_WINDOW_S", "0", "TIKETI_LOGIN_WINDOW_S=0 is not between 1 and 86400"),
        ("TIKETI_HASHES_AT_ONCE", "0", "TIKETI_HASHES_AT_ONCE=0 is not between 1 and 64"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_it_takes(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    assert says in str(refused.value)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"REDIS_URL": "http://user:secret@localhost"})
    assert "secret" not in str(refused.value)


def test_presence_must_be_written_well_within_its_window() -> None:
    with pytest.raises(SettingsError, match=r"TIKETI_PRESENCE_FLUSH_S=5\.0 must be at most an eighth"):
        load({"TIKETI_PRESENCE_WINDOW_S": "10"})


def test_redis_is_embedded_unless_one_is_named() -> None:
    assert load({}).embedded_redis
    named = load({"REDIS_URL": "redis://10.0.0.5:6379"})
    assert not named.embedded_redis
    assert named.redis.nodes == (("10.0.0.5", 6379),)


def test_the_embedded_redis_listens_on_a_socket_that_the_system_can_hold(tmp_path: Path) -> None:
    assert load({"TIKETI_DATA_DIR": "/srv/tiketi"}).redis_socket == Path("/srv/tiketi/redis.sock")
    deep = load({"TIKETI_DATA_DIR": str(tmp_path / ("deep" * 30))})
    assert len(str(deep.redis_socket)) < 108
    assert deep.redis_socket != load({"TIKETI_DATA_DIR": str(tmp_path / ("deeper" * 20))}).redis_socket


def test_cookies_are_secure_only_when_buyers_come_by_https() -> None:
    assert load({"TIKETI_PUBLIC_URL": "https://tiketi.example"}).secure_cookies
    assert not load({"TIKETI_PUBLIC_URL": "http://tiketi.example"}).secure_cookies
    assert not load({}).secure_cookies


def test_a_child_process_reads_the_same_settings_from_its_environment(tmp_path: Path) -> None:
    settings = load({"PORT": "9000", "TIKETI_DEMO": "0", "TIKETI_HOLD_S": "30", "TIKETI_DATA_DIR": str(tmp_path)})
    assert load(environment(settings)) == settings
