"""The data folder: one holder at a time, and forgetting deletes what is ours and nothing else."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.run.data_folder import FolderError, delete_data, held, private

HOLD = """
import pathlib, signal, sys
from app.run.data_folder import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_a_held_folder_is_refused_with_who_holds_it_and_what_to_do(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(FolderError, match=rf"pid {os.getpid()}.*TIKETI_DATA_DIR"), held(tmp_path):
        pass


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    with held(tmp_path / "a" / "data"):
        assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700


def test_kill_minus_9_leaves_nothing_that_bars_the_next_start(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderError, match=f"pid {holder.pid}"), held(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with held(tmp_path):
        pass


USE = """
import os, pathlib, sys
from app.run.data_folder import use
use(pathlib.Path(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-c", "import signal; print('uses', flush=True); signal.pause()"])
"""


def test_nothing_is_deleted_while_a_process_uses_it_also_one_that_another_became(tmp_path: Path) -> None:
    (tmp_path / "tiketi.db").touch()
    with subprocess.Popen([sys.executable, "-c", USE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "uses\n"
        with pytest.raises(FolderError, match="A web process or a worker uses"):
            delete_data(tmp_path)
        assert (tmp_path / "tiketi.db").exists()
        user.kill()
        user.wait()
    assert delete_data(tmp_path) == (["tiketi.db"], [])


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(FolderError, match="file/data cannot be used: Not a directory"),
        held(tmp_path / "file" / "data"),
    ):
        pass


def test_forgetting_deletes_our_files_and_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with held(folder):
        for name in ("keys.json", "tiketi.db", "tiketi.db-wal", "redis.log"):
            (folder / name).touch()
        (folder / "appendonlydir").mkdir()
        (folder / "appendonlydir" / "appendonly.aof.manifest").touch()
    assert delete_data(folder) == (["appendonlydir", "keys.json", "redis.log", "tiketi.db", "tiketi.db-wal"], [])
    assert not folder.exists()
    assert delete_data(folder) == ([], [])


def test_forgetting_leaves_and_names_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "keys.json").touch()
    assert delete_data(tmp_path)[1] == ["thesis.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_forgetting_is_refused_while_someone_runs(tmp_path: Path) -> None:
    (tmp_path / "keys.json").touch()
    with held(tmp_path), pytest.raises(FolderError, match="already runs"):
        delete_data(tmp_path)
    assert (tmp_path / "keys.json").exists()


def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    private(tmp_path / "new")
    (tmp_path / "new").chmod(0o755)
    with pytest.raises(FolderError, match="chmod 700"):
        private(tmp_path / "new")
