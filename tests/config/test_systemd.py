"""The systemd units: systemd takes them, and they name only what exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from app.cli import make_parser
from config.settings import Settings, variable

UNITS = sorted((Path(__file__).parent.parent.parent / "config" / "systemd").glob("*.service"))
INSTALLED = "/opt/tiketi/bin/tiketi"
EXPOSURE_MAX = 20  # of 100, as systemd rates it

with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on PATH")


def instance(unit: Path, folder: Path) -> Path:
    """The unit as one of its instances, with a program that is there in the place of an installed Tiketi."""
    text = unit.read_text()
    assert f"ExecStart={INSTALLED} " in text
    file = folder / unit.name.replace("@.", "@8000.")
    file.write_text(text.replace(INSTALLED, shutil.which("true") or ""))
    return file


def analyzed(*args: str | Path) -> str:
    said = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stderr


def test_there_is_a_unit_for_each_kind_of_process() -> None:
    assert [unit.name for unit in UNITS] == ["tiketi-web@.service", "tiketi-worker@.service"]


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    assert analyzed("verify", "--man=no", instance(unit, tmp_path)) == ""


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_a_process_may_do_little_but_its_work(unit: Path, tmp_path: Path) -> None:
    analyzed("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", instance(unit, tmp_path))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_the_command_and_the_settings_are_ours(unit: Path) -> None:
    text = unit.read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    make_parser().parse_args(shlex.split(command)[1:])
    given = re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)
    assert given
    assert set(given) <= {variable(field.name) for field in fields(Settings)}
