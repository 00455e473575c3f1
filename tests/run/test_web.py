"""A real web process that starts while a store fails, and one that is told to end: a balancer hears of it first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.ports import kept_port
from tests.room.server import server_in
from tests.test_cli import tiketi
from tests.waiting import wait_until

pytestmark = pytest.mark.slow  # starts the product's own processes
LONG_S = 300  # longer than the test: only a second signal ends it


@contextmanager
def web(environ: dict[str, str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", "web"],
            env={**os.environ, **environ, "PORT": str(port), "TIKETI_LOG_FORMAT": "json"},
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("is_told_to_end", [False, True])
async def test_a_store_that_fails_in_the_middle_of_a_start_is_waited_for(tmp_path: Path, is_told_to_end: bool) -> None:
    """It answers a ping and no more: the process says so in one line, and goes on or ends when it is told to."""
    environ = {"TIKETI_DEMO": "0", "TIKETI_DATA_DIR": str(tmp_path / "data")}
    assert tiketi(tmp_path, "migrate").returncode == 0
    log = tmp_path / "web.log"

    def said() -> list[str]:
        return [json.loads(line)["name"] for line in log.read_text().splitlines()]

    async with server_in(tmp_path / "redis") as server, server.client() as redis:
        await redis.execute_command("ACL", "SETUSER", "default", "-xlen")  # type: ignore[no-untyped-call]
        with kept_port() as port, web({**environ, "REDIS_URL": server.url}, port, log) as process:

            async def has_failed() -> bool:
                return "store_fails" in said()

            async def is_ready() -> bool:
                assert process.poll() is None, "the process ended"
                return asked(port, "/readyz")[0] == 200

            await wait_until(has_failed, description="it says that Redis fails")
            if is_told_to_end:
                process.terminate()
                assert process.wait() == 0
                assert said() == ["store_fails", "process_ended"]
            else:
                await redis.execute_command("ACL", "SETUSER", "default", "+@all")  # type: ignore[no-untyped-call]
                await wait_until(is_ready, description="it is ready")
                assert said() == ["store_fails", "store_works_again"]


async def test_a_process_that_is_told_to_end_says_that_it_is_not_ready_and_serves_on(tmp_path: Path) -> None:
    environ = {"TIKETI_DEMO": "0", "TIKETI_LAME_DUCK_S": str(LONG_S), "TIKETI_DATA_DIR": str(tmp_path / "data")}
    assert tiketi(tmp_path, "migrate").returncode == 0
    async with server_in(tmp_path / "redis") as server:
        environ["REDIS_URL"] = server.url
        with kept_port() as port, web(environ, port, tmp_path / "web.log") as process:

            async def answers(path: str, status: int) -> bool:
                assert process.poll() is None, "the process ended"
                return asked(port, path)[0] == status

            await wait_until(lambda: answers("/readyz", 200), description="it is ready")
            process.send_signal(signal.SIGTERM)
            await wait_until(lambda: answers("/readyz", 503), description="it says that it is going to end")
            assert asked(port, "/readyz")[1]["missing"] == ["this process is going to end"]
            assert asked(port, "/healthz") == (200, {"status": "ok"})
            process.send_signal(signal.SIGINT)
            process.wait()


def asked(port: int, path: str) -> tuple[int, dict[str, object]]:
    """The status and the body; 0 where nobody listens yet."""
    with suppress(URLError, ConnectionError):
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)
    return 0, {}
