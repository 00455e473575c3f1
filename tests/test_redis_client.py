"""The clients that REDIS_URL makes, against real servers: by user and password, by TLS, and off a demoted primary."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Connection
from redis.exceptions import AuthenticationError, DataError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisAway

from app import jobs
from app.connections import open_redis
from app.room.ordered import OrderedCalls
from config.settings import Settings, load
from tests.ports import kept_port
from tests.room.server import server_in

USER, PASSWORD = "us@er", "p@ss/w:rd#?%"
LOCKED = ("--user", "default", "on", "nopass", "~*", "&*", "+@all", "--user", USER, "on", f">{PASSWORD}", "~*", "+@all")


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as port:
        yield port


def urls(port: int, socket: Path) -> list[str]:
    who = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
    return [f"redis://{who}@127.0.0.1:{port}", f"unix://{who}@{quote(str(socket))}"]


async def test_our_client_and_arqs_log_in_with_an_escaped_name_and_password(tmp_path: Path, port: int) -> None:
    async with server_in(tmp_path / "redis", "--port", str(port), "--bind", "127.0.0.1", *LOCKED) as server:
        for url in urls(port, server.socket):
            async with open_redis(load({"REDIS_URL": url})) as redis:
                assert await redis.acl_whoami() == USER
                queue = jobs.job_queue(redis.connection_pool)
                assert await queue.acl_whoami() == USER
                await jobs.wake_allocator(queue, "gig", "1-0")


async def test_the_password_of_a_file_is_used_and_a_wrong_one_is_not_shown(tmp_path: Path, port: int) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    where = {"REDIS_URL": f"redis://{quote(USER, safe='')}@127.0.0.1:{port}", "TIKETI_REDIS_PASSWORD_FILE": str(file)}
    async with server_in(tmp_path / "redis", "--port", str(port), "--bind", "127.0.0.1", *LOCKED):
        async with open_redis(load(where)) as redis:
            assert await redis.acl_whoami() == USER
        file.write_text("wrong-one")
        async with open_redis(load(where)) as redis:
            with pytest.raises(AuthenticationError) as refused:
                await redis.ping()
    assert "wrong-one" not in str(refused.value)


ARGUMENT = st.text(st.characters(exclude_categories=["Cs"])) | st.binary() | st.integers() | st.floats()


def connection() -> Connection:
    pool: Any = open_redis(load({"REDIS_URL": "redis://127.0.0.1:1"})).connection_pool
    made: Connection = pool.make_connection()
    return made


@given(st.sampled_from(["GET", "SCRIPT LOAD", b"EVALSHA", b"XINFO STREAM"]), st.lists(ARGUMENT | st.just("x" * 9_000)))
def test_commands_are_packed_as_redis_py_packs_them(name: str | bytes, arguments: list[Any]) -> None:
    ours = connection()
    theirs = Connection(host="127.0.0.1", port=1)
    assert b"".join(ours.pack_command(name, *arguments)) == b"".join(theirs.pack_command(name, *arguments))


@pytest.mark.parametrize("wrong", [None, True, ["x"]])
def test_what_is_no_argument_is_refused(wrong: Any) -> None:
    ours = connection()
    with pytest.raises(DataError, match=type(wrong).__name__):
        ours.pack_command("SET", "a", wrong)


def certificates(folder: Path) -> None:
    """A CA, and a certificate by it for the name localhost alone."""
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ours", "-days", "1")
    openssl("req", *key, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=redis")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    by_us = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "1")
    openssl("x509", "-req", "-in", "redis.csr", "-out", "redis.pem", *by_us)


async def test_by_tls_only_who_has_a_certificate_for_its_name_is_believed(tmp_path: Path, port: int) -> None:
    keys = tmp_path / "keys"
    certificates(keys)
    tls = ["--tls-port", str(port), "--tls-cert-file", f"{keys}/redis.pem", "--tls-key-file", f"{keys}/redis.key"]
    tls += ("--tls-ca-cert-file", f"{keys}/ca.pem", "--tls-auth-clients", "no", "--bind", "127.0.0.1")

    async def pings(host: str, options: str) -> bool:
        async with open_redis(load({"REDIS_URL": f"rediss://{host}:{port}{options}"})) as redis:
            return bool(await redis.ping() and await jobs.job_queue(redis.connection_pool).ping())

    async with server_in(tmp_path / "redis", *tls):
        assert await pings("localhost", f"?ssl_ca_certs={keys}/ca.pem")
        with pytest.raises(RedisAway, match="certificate"):
            await pings("localhost", "")
        with pytest.raises(RedisAway, match="certificate"):
            await pings("127.0.0.1", f"?ssl_ca_certs={keys}/ca.pem")
        assert await pings("127.0.0.1", f"?ssl_ca_certs={keys}/ca.pem&ssl_check_hostname=no")
        assert await pings("127.0.0.1", "?ssl_cert_reqs=none")


async def test_a_connection_to_what_became_a_replica_is_not_used_again(tmp_path: Path) -> None:
    """The name that it was made with may lead to the new primary by now."""
    async with (
        server_in(tmp_path / "redis") as server,
        server.client() as admin,
        open_redis(Settings(redis_url=server.url)) as redis,
    ):
        ordered = OrderedCalls(redis)
        write = await ordered.script_load(b"return redis.call('SET', KEYS[1], 1)")
        before = await redis.client_id()
        await admin.replicaof("127.0.0.1", 1)
        with pytest.raises(ReadOnlyError):
            await redis.set("a", 1)
        with pytest.raises(ReadOnlyError):
            await ordered.evalsha(write, 1, "a")
        assert not ordered._connection.is_connected
        assert await redis.client_id() != before
        await admin.replicaof("NO", "ONE")
        await ordered.evalsha(write, 1, "a")
        await ordered.aclose()
