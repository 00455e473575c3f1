"""The embedded Redis: which binary is taken, and that the shipped configuration keeps what was answered."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError

from app.run import redis_server as embedded
from app.run.children import Spec, spawn
from tests.ports import kept_port
from tests.waiting import wait_until


def pretend(folder: Path, name: str, version: str) -> Path:
    """A program that only says its version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64'\n")
    path.chmod(0o755)
    return path


def test_a_server_on_path_is_taken_before_a_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = pretend(tmp_path / "bin", "redis-server", "7.0.15")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert embedded.find_server(tmp_path) == wanted


def test_a_server_that_is_too_old_or_broken_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path / "bin", "redis-server", "6.0.16")
    broken = tmp_path / "bin" / "valkey-server"
    broken.write_text("not a program")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = embedded.find_server(tmp_path)
    assert found.parent != tmp_path / "bin"
    assert (embedded.version_of(found) or (0, 0)) >= embedded.VERSION_MIN


def test_a_folder_written_by_redis_7_is_not_opened_by_6_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path / "bin", "redis-server", "6.2.14")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(embedded, "WHEELS", ())
    assert embedded.find_server(tmp_path).name == "redis-server"
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(embedded.NoServerError, match=r"7\.0 or newer.*bin/redis-server is 6\.2.*REDIS_URL"):
        embedded.find_server(tmp_path)


def test_finding_nothing_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "WHEELS", (("no_such_wheel", "redis-server"),))
    with pytest.raises(embedded.NoServerError, match="Install redis-server, or set REDIS_URL"):
        embedded.find_server(tmp_path)


@asynccontextmanager
async def running(folder: Path, number: signal.Signals) -> AsyncIterator[Redis]:
    """The real server on `folder`, ended by signal `number`."""
    path = folder / "redis.sock"
    command = embedded.command(embedded.find_server(folder), folder, path)
    process = await spawn(Spec(name="redis", command=tuple(command), log=folder / "redis.log"))
    try:
        assert await embedded.wait_until_answering(path, lambda: process.returncode is None)
        async with Redis(unix_socket_path=str(path)) as redis:
            yield redis
    finally:
        process.send_signal(number)
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_what_was_answered_is_there_after_the_server_was_ended(tmp_path: Path, number: signal.Signals) -> None:
    async with running(tmp_path, number) as redis:
        await redis.set("place", 1)
        await redis.xadd("log", {"cursor": 7})
    async with running(tmp_path, signal.SIGTERM) as redis:
        assert await redis.get("place") == b"1"
        assert await redis.xlen("log") == 1


async def test_the_shipped_configuration_is_in_force(tmp_path: Path) -> None:
    async with running(tmp_path, signal.SIGTERM) as redis:
        config = await redis.config_get()
        assert config["appendonly"] == "yes"
        assert config["appendfsync"] == "always"
        assert config["maxmemory-policy"] == "noeviction"
        assert config["hash-max-ziplist-entries"] == "1024"
        assert config["port"] == "0"
        assert config["save"] == ""
    assert (tmp_path / "redis.log").stat().st_mode & 0o077 == 0


ON_THIS_MACHINE = {"port", "protected-mode", "unixsocketperm", "daemonize"}  # where it listens, and for whom


async def test_a_server_for_the_network_is_set_as_the_one_on_this_machine_is(tmp_path: Path) -> None:
    """As it is shipped, but for a port and a folder that are free here."""
    shared = [line for line in embedded.CONF.read_text().splitlines() if line and line[0] != "#"]
    names = {line.split()[0] for line in shared} - ON_THIS_MACHINE
    binary, conf = embedded.find_server(tmp_path), embedded.CONF.with_name("redis-network.conf")
    async with running(tmp_path, signal.SIGTERM) as redis:
        wanted = {name: (await redis.config_get(name))[name] for name in names}
    with kept_port() as port:
        process = await spawn(
            Spec(name="redis", command=(str(binary), str(conf), "--port", str(port), "--dir", str(tmp_path)))
        )
        try:
            async with Redis(port=port) as redis:

                async def answers() -> bool:
                    assert process.returncode is None, "Redis ended"
                    with suppress(ConnectionError):
                        return bool(await redis.ping())
                    return False

                await wait_until(answers, description="Redis answers on its port")
                assert {name: (await redis.config_get(name))[name] for name in names} == wanted
                assert (await redis.config_get("protected-mode"))["protected-mode"] == "yes"
                assert int((await redis.config_get("maxmemory"))["maxmemory"]) > 0
        finally:
            process.terminate()
            await process.wait()


async def test_a_full_memory_refuses_writes_and_forgets_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, signal.SIGTERM) as redis:
        await redis.set("place", 1)
        await redis.config_set("maxmemory", 1)
        with pytest.raises(ResponseError, match="maxmemory"):
            await redis.set("more", 2)
        assert await redis.get("place") == b"1"


async def test_waiting_for_a_server_ends_when_it_has_died(tmp_path: Path) -> None:
    assert not await asyncio.wait_for(embedded.wait_until_answering(tmp_path / "none", lambda: False), 10)


def test_memory_is_the_machines_or_what_a_container_may_use(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    whole = embedded.machine_memory_bytes(limit)
    assert whole > 1 << 20
    for text, known in (("max\n", whole), ("1048576\n", 1 << 20), (f"{whole * 2}\n", whole)):
        limit.write_text(text)
        assert embedded.machine_memory_bytes(limit) == known
