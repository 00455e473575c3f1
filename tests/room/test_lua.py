"""Every Lua command says what it promises, names what it is given, and is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import app
from app.lua import PRELUDE
from app.room.scripts import FUNCTIONS

COMMANDS = sorted(Path(app.__file__).parent.rglob("lua/*.lua"))
LINES_MAX = 100
COLUMNS_MAX = 100


@pytest.fixture(params=COMMANDS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def command(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def header(command: Path) -> str:
    lines = command.read_text().splitlines()
    return "\n".join(lines[: next(at for at, line in enumerate(lines) if not line.startswith("--"))])


def code(command: Path) -> list[str]:
    return command.read_text().removeprefix(header(command)).splitlines()


def numbered(text: str) -> set[int]:
    """The numbers of the things listed: "1 room  2 ended  3.. holder"."""
    return {int(number) for number in re.findall(r"(?:^|\s)(\d+)(?:\.\.)? [a-z{]", text)}


def test_every_file_of_lua_is_a_command_or_has_functions_for_some() -> None:
    assert {path.parts[-3] for path in COMMANDS} == {"room", "lane", "limits", "cache", "processes", "metrics"}
    assert set(Path(app.__file__).parent.rglob("*.lua")) == {*COMMANDS, PRELUDE, *FUNCTIONS}


def test_a_command_says_what_it_does_promises_takes_and_returns(command: Path) -> None:
    text = header(command)
    assert text.startswith(f"-- {command.stem}: "), "begins with its name and one sentence"
    for part in ("-- Guarantee: ", "KEYS: ", "ARGV: ", "-- Returns: ", "Cost: O("):
        assert part in text, part


@pytest.mark.parametrize("path", [*COMMANDS, PRELUDE, *FUNCTIONS], ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_lua_is_short_and_narrow(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > COLUMNS_MAX] == []


@pytest.mark.parametrize("path", [*COMMANDS, PRELUDE, *FUNCTIONS], ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_line_declares_one_local_but_for_the_results_of_one_call(path: Path) -> None:
    several = [line for line in path.read_text().splitlines() if re.match(r"\s*local \w+,", line)]
    assert [line for line in several if not re.search(r" = [\w.]+\(.*\)$", line)] == []


@pytest.mark.parametrize("path", [PRELUDE, *FUNCTIONS], ids=lambda path: path.stem)
def test_a_file_of_functions_only_defines_them(path: Path) -> None:
    text = header(path)
    assert text.startswith(f"-- {path.stem}: ")
    assert "-- Guarantee: " in text
    outside = [line for line in code(path) if line and not line.startswith((" ", "--", "local function ", "end"))]
    assert outside == []


def test_every_function_of_the_prelude_is_for_several_commands() -> None:
    functions = re.findall(r"^local function (\w+)", PRELUDE.read_text(), re.M)
    used = {name: [path.stem for path in COMMANDS if re.search(rf"\b{name}\(", path.read_text())] for name in functions}
    assert {name: paths for name, paths in used.items() if len(paths) < 2} == {}


def test_a_field_of_a_hash_is_read_by_its_name(command: Path) -> None:
    text = "\n".join(code(command))
    assert "'HMGET'" not in text
    assert not re.search(r"\b(f|is|fields|count)\[\d+\]", text)


def test_a_command_describes_each_key_and_argument_it_uses(command: Path) -> None:
    text, body = header(command), "\n".join(code(command))
    keys, arguments = text.split("KEYS: ")[1].split("ARGV: ")
    arguments = arguments.split("-- Returns: ")[0]
    assert {int(n) for n in re.findall(r"KEYS\[(\d+)\]", body)} == numbered(keys)
    used = {int(n) for n in re.findall(r"ARGV\[(\d+)\]", body)} | {
        int(n) for n in re.findall(r"for \w+ = (\d+), #ARGV", body)
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
