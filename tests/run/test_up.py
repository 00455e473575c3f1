"""`tiketi up`, whole and real: a buyer gets in, a killed worker is missed by nobody, and nothing is left behind."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from app import cli
from app.run import console
from app.run.redis_server import wait_until_answering
from tests.test_papers import ROOT as PAPERS
from tests.test_papers import typed
from tests.waiting import wait_until

pytestmark = pytest.mark.slow  # starts the product's own processes

WAIT_S = 60.0


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Up:
    """A running `tiketi up` on a free port."""

    def __init__(self, folder: Path, **variables: str) -> None:
        counts = {"WEB": "1", "WORKERS": "1", **variables}
        self.environ = {**os.environ, "TIKETI_DATA_DIR": str(folder), "PORT": "0", **counts}
        self.processes = {
            *(f"web-{n + 1}" for n in range(int(counts["WEB"]))),
            *(f"worker-{n + 1}" for n in range(int(counts["WORKERS"]))),
        }
        self.folder = folder
        self.said: list[str] = []
        self.log = folder.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "app.cli", "up"],
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.netloc = urlsplit(self.hear("  Events ").split()[1]).netloc
        self.hear("Stop with Ctrl-C")

    def hear(self, fragment: str) -> str:
        """Wait until the supervisor says it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if fragment in line:
                return line
        raise AssertionError(f"never said {fragment!r}: {self.said} {self.log.read_text()[-3000:]}")

    def hear_all(self, *fragments: str) -> None:
        """Wait until the supervisor has said each of them, in any order."""
        missing = list(fragments)
        while missing:
            line = self.hear("")
            missing = [fragment for fragment in missing if fragment not in line]

    def children(self) -> dict[str, int]:
        """Name → pid of every child that has one, and Redis's; the demo shop is a child as well."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found: dict[str, int] = {}
        for pid in pids:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if "--name" in words:
                found[words[words.index("--name") + 1]] = int(pid)
            elif "app.run.demo_shop" not in words:
                found["redis"] = int(pid)
        return found

    def begun(self) -> dict[str, str]:
        """Name → when it began, as the metrics tell of every web and worker process."""
        status, body = self.ask("GET", "/metrics")
        assert status == 200, body
        pattern = r'^tiketi_process_start_time_seconds\{process="([^"]+)"\} (\S+)$'
        return dict(re.findall(pattern, body.decode(), re.MULTILINE))

    def wait_until_all_serve(self) -> None:
        """Until every web and worker process serves: "ready" is said as soon as one web process does."""
        self.wait_until_begun_anew({})

    def wait_until_begun_anew(self, before: dict[str, str], *names: str) -> None:
        """Until every process serves, and each of these in one that did not exist before."""

        async def all_serve() -> bool:
            now = self.begun()
            return now.keys() == self.processes and all(now[name] != before[name] for name in names)

        asyncio.run(wait_until(all_serve, description=f"all serve, {names} again"))

    def ask(self, method: str, path: str, ticket: str = "") -> tuple[int, bytes]:
        status, body, _ = self._ask(method, path, {"X-Queue-Ticket": ticket} if ticket else {})
        return status, body

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        """Status, body and the cookies as a browser would send them back."""
        connection = http.client.HTTPConnection(self.netloc, timeout=WAIT_S)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            given = [value.partition(";")[0] for value in answer.headers.get_all("set-cookie", [])]
            return answer.status, answer.read(), "; ".join(given)
        finally:
            connection.close()

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.netloc, timeout=WAIT_S)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def claim(self, event: str, cookies: str) -> tuple[int, bytes]:
        status, body, _ = self._ask("POST", f"/api/queue/{event}/claim", {"Cookie": cookies})
        return status, body

    def join(self, event: str) -> dict[str, Any]:
        """The answer, and under "cookies" what a browser sends back."""
        status, body, cookies = self._ask("POST", f"/api/queue/{event}/join", {})
        assert status == 201, body
        answer: dict[str, Any] = json.loads(body)
        return {**answer, "cookies": cookies}

    def wait_for_turn(self, ticket: str, event: str) -> None:
        """Listen to the stream until it says that it is this buyer's turn."""
        connection = http.client.HTTPConnection(self.netloc, timeout=WAIT_S)
        try:
            connection.request("GET", f"/api/queue/{event}/stream", headers={"X-Queue-Ticket": ticket})
            answer = connection.getresponse()
            assert answer.status == 200
            lines_read = []
            while line := answer.readline():
                lines_read.append(line)
                if line.strip() == b"event: admitted":
                    return
            raise AssertionError(f"the stream ended without a turn: {lines_read}")
        finally:
            connection.close()

    def last_words(self, ticket: str, event: str, number: signal.Signals) -> bytes:
        """Listen to the stream until it ends, because every web process got the signal once it had begun."""
        connection = http.client.HTTPConnection(self.netloc, timeout=WAIT_S)
        try:
            connection.request("GET", f"/api/queue/{event}/stream", headers={"X-Queue-Ticket": ticket})
            answer = connection.getresponse()
            lines_read = answer.readline()
            for name, pid in self.children().items():
                if name.startswith("web"):
                    os.kill(pid, number)
            return lines_read + answer.read()
        finally:
            connection.close()

    def last_lines(self) -> dict[str, str]:
        """Process → the name of the last line it wrote; every line is whole."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return {line["process"]: line["name"] for line in lines}

    def command(self, *args: str) -> Said:
        """Run an operator's command, in this process: a new one would mostly wait for its imports."""
        out, err, mask = io.StringIO(), io.StringIO(), os.umask(0o077)
        try:
            with patch.dict(os.environ, self.environ), redirect_stdout(out), redirect_stderr(err):
                code = cli.main(args)
        finally:
            os.umask(mask)
        return Said(code, out.getvalue(), err.getvalue())

    def end(self, number: signal.Signals) -> int:
        """End it and check that no child is left."""
        children = [os.pidfd_open(pid) for pid in self.children().values()]
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        for child in children:
            assert select.select([child], [], [], WAIT_S)[0], "a child lives on"
            os.close(child)
        return code


