"""`tiketi completion`: what a real bash offers once it has read the script; the other shells' scripts know the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli import make_parser
from app.run.completion import script

COMMANDS = {"up", "status", "backup", "check", "keys", "rate", "completion"}


def offered(folder: Path, *typed: str) -> set[str]:
    """What bash offers in place of the last of these words."""
    words = " ".join(f"'{word}'" for word in ("tiketi", *typed))
    ask = f"""
    set -e
    source completion.bash
    COMP_WORDS=({words}); COMP_CWORD={len(typed)}
    function=$(complete -p tiketi | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
    $function tiketi
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    (folder / "completion.bash").write_text(script(make_parser(), "bash"))
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    said = subprocess.run([bash, "--norc", "-c", ask], cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return {line.strip() for line in said.stdout.splitlines()}


@pytest.mark.parametrize(
    ("typed", "some"),
    [
        (("",), COMMANDS),
        (("sta",), {"status"}),
        (("keys", ""), {"create", "list", "rotate", "retire"}),
        (("door", "demo", "v"), {"verified"}),
        (("close", "--"), {"--json", "--yes", "--help"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
    ],
)
def test_bash_offers_commands_options_and_values(tmp_path: Path, typed: tuple[str, ...], some: set[str]) -> None:
    assert some <= offered(tmp_path, *typed)


def test_bash_offers_paths_where_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    assert offered(tmp_path, "restore", "sa") == {"saved"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_know_every_command(shell: str) -> None:
    said = script(make_parser(), shell)
    assert all(command in said for command in COMMANDS)
