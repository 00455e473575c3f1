"""The `tiketi` command: clear sentences and exit codes, whatever it is asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.run.data_folder import held

pytestmark = pytest.mark.slow  # starts the product's own processes


def tiketi(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *args],
        env={**os.environ, "TIKETI_DATA_DIR": str(folder / "data"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "--help")
    assert said.returncode == 0
    listed = {line.split()[0] for line in said.stdout.splitlines() if line.startswith("    ")}
    running = {"up", "web", "worker", "migrate", "seed", "keys", "clean-data", "admin"}
    steering = {"status", "watch", "rate", "burst", "capacity", "pause", "resume", "drain", "close", "door"}
    assert running | steering | {"message", "trace"} <= listed


@pytest.mark.parametrize("args", [(), ("dance",), ("rate", "demo"), ("rate", "demo", "fast"), ("keys", "eat")])
def test_a_command_that_makes_no_sense_is_refused_with_its_usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    said = tiketi(tmp_path, *args)
    assert said.returncode == 2
    assert said.stderr.startswith("usage: tiketi")
    assert "Traceback" not in said.stderr


def test_a_setting_that_cannot_be_used_is_named_with_its_value(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "up", PORT="70000")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "tiketi: PORT=70000 is not between 0 and 65535\n"


def test_a_misspelt_setting_is_named_with_the_nearest_real_one_and_nothing_is_stopped(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "migrate", TIKETI_PRESENCE_WINDOWS_S="60")
    assert said.returncode == 0
    assert said.stderr == (
        "tiketi: TIKETI_PRESENCE_WINDOWS_S is no setting and changes nothing. Did you mean TIKETI_PRESENCE_WINDOW_S?\n"
    )


def test_a_web_process_of_its_own_says_that_its_port_is_taken(tmp_path: Path) -> None:
    assert tiketi(tmp_path, "migrate").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = tiketi(tmp_path, "web", PORT=str(port))
    assert said.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use by another program." in said.stderr


def test_a_key_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "up", TIKETI_KEYS_FILE=str(tmp_path / "none.json"), PORT="0")
    assert said.returncode == 2
    assert said.stderr == f"tiketi: The key file {tmp_path}/none.json cannot be read: No such file or directory.\n"


def test_rotating_keys_says_which_sign_now(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "keys", "rotate")
    assert said.returncode == 0
    assert said.stdout.startswith("Ticket key 2 and signing key ")


def test_keys_are_made_once_listed_and_told_apart_by_a_fingerprint(tmp_path: Path) -> None:
    """The file of several machines is made by one of them, before anything else is there."""
    file = tmp_path / "etc" / "keys.json"
    assert tiketi(tmp_path, "keys", "list", TIKETI_KEYS_FILE=str(file)).stderr.endswith("No such file or directory.\n")
    assert tiketi(tmp_path, "keys", "create", TIKETI_KEYS_FILE=str(file)).stdout.startswith(f"Made {file}. Copy it")
    assert file.stat().st_mode & 0o077 == 0
    again = tiketi(tmp_path, "keys", "create", TIKETI_KEYS_FILE=str(file))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    first = tiketi(tmp_path, "keys", "list", TIKETI_KEYS_FILE=str(file)).stdout.splitlines()
    assert first[0] == "ticket   1  signs"
    assert first[-1].startswith("Fingerprint of all: ")
    assert tiketi(tmp_path, "keys", "rotate", TIKETI_KEYS_FILE=str(file)).returncode == 0
    rotated = tiketi(tmp_path, "keys", "list", TIKETI_KEYS_FILE=str(file)).stdout.splitlines()
    assert rotated[:2] == ["ticket   1", "ticket   2  signs"]
    assert "webhook  webhook" in rotated
    assert rotated[-1] != first[-1]
    assert not any(secret in "".join(rotated) for secret in json.loads(file.read_text())["ticket_keys"].values())


def test_clean_data_forgets_the_folder_and_says_what_it_left(tmp_path: Path) -> None:
    tiketi(tmp_path, "keys", "rotate")
    (tmp_path / "data" / "thesis.txt").touch()
    said = tiketi(tmp_path, "clean-data", REDIS_URL="redis://elsewhere")
    assert said.returncode == 0
    assert "thesis.txt" in said.stdout
    assert "Not deleted: the data in the store that REDIS_URL names." in said.stdout
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["thesis.txt"]


def test_clean_data_and_a_second_start_are_refused_while_one_runs(tmp_path: Path) -> None:
    with held(tmp_path / "data"):
        for command in ("clean-data", "up"):
            said = tiketi(tmp_path, command)
            assert said.returncode == 1
            assert f"already runs on {tmp_path}/data (pid {os.getpid()})" in said.stderr


def test_everything_written_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    assert tiketi(tmp_path, "seed", TIKETI_DEMO="0").returncode == 0
    assert (tmp_path / "data" / "tiketi.db").stat().st_mode & 0o077 == 0


def test_nothing_serves_a_database_without_tables(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for process in ("web", "worker"):
        said = tiketi(tmp_path, process)
        assert said.returncode == 1
        assert said.stderr == "tiketi: The database has no Tiketi tables yet. Run `tiketi migrate` first.\n"
    assert tiketi(tmp_path, "migrate").stdout.startswith("Applied: 0001_")
    again = tiketi(tmp_path, "migrate")
    assert (again.returncode, again.stdout) == (0, "The database's tables are up to date.\n")


AWAY = "postgresql://tiketi:s3cret@127.0.0.1:1/tiketi"


def test_a_database_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "migrate", DATABASE_URL=AWAY)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1] == "tiketi: The database does not answer (ConnectionRefusedError)."
    assert "s3cret" not in said.stderr + said.stdout
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("command", ["web", "worker", "seed"])
def test_a_process_that_starts_waits_for_a_database_that_does_not_answer(tmp_path: Path, command: str) -> None:
    environ = {
        "TIKETI_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": AWAY,
        "TIKETI_LOG_FORMAT": "json",
        "PORT": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli", command], env={**os.environ, **environ}, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        assert (line["name"], line["store"], line["process"]) == ("store_fails", "database", command)
        assert "s3cret" not in str(line)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_a_data_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    said = tiketi(tmp_path, "worker")
    assert (said.returncode, "TIKETI_DATA_DIR" in said.stderr, "Traceback" in said.stderr) == (1, True, False)


@pytest.mark.parametrize("command", ["origins list", "rooms list", "pause demo", "status", "trace demo 1", "prune"])
def test_a_command_beside_a_database_without_tables_says_what_to_do(tmp_path: Path, command: str) -> None:
    (tmp_path / "data").mkdir()
    said = tiketi(tmp_path, *command.split())
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == "tiketi: The database has no Tiketi tables yet. Run `tiketi migrate` first.\n"
