"""The supervisor: starts everything, keeps it running, and leaves nothing behind however it ends."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.http.line.streams import HEARTBEAT_S
from app.run.children import Child, RestartPolicy, Spec
from app.run.data_folder import FolderError
from app.run.redis_server import wait_until_answering
from app.run.supervisor import StartError, Supervisor, banner, listen
from config.settings import Settings, environment, load
from tests.run import programs

WAIT_S = 20.0
QUICK = RestartPolicy(first_s=0.01, longest_s=0.02, steady_s=60, stop_grace_s=WAIT_S)


class Said:
    """Takes what the supervisor says; tests wait for a sentence instead of for a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._news.put_nowait(line)

    async def until(self, fragment: str) -> str:
        async with asyncio.timeout(WAIT_S):
            while fragment not in (line := await self._news.get()):
                pass
        return line


def settings_in(folder: Path, **changes: int | str) -> Settings:
    return Settings(data_dir=folder / "data", **{"port": 0, "demo_shop": False, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def up(settings: Settings, restart_policy: RestartPolicy = QUICK) -> AsyncIterator[tuple[Supervisor, Said, str]]:
    """A supervisor that is ready, with its base URL; stopped and checked at the end."""
    lines_read = Said()
    supervisor = Supervisor(settings, lines_read, programs.command, restart_policy)
    running = asyncio.create_task(supervisor.run())
    try:
        said = await lines_read.until("Tiketi is ready")
        yield supervisor, lines_read, next(word for word in said.split() if word.startswith("http"))
    finally:
        supervisor.stop()
        async with asyncio.timeout(WAIT_S):
            code = await running
    assert code == 0, lines_read.lines
    assert lines_read.lines[-1] == "Stopped."
    assert all(child.pid is None for child in supervisor.children)


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[asyncio.StreamReader]:
    """One request sent: the kernel takes the connection even while no web process does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rstrip("/").rsplit(":", 1)[1]))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    yield reader
    writer.close()


async def answered_by(reader: asyncio.StreamReader) -> int:
    """The pid of the web process that answered."""
    answer = await asyncio.wait_for(reader.read(), WAIT_S)
    return int(answer.split(b"\r\n\r\n")[1])


def pid_of(supervisor: Supervisor, name: str) -> int:
    (pid,) = [child.pid for child in supervisor.children if child.name == name]
    assert pid is not None
    return pid


async def test_everything_asked_for_runs_and_all_of_it_ends(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path, web=2, workers=3)) as (supervisor, _, url):
        assert {child.name for child in supervisor.children} == {
            *("redis", "worker-1", "worker-2", "worker-3", "web-1", "web-2")
        }
        async with asked(url) as reader:
            assert await answered_by(reader) in (pid_of(supervisor, "web-1"), pid_of(supervisor, "web-2"))
    assert not (tmp_path / "data" / "redis.sock").exists()


async def test_with_the_demo_its_shop_runs_beside_us_where_nobody_else_can_reach_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo_shop=True)
    async with up(settings) as (supervisor, said, _):
        (shop,) = [child for child in supervisor.children if child.name == "demo-shop"]
        environ = shop.spec.environ or {}
        address = f"http://127.0.0.1:{environ['TIKETI_DEMO_SHOP_PORT']}/"
        assert any(f"Demo shop  {address}" in line for line in said.lines)
        assert environ["PORT"] != "0"
    for other in (replace(settings, demo=False), replace(settings, public_url="https://tickets.example")):
        assert not other.has_demo_shop


async def test_a_port_that_is_taken_beside_ours_does_not_keep_the_demo_from_starting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with up(settings_in(tmp_path, port=port - 1, demo_shop=True)) as (supervisor, _, _):
            assert "demo-shop" in {child.name for child in supervisor.children}
        lines_read = Said()
        supervisor = Supervisor(
            settings_in(tmp_path, demo_shop=True, demo_shop_port=port), lines_read, programs.command
        )
        with pytest.raises(StartError, match=rf"Port {port} on"):
            await supervisor.run()


async def test_children_cannot_be_reached_by_ctrl_c_in_the_terminal(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path)) as (supervisor, _, _):
        for child in supervisor.children:
            assert os.getsid(child.pid or 0) == child.pid


async def test_a_worker_that_dies_is_restarted_and_said_so(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path)) as (supervisor, lines_read, _):
        before = pid_of(supervisor, "worker-1")
        os.kill(before, signal.SIGKILL)
        await lines_read.until("worker-1 was ended by SIGKILL. Starting it again in 0.01 s.")
        await lines_read.until("worker-1 is back")
        assert pid_of(supervisor, "worker-1") != before


async def test_a_connection_made_while_the_web_process_is_away_is_answered_by_its_successor(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path)) as (supervisor, _, url):
        before = pid_of(supervisor, "web-1")
        os.kill(before, signal.SIGSTOP)  # stopped: the request can only wait in the socket
        await asyncio.to_thread(os.waitid, os.P_PID, before, os.WSTOPPED | os.WNOWAIT)
        async with asked(url) as reader:
            os.kill(before, signal.SIGKILL)
            assert await answered_by(reader) != before


async def test_redis_is_restarted_on_the_same_socket_with_what_it_knew(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with up(settings) as (supervisor, lines_read, _):
        async with Redis(unix_socket_path=str(settings.redis_socket)) as redis:
            await redis.set("place", 1)
        os.kill(pid_of(supervisor, "redis"), signal.SIGKILL)
        await lines_read.until("redis is back")
        assert await wait_until_answering(settings.redis_socket, lambda: True)
        async with Redis(unix_socket_path=str(settings.redis_socket)) as redis:
            assert await redis.get("place") == b"1"


async def test_restarts_come_at_growing_intervals_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILING", "worker-1")
    lines_read = Said()
    restart_policy = RestartPolicy(first_s=0.001, longest_s=0.004, steady_s=60, stop_grace_s=WAIT_S)
    child = Child(Spec(name="worker-1", command=programs.command("worker-1", -1)), lines_read, restart_policy)
    child.start()
    for wait in ("0.001", "0.002", "0.004", "0.004"):
        await lines_read.until(f"worker-1 ended with exit code 7. Starting it again in {wait} s.")
    await child.stop()


async def test_a_steady_life_ends_the_series_of_quick_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILING", "worker-1")
    lines_read = Said()
    restart_policy = RestartPolicy(first_s=0.001, longest_s=0.004, steady_s=0, stop_grace_s=WAIT_S)
    child = Child(Spec(name="worker-1", command=programs.command("worker-1", -1)), lines_read, restart_policy)
    child.start()
    for _ in range(3):
        await lines_read.until("Starting it again in 0.001 s.")
    await child.stop()


async def test_a_command_that_does_not_exist_is_tried_again_like_any_death(tmp_path: Path) -> None:
    lines_read = Said()
    child = Child(Spec(name="worker-1", command=(str(tmp_path / "none"),)), lines_read, QUICK)
    child.start()
    await lines_read.until("worker-1 ended with exit code")
    await lines_read.until("worker-1 ended with exit code")
    await child.stop()


async def test_a_child_that_ignores_the_stop_is_killed_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUBBORN", "web-1")
    restart_policy = RestartPolicy(first_s=0.01, stop_grace_s=0.05)
    async with up(settings_in(tmp_path), restart_policy) as (_, lines_read, _):
        pass
    assert "web-1 did not stop within 0.05 s and was killed." in lines_read.lines


async def test_told_to_stop_twice_it_ends_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUBBORN", "web-1")
    lines_read = Said()
    supervisor = Supervisor(settings_in(tmp_path), lines_read, programs.command, QUICK)
    running = asyncio.create_task(supervisor.run())
    await lines_read.until("Tiketi is ready")
    supervisor.stop()
    await lines_read.until("Stopping.")
    supervisor.stop()
    assert await asyncio.wait_for(running, WAIT_S) == 1
    assert all(child.pid is None for child in supervisor.children)


async def test_told_to_stop_while_starting_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILING", "web-1")  # so it can never be ready
    lines_read = Said()
    supervisor = Supervisor(settings_in(tmp_path), lines_read, programs.command, QUICK)
    running = asyncio.create_task(supervisor.run())
    await lines_read.until("web-1 ended")
    supervisor.stop()
    assert await asyncio.wait_for(running, WAIT_S) == 0
    assert all(child.pid is None for child in supervisor.children)


async def test_a_web_process_that_never_stays_up_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILING", "web-1")
    supervisor = Supervisor(settings_in(tmp_path), Said(), programs.command, QUICK)
    with pytest.raises(StartError, match="web-1 does not stay up"):
        await asyncio.wait_for(supervisor.run(), WAIT_S)
    assert all(child.pid is None for child in supervisor.children)


async def test_a_preparation_that_fails_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILING", "seed")
    supervisor = Supervisor(settings_in(tmp_path), Said(), programs.command, QUICK)
    with pytest.raises(StartError, match="Preparing the stores ended with exit code 7"):
        await asyncio.wait_for(supervisor.run(), WAIT_S)


async def test_a_redis_that_cannot_read_its_data_is_quoted(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path)):
        pass
    manifest = tmp_path / "data" / "appendonlydir" / "appendonly.aof.manifest"
    (manifest if manifest.exists() else tmp_path / "data" / "appendonly.aof").write_text("nonsense\n")
    supervisor = Supervisor(settings_in(tmp_path), Said(), programs.command, QUICK)
    with pytest.raises(StartError, match="does not start") as caught:
        await asyncio.wait_for(supervisor.run(), WAIT_S)
    assert re.search(r"redis\.log:\n(  .*\S\n?){2,5}$", str(caught.value))


async def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with up(settings_in(tmp_path)):
        with pytest.raises(FolderError, match="already runs"):
            await Supervisor(settings_in(tmp_path), Said(), programs.command, QUICK).run()


async def test_a_port_in_use_is_named_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines_read = Said()
        supervisor = Supervisor(settings_in(tmp_path, port=port), lines_read, programs.command, QUICK)
        with pytest.raises(StartError, match=rf"Port {port} on 127\.0\.0\.1 is in use.*PORT={port + 1}"):
            await supervisor.run()
    assert supervisor.children == []


def test_a_client_that_is_gone_without_a_word_is_given_up_after_three_heartbeats() -> None:
    """The kernel takes what we write to it, so nothing else would tell; its place would count as somebody's."""
    with (
        listen("127.0.0.1", 0).socket as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        given_up_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert given_up_ms == 3 * HEARTBEAT_S * 1000


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(StartError, match=r"HOST=203\.0\.113\.7"):
        listen("203.0.113.7", 0)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(demo=False, port=0, web=3, keys_file=Path("/etc/keys.json"), redis_url="redis://there:1", tick_ms=50),
        Settings(data_dir=Path("/var/lib/tiketi"), presence_flush_s=0.5, public_url="https://tiketi.example"),
    ],
)
def test_children_read_the_settings_the_supervisor_has(settings: Settings) -> None:
    given = load({**environment(settings), "SOMETHING": "else"})
    assert given == replace(settings, data_dir=settings.data_dir.resolve())


def test_the_banner_names_logins_only_where_nobody_else_can_use_them() -> None:
    for settings in (Settings(host="0.0.0.0"), Settings(public_url="https://tiketi.example"), Settings(demo=False)):
        assert "admin123" not in banner(settings, "http://localhost:8000", "redis")
    assert "tiketi admin create" in banner(Settings(host="0.0.0.0"), "http://localhost:8000", "redis")
    assert "admin123" in banner(Settings(), "http://localhost:8000", "redis")


ALONE = """
import asyncio, os, pathlib, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the suite itself may run under nohup
from app.run.supervisor import Supervisor
from config.settings import Settings
from tests.run import programs
settings = Settings(data_dir=pathlib.Path(sys.argv[1]), port=0, demo_shop=False)
supervisor = Supervisor(settings, lambda line: None, programs.command)
def say(line):
    if "ready" in line:
        print(*(child.pid for child in supervisor.children), flush=True)
supervisor._say = say
sys.exit(asyncio.run(supervisor.run()))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_child_outlives_the_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", ALONE, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        children = [os.pidfd_open(int(pid)) for pid in alone.stdout.readline().split()]
        alone.send_signal(number)
        code = alone.wait(WAIT_S)
    assert len(children) == 3
    for child in children:
        assert select.select([child], [], [], WAIT_S)[0], "a child lives on"
        os.close(child)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