@contextmanager
def up(folder: Path, **variables: str) -> Iterator[Up]:
    system = Up(folder, **variables)
    try:
        yield system
    finally:
        system.process.kill()
        system.process.wait()
        assert system.process.stdout is not None
        system.process.stdout.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up") / "data", WEB="2", WORKERS="2") as system:
        system.wait_until_all_serve()
        yield system


def test_a_buyer_joins_waits_and_is_let_in(system: Up) -> None:
    for page in ("/", "/events/demo", "/admin/login"):
        assert system.ask("GET", page)[0] == 200
    given = system.join("demo")
    system.wait_for_turn(given["ticket"], "demo")
    status, body = system.claim("demo", given["cookies"])
    assert status in (200, 201), body
    assert json.loads(body)["pass"]


@pytest.mark.parametrize("name", ["worker-1", "web-1"])
def test_what_is_killed_comes_back_and_the_line_goes_on(system: Up, name: str) -> None:
    ticket = system.join("demo")["ticket"]
    before, begun = system.children()[name], system.begun()
    os.kill(before, signal.SIGKILL)
    system.hear(f"{name} was ended by SIGKILL. Starting it again")
    system.hear(f"{name} is back")
    system.wait_until_begun_anew(begun, name)
    assert system.children()[name] != before
    system.wait_for_turn(ticket, "demo")
    system.wait_for_turn(system.join("demo")["ticket"], "demo")


def test_when_redis_is_killed_it_comes_back_and_the_line_goes_on(tmp_path: Path) -> None:
    """On a system of its own: a worker may end with its Redis, now or a moment later."""
    with up(tmp_path / "data", WEB="2", WORKERS="2") as system:
        ticket = system.join("demo")["ticket"]
        os.kill(system.children()["redis"], signal.SIGKILL)
        system.hear("redis was ended by SIGKILL. Starting it again")
        system.hear("redis is back")
        assert asyncio.run(wait_until_answering(system.folder / "redis.sock", lambda: True))
        system.wait_for_turn(ticket, "demo")
        system.wait_for_turn(system.join("demo")["ticket"], "demo")


def test_a_web_process_told_to_stop_sends_its_listeners_elsewhere(system: Up) -> None:
    ticket, begun = system.join("demo")["ticket"], system.begun()
    assert system.last_words(ticket, "demo", signal.SIGTERM).endswith(b"event: reconnect\ndata: {}\n\n")
    system.hear_all("web-1 ended with exit code 0.", "web-2 ended with exit code 0.", "web-1 is back", "web-2 is back")
    system.wait_until_begun_anew(begun, "web-1", "web-2")
    system.wait_for_turn(ticket, "demo")


def test_whichever_web_process_is_asked_tells_of_every_process(system: Up) -> None:
    async def all_are_told_of() -> bool:
        return all(system.begun().keys() == system.processes for _ in range(10))

    asyncio.run(wait_until(all_are_told_of, description="every process is told of"))


def test_an_operator_steers_from_the_command_line(system: Up) -> None:
    assert system.command("rate", "small", "75").stdout == "small: ratePerSecond 75.0\n"
    assert system.command("burst", "small", "9").returncode == 0
    assert system.command("capacity", "small", "2000").returncode == 0
    assert system.command("door", "small", "accounts").stdout == "small: door accounts\n"
    assert system.command("door", "small", "open").returncode == 0
    assert system.command("opening", "small", "first").stdout == "small: opening first\n"
    assert system.command("lobby", "small", "90").stdout == "small: lobbyMinutes 90\n"
    assert system.command("lobby", "small", "1441").returncode == 2
    assert system.command("message", "small", "The band is late.").returncode == 0
    told = system.command("message", "small", "--ko", "늦습니다.", "--en", "Late.").stdout
    assert told == "small: messages ko 늦습니다.; en Late.\n"
    assert system.command("message", "small").returncode == 2
    assert system.command("pause", "small").stdout == "small: state paused\n"
    said = system.command("status", "small").stdout.splitlines()
    assert said[0].split()[:3] == ["event", "state", "waiting"]
    assert said[1].split()[:2] == ["small", "paused"]
    assert re.search(r" 75 +9 ", said[1])
    assert "/2000" in said[1]
    assert system.command("resume", "small").returncode == 0
    assert {line.split()[0] for line in system.command("status").stdout.splitlines()} >= {"demo", "small", "event"}


