"""Every Lua command says what it promises, names what it is given, and is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import app

COMMANDS = sorted(Path(app.__file__).parent.glob("*/lua/*.lua"))
LINES_MAX = 60


@pytest.fixture(params=COMMANDS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def command(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def header(command: Path) -> str:
    lines = command.read_text().splitlines()
    return "\n".join(lines[: next(at for at, line in enumerate(lines) if not line.startswith("--"))])


def numbered(text: str) -> set[int]:
    """The numbers of the things listed: "1 room  2 gone  3.. holder"."""
    return {int(number) for number in re.findall(r"(?:^|\s)(\d+)(?:\.\.)? [a-z{]", text)}


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 10


def test_a_command_says_what_it_does_promises_takes_and_returns(command: Path) -> None:
    text = header(command)
    assert text.startswith(f"-- {command.stem}: "), "begins with its name and one sentence"
    for part in ("-- Guarantee: ", "KEYS: ", "ARGV: ", "-- Returns: ", "Cost: O("):
        assert part in text, part


def test_a_command_is_short(command: Path) -> None:
    assert len(command.read_text().splitlines()) <= LINES_MAX


def test_a_command_describes_each_key_and_argument_it_uses(command: Path) -> None:
    text, code = header(command), command.read_text().removeprefix(header(command))
    keys, arguments = text.split("KEYS: ")[1].split("ARGV: ")
    arguments = arguments.split("-- Returns: ")[0]
    assert {int(n) for n in re.findall(r"KEYS\[(\d+)\]", code)} == numbered(keys)
    used = {int(n) for n in re.findall(r"ARGV\[(\d+)\]", code)} | {
        int(n) for n in re.findall(r"for i = (\d+), #ARGV", code)
    }
    assert used == numbered(arguments)


def test_a_command_names_its_keys_and_arguments_once_where_it_begins(command: Path) -> None:
    """KEYS[3] in the middle of a command says nothing to a reader, and is how two of them get mixed up."""
    for line in command.read_text().splitlines():
        if re.search(r"(KEYS|ARGV)\[\d+\]", line):
            assert line.startswith(("local ", "  local ")), line


def test_no_loop_is_unbounded(command: Path) -> None:
    for line in command.read_text().splitlines():
        assert not re.match(r"\s*(repeat|while true)\b", line), line
