"""REDIS_URL is read in one place: what is taken, what is refused in one sentence, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.redis_url import RedisAddress, read_redis_url
from config.settings import SettingsError, load

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis://cache", RedisAddress(scheme="redis", nodes=(("cache", 6379),))),
        ("redis://cache:6380/2", RedisAddress(scheme="redis", nodes=(("cache", 6380),), database=2)),
        ("redis://cache?db=3", RedisAddress(scheme="redis", nodes=(("cache", 6379),), database=3)),
        ("redis://[2001:db8::1]:7000", RedisAddress(scheme="redis", nodes=(("2001:db8::1", 7000),))),
        (
            "redis://us%40er:p%40ss%2Fw%3Ard%23@cache",
            RedisAddress(scheme="redis", nodes=(("cache", 6379),), username="us@er", password="p@ss/w:rd#"),
        ),
        ("redis://:s3cret@cache", RedisAddress(scheme="redis", nodes=(("cache", 6379),), password=SECRET)),
        ("unix:///run/re%20dis.sock?db=1", RedisAddress(path="/run/re dis.sock", database=1)),
        ("unix://user:s3cret@/run/r.sock", RedisAddress(path="/run/r.sock", username="user", password=SECRET)),
        (
            "rediss://cache",
            RedisAddress(
                scheme="rediss",
                nodes=(("cache", 6379),),
                tls={"ssl_cert_reqs": "required", "ssl_check_hostname": True},
            ),
        ),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_check_hostname=No",
            RedisAddress(
                scheme="rediss",
                nodes=(("cache", 6379),),
                tls={
                    "ssl_ca_certs": "/ca.pem",
                    "ssl_certfile": "/c.pem",
                    "ssl_keyfile": "/k.pem",
                    "ssl_cert_reqs": "required",
                    "ssl_check_hostname": False,
                },
            ),
        ),
        (
            "rediss://cache?ssl_cert_reqs=none",
            RedisAddress(
                scheme="rediss", nodes=(("cache", 6379),), tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False}
            ),
        ),
        (
            "sentinel://user:s3cret@a:1,b,[::1]/mymaster/2?sentinel_username=watch",
            RedisAddress(
                scheme="sentinel",
                nodes=(("a", 1), ("b", 26379), ("::1", 26379)),
                service="mymaster",
                database=2,
                username="user",
                password=SECRET,
                sentinel_username="watch",
            ),
        ),
        (
            "rediss+cluster://user:s3cret@a,[::1]:7?ssl_check_hostname=no",
            RedisAddress(
                scheme="rediss+cluster",
                nodes=(("a", 6379), ("::1", 7)),
                username="user",
                password=SECRET,
                tls={"ssl_cert_reqs": "required", "ssl_check_hostname": False},
            ),
        ),
        (
            "sentinels://a/my%20master?ssl_check_hostname=no",
            RedisAddress(
                scheme="sentinels",
                nodes=(("a", 26379),),
                service="my master",
                tls={"ssl_cert_reqs": "required", "ssl_check_hostname": False},
            ),
        ),
    ],
)
def test_an_address_says_where_redis_is(url: str, means: RedisAddress) -> None:
    assert read_redis_url(url) == means


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"http://:{SECRET}@cache", "http://… must begin with one of redis://"),
        (f"redis:/:{SECRET}@cache", "… must begin with one of redis://"),
        (f"cache:6379/{SECRET}", "… must begin with one of redis://"),
        (f"redis://:{SECRET}@", "has no host with a port that is a number"),
        (f"redis://:{SECRET}@cache:63x", "has no host with a port that is a number"),
        (f"redis://:{SECRET}@cache:70000", "has no host with a port that is a number"),
        (f"redis://:{SECRET}@ca che", "has no host with a port that is a number"),
        (f"redis://:{SECRET}/{SECRET}@cache", "%2F for /"),
        (f"redis://:{SECRET}?{SECRET}@cache", "may have db behind its ?, and nothing else"),
        (f"redis://user:12?{SECRET}@cache", "may have db behind its ?, and nothing else"),
        (f"redis://:{SECRET}#{SECRET}@cache", "is written as %23 in a password"),
        (f"redis://:{SECRET}@[::1", "redis://… "),
        (f"redis://:{SECRET}@cache/one", "names a database that is no number"),
        (f"redis://:{SECRET}@cache/1/2", "names a database that is no number"),
        (f"redis://:{SECRET}@cache?db=-1", "names a database that is no number"),
        (f"redis://:{SECRET}@cache?ssl_ca_certs=/ca.pem", "may have db behind its ?, and nothing else"),
        (f"rediss://:{SECRET}@cache?ssl_ca_cert=/ca.pem", "may have db, ssl_ca_certs"),
        (f"rediss://:{SECRET}@cache?ssl_cert_reqs=never", "may say ssl_cert_reqs=required, optional, none"),
        (f"rediss://:{SECRET}@cache?ssl_check_hostname=perhaps", "may say ssl_check_hostname=true or false"),
        (f"rediss://:{SECRET}@cache?ssl_cert_reqs=none&ssl_check_hostname=true", "may say ssl_check_hostname"),
        (f"rediss://:{SECRET}@cache?ssl_certfile=/c.pem", "names ssl_certfile and ssl_keyfile together"),
        (f"sentinel://:{SECRET}@a,b,c", "names no master after the sentinels: sentinel://a,b,c/mymaster"),
        (f"sentinel://:{SECRET}@a,,c/mymaster", "has no host with a port that is a number"),
        (f"sentinel://:{SECRET}@a/mymaster/one", "names a database that is no number"),
        (f"sentinel://:{SECRET}@a/mymaster?ssl_ca_certs=/ca.pem", "may have db, sentinel_username behind its ?"),
        (f"redis+cluster://:{SECRET}@a,b/1", "names a database, and a cluster has only the one"),
        (f"redis+cluster://:{SECRET}@a,,b", "has no host with a port that is a number"),
        (f"redis://:{SECRET}@a,b", "has no host with a port that is a number"),
        (f"unix://:{SECRET}@redis.sock", "names no socket: unix:///run/redis/redis.sock"),
        (f"unix://:{SECRET}@/", "names no socket"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_one_sentence(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({"REDIS_URL": url})
    assert str(refused.value).startswith("REDIS_URL=")
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__suppress_context__, "a traceback would show what urlsplit was given"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        (f"redis://user:{SECRET}@cache/1", "redis://user:***@cache:6379/1"),
        (f"rediss://:{SECRET}@[::1]:7000", "rediss://:***@[::1]:7000"),
        (f"unix://:{SECRET}@/run/redis.sock?db=2", "unix://:***@/run/redis.sock?db=2"),
        ("redis://cache", "redis://cache:6379"),
        (f"sentinel://:{SECRET}@a,[::1]:7/mymaster/2", "sentinel://:***@a:26379,[::1]:7/mymaster/2"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, safe: str) -> None:
    address = read_redis_url(url)
    assert str(address) == safe
    assert SECRET not in repr(address)


def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/w:rd%\n")
    settings = load({"REDIS_URL": "redis://user:old@cache", "TIKETI_REDIS_PASSWORD_FILE": str(file)})
    assert (settings.redis.username, settings.redis.password) == ("user", "p@ss/w:rd%")
    file.unlink()
    with pytest.raises(SettingsError, match=r"TIKETI_REDIS_PASSWORD_FILE=.* cannot be read"):
        _ = settings.redis


def test_the_embedded_redis_has_no_password_and_any_path(tmp_path: Path) -> None:
    folder, file = tmp_path / "100% #1?", tmp_path / "password"
    file.write_text("secret")
    settings = load({"TIKETI_DATA_DIR": str(folder), "TIKETI_REDIS_PASSWORD_FILE": str(file)})
    assert settings.redis == RedisAddress(path=str(settings.redis_socket))


def test_a_file_of_tls_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = load({"REDIS_URL": f"rediss://cache?ssl_ca_certs={tmp_path}/ca.pem"})
    with pytest.raises(SettingsError, match=r"REDIS_URL names ssl_ca_certs=.*/ca\.pem, which cannot be read"):
        _ = settings.redis
    (tmp_path / "ca.pem").touch()
    assert settings.redis.tls is not None


def test_the_sentinels_password_is_in_a_file_and_for_sentinels_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    given = {"TIKETI_REDIS_SENTINEL_PASSWORD_FILE": str(file)}
    address = load({"REDIS_URL": "sentinel://a/mymaster", **given}).redis
    assert (address.password, address.sentinel_password) == ("", SECRET)
    assert SECRET not in repr(address)
    with pytest.raises(SettingsError, match="_SENTINEL_PASSWORD_FILE is set, but REDIS_URL names no sentinels"):
        load({"REDIS_URL": "redis://a", **given})