def test_a_line_with_people_in_it_is_closed_by_who_is_sure(tmp_path: Path) -> None:
    with up(tmp_path / "data") as system:
        assert system.command("pause", "small").returncode == 0
        system.join("small")
        refused = system.command("close", "small")
        assert refused.returncode == 2
        assert "In line and inside of small: 1. They lose their place." in refused.stderr
        assert "Nothing was changed" in refused.stderr
        assert system.command("close", "small", "--yes").stdout == "small: state closed\n"


def test_programs_are_told_in_json(system: Up) -> None:
    assert json.loads(system.command("capacity", "small", "3000", "--json").stdout) == {"maxActive": 3000}
    lines = system.command("status", "--json").stdout.splitlines()
    rooms = {room["eventId"]: room for room in map(json.loads, lines)}
    assert rooms.keys() >= {"demo", "small"}
    assert rooms["small"]["maxActive"] == 3000
    assert json.loads(system.command("migrate", "--json").stdout) == {"applied": []}
    keys = [json.loads(line) for line in system.command("keys", "list", "--json").stdout.splitlines()]
    assert {"ticket", "signing"} <= {key.get("kind") for key in keys}
    assert len(keys[-1]["fingerprint"]) > 8


@pytest.mark.parametrize("args", [("rate", "nothing", "5"), ("status", "nothing"), ("watch", "nothing")])
def test_an_unknown_event_is_one_sentence(system: Up, args: tuple[str, ...]) -> None:
    said = system.command(*args)
    assert said.returncode == 2
    assert said.stderr == "tiketi: There is no waiting room for an event 'nothing'; `tiketi status` lists all rooms.\n"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("rate", "demo", "0"), "rate 0.0: the minimum is 0.1"),
        (("burst", "demo", "0"), "burst 0: the minimum is 1"),
        (("capacity", "demo", "9999999"), "capacity 9999999: the maximum is 1000000"),
    ],
)
def test_a_value_out_of_range_is_refused_in_plain_words(system: Up, args: tuple[str, ...], why: str) -> None:
    said = system.command(*args)
    assert (said.returncode, said.stderr) == (2, f"tiketi: {why}.\n")


def test_the_columns_of_the_table_stay_in_line_under_a_long_id() -> None:
    head, long = (console.row([name, *"bcdefghijkl"], 30) for name in ("event", "x" * 30))
    assert head.index("b") == long.index("b") == 31


def test_every_command_of_the_papers_is_done_by_a_running_system(system: Up) -> None:
    """In their order, which ends with the demo as it began; those that run until they are stopped are tested above."""
    system.join("demo")
    asked = [words for _, words in typed("tiketi") if words[0] not in ("up", "web", "worker", "watch", "guard")]
    assert len(asked) >= 5
    said = {" ".join(words): system.command(*words) for words in asked}
    assert {line: each.stderr for line, each in said.items() if each.returncode != 0} == {}
    assert system.command("door", "demo", "open").returncode == 0


def test_every_address_of_the_readme_is_answered(system: Up) -> None:
    addresses = re.findall(r"http://127\.0\.0\.1:8000(/\S*)", (PAPERS / "README.md").read_text())
    assert "/events/demo" in addresses
    answers = {address: system.ask("GET", address)[0] for address in addresses}
    assert {address: status for address, status in answers.items() if status not in (200, 303)} == {}


def test_state_survives_a_restart_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with up(tmp_path / "data") as first:
        given = first.join("demo")
        assert first.end(signal.SIGINT) == 0
    with up(tmp_path / "data") as second:
        status, body = second.ask("GET", "/api/queue/demo/position", given["ticket"])
        assert status == 200
        assert json.loads(body)["number"] == given["number"]
        assert second.join("demo")["number"] > given["number"]
        second.wait_until_all_serve()  # told to stop before that, a process ends without a word
        assert second.end(signal.SIGTERM) == 0
        assert second.last_lines()["web-1"] == second.last_lines()["worker-1"] == "process_ended"


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_is_clean(tmp_path: Path) -> None:
    with up(tmp_path / "data") as first:
        given = first.join("demo")
        first.end(signal.SIGKILL)
    with up(tmp_path / "data") as second:
        assert second.join("demo")["number"] > given["number"]


def test_operator_commands_say_when_nothing_runs(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", "rate", "demo", "5"],
        env={**os.environ, "TIKETI_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert said.returncode == 1
    assert "Is Tiketi running, with the same settings?" in said.stderr
