"""The data folder: locks it for one running Tiketi at a time, and deletes the data in it.

The kernel holds the lock and releases it when the process ends, so kill -9 leaves no stale lock behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "tiketi.lock"
USERS_NAME = "tiketi.users"  # every web process and worker has a share of its lock, whoever started it
OURS = (  # everything that our processes write there; nothing else is ever deleted
    "keys.json",
    "keys.lock",
    ".keys-*",
    "tiketi.db",
    "tiketi.db-*",
    "redis.sock",
    "redis.log",
    "appendonlydir",
    "appendonly.aof",
    "temp-*.aof",
    "metrics",
    "dump.rdb",
)


class FolderError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder if needed, private to its owner, and lock it during the block. Raises FolderError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _locked(folder / LOCK_NAME)
    except OSError as error:
        raise FolderError(f"The data folder {folder} cannot be used: {error.strerror}.") from error
    try:
        yield
    finally:
        os.close(descriptor)


def private(folder: Path) -> None:
    """Make a folder that nobody else can enter, or check that it is one. Raises FolderError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.stat()
    if seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise FolderError(
            f"{folder} must belong to you and be closed to others (chmod 700), because Redis listens there."
        )


def use(folder: Path) -> None:
    """Keep the folder's data from being deleted until this process ends, or what it becomes by exec. Does nothing for a
    machine without a folder, whose stores are elsewhere."""
    if folder.is_dir():
        descriptor = os.open(folder / USERS_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.set_inheritable(descriptor, True)


def delete_data(folder: Path) -> tuple[list[str], list[str]]:
    """Delete Tiketi's files in the folder. Returns their names, and those of all other files, which stay.

    Raises FolderError, also while a process of ours uses it.
    """
    if not folder.exists():
        return [], []
    with held(folder), _unused(folder):
        found = sorted({path for pattern in OURS for path in folder.glob(pattern)})
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in (LOCK_NAME, USERS_NAME):
            (folder / name).unlink()
    others = sorted(path.name for path in folder.iterdir())
    if not others and not folder.is_symlink():
        folder.rmdir()
    return [path.name for path in found], others


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / USERS_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"A web process or a worker uses {folder}. Stop it first.") from None
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise FolderError(
                f"Tiketi already runs on {path.parent} (pid {pid}). "
                "Stop it first, or set TIKETI_DATA_DIR to another folder."
            ) from None
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # the file that we locked was deleted meanwhile
