"""`tiketi backup` and `tiketi restore`: everything of one moment in a folder, and from it into empty stores.

The one moment is SQL's. Redis is not copied: its copy would be behind the tickets that people hold, and a line is made
again from those better than from it. So a restored room recovers as after a loss of Redis: new numbers begin above
every number that may have been given since, and whoever comes back with a ticket stands where they stood.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from app import VERSION, redis_keys
from app.audit.provider_records import read_records
from app.connections import open_redis, open_store, store_of_command
from app.ledger import table_files
from app.ledger.database import Database
from app.ledger.migrations.step_files import steps
from app.ledger.table_files import BadFile, NotEmpty
from app.payments.wiring import providers_for_audit
from app.redis_nodes import keys_like
from app.room.errors import RoomUnavailable, as_room_unavailable
from app.run.children import Say
from app.run.console import ConsoleError, NotRunningError, not_running
from app.run.data_folder import held
from app.run.progress import Progress, progress_bar
from config.keys import FILE_NAME, KeysError, path_of, read_keys
from config.settings import Settings

MANIFEST = "backup.json"
TABLES = "tables"
FORMAT = 1
NUMBERS_SINCE = 1_000_000  # per room: how many may have been given between a backup and its restore


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup is. `step`: of the tables. `rows`: by table. Written last, so a backup without it is not whole."""

    format: int
    version: str
    step: str
    at: datetime
    rows: dict[str, int]


async def backup(settings: Settings, folder: Path, say: Say) -> None:
    """Write a backup into a new folder, also while everything runs. Raises ConsoleError, KeysError, StoreError."""
    keys = path_of(settings.data_dir, settings.keys_file)
    read_keys(keys)
    _make_empty(folder)
    async with store_of_command(settings, patient=True) as db:
        at = datetime.now(UTC)
        with progress_bar("rows", sys.stderr, time.monotonic) as progress:
            step, rows = await table_files.dump(db, folder / TABLES, progress)
    shutil.copyfile(keys, folder / FILE_NAME)
    manifest = Manifest(format=FORMAT, version=VERSION, step=step, at=at, rows=rows)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    say(f"{sum(rows.values())} rows and the keys are in {folder}. Whoever has it can sign tickets: keep it safe.")


async def restore(settings: Settings, folder: Path, say: Say) -> None:
    """Fill empty stores from a backup. Raises ConsoleError, KeysError, FolderError, StoreError, SchemaError."""
    manifest = _manifest(folder)
    read_keys(folder / FILE_NAME)
    with held(settings.data_dir):
        _refuse_other_keys(settings, folder / FILE_NAME)
        await _require_empty_redis(settings)
        db = open_store(settings, patient=True)
        try:
            await db.migrate()
            with progress_bar("rows", sys.stderr, time.monotonic) as progress:
                await _fill(db, manifest, folder, progress)
            shutil.copyfile(folder / FILE_NAME, path_of(settings.data_dir, settings.keys_file))
            say(f"Restored {sum(manifest.rows.values())} rows, as they were at {manifest.at.isoformat()}.")
            say("Places and seats given since are gone from it. Start Tiketi, then run `tiketi check`.")
            await _say_unknown_money(settings, db, manifest.at, say)
        finally:
            await db.close()


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConsoleError(f"{folder} is not empty. Name a new folder for each backup.")
        (folder / TABLES).mkdir(mode=0o700)
    except OSError as error:
        raise ConsoleError(f"{folder} cannot be used: {error.strerror}.") from error


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise ConsoleError(f"{folder} has no whole backup ({MANIFEST}: {error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise ConsoleError(f"{folder / MANIFEST} is not what `tiketi backup` writes.") from error
    if manifest.format != FORMAT:
        raise ConsoleError(
            f"{folder} has format {manifest.format}, and this program reads {FORMAT}. Run Tiketi {manifest.version}."
        )
    return manifest


def _refuse_other_keys(settings: Settings, ours: Path) -> None:
    """Keys that are there and are others would make every ticket in people's hands worthless, or lose themselves."""
    there = path_of(settings.data_dir, settings.keys_file)
    if there.exists() and there.read_bytes() != ours.read_bytes():
        raise KeysError(f"{there} has other keys than the backup. Move it away; the backup's will take its place.")


async def _require_empty_redis(settings: Settings) -> None:
    """An embedded Redis has nothing while its folder has nothing; any other is asked."""
    if settings.embedded_redis:
        left = [name for name in ("appendonlydir", "appendonly.aof", "dump.rdb") if (settings.data_dir / name).exists()]
        if left:
            raise ConsoleError(
                f"{settings.data_dir} has a line already ({left[0]}). Restore into another TIKETI_DATA_DIR."
            )
        return
    try:
        with as_room_unavailable():
            async with open_redis(settings) as redis:
                for pattern in redis_keys.ALL_PATTERNS:
                    async for _ in keys_like(redis, pattern):
                        raise ConsoleError(
                            "Redis has lines already. Stop every process and empty it (FLUSHDB), or name another in "
                            "REDIS_URL."
                        )
    except RoomUnavailable as error:
        raise NotRunningError(not_running(settings, error)) from error


async def _fill(db: Database, manifest: Manifest, folder: Path, progress: Progress) -> None:
    if manifest.step != steps()[-1]:
        raise ConsoleError(
            f"The backup is of Tiketi {manifest.version}, whose tables are others ({manifest.step}). Restore it with "
            "that version, then migrate."
        )
    try:
        await table_files.load(db, folder / TABLES, manifest.rows, NUMBERS_SINCE, progress)
    except NotEmpty:
        raise ConsoleError("The database has data already. Restore into an empty one.") from None
    except BadFile as error:
        raise ConsoleError(str(error)) from error


async def _say_unknown_money(settings: Settings, db: Database, since: datetime, say: Say) -> None:
    """List the orders that a payment provider has and the backup does not."""
    providers = providers_for_audit(settings, db, lambda: datetime.now(UTC))
    with closing(await read_records(db, providers, None, since)) as records:
        for name, charge in records.strays:
            say(f"{name} has money for an order that is not in the backup: {charge.charge_id}, {charge.amount} won.")
        if records.strays:
            say("Pay them back there, or sell those buyers the seats again; `tiketi check` goes on naming them.")
        for name, why in records.unread.items():
            say(f"The records of {name} could not be read ({why}): run `tiketi check` when it answers.")
