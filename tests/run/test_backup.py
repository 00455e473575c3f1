"""A backup in the middle of a sale, and its restore after everything was lost: nobody in line loses their place, and
money that came later is named."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from app.payments.provider import ChargeRequest
from app.run import backup as commands
from app.run.console import ConsoleError
from app.run.data_folder import FolderError, held
from config.keys import KeysError, load_keys
from config.settings import Settings
from tests.lane.world import confirm, hold, make_world
from tests.payments.acme import AcmePay
from tests.run.test_up import Up, up
from tests.waiting import wait_until

EVENT = "small"


def tiketi(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *args],
        env={**os.environ, "TIKETI_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def buy(system: Up) -> dict[str, Any]:
    """Somebody joins, is let in and pays for a seat."""
    given = system.join(EVENT)
    system.wait_for_turn(given["ticket"], EVENT)
    admission = json.loads(system.claim(EVENT, given["cookies"])[1])["pass"]
    headers = {"Cookie": given["cookies"], "X-Admission-Pass": admission, "Content-Type": "application/json"}
    status, body = system.post("/api/seats/reserve", headers, {"eventId": EVENT, "quantity": 1})
    assert status == 201, body
    wanted = {"reservationId": body["reservation"]["id"], "paymentMethod": "kakao_pay"}
    status, paid = system.post("/api/payments/process", headers, wanted)
    assert status == 201, paid
    return {**given, "reservation": body["reservation"]["id"]}


def book(folder: Path) -> list[tuple[Any, ...]]:
    """What the payment company has in its own books, which no loss of ours touches."""
    with closing(sqlite3.connect(folder / "tiketi.db")) as db, db:
        return db.execute("SELECT * FROM gateway_book").fetchall()


async def is_marked(folder: Path, number: int) -> bool:
    with closing(sqlite3.connect(folder / "tiketi.db")) as db:
        ((there,),) = db.execute("SELECT number FROM rooms WHERE event_id = ?", (EVENT,))
        return bool(there >= number)


@pytest.mark.slow  # starts the product's own processes
@pytest.mark.timeout(400)  # two starts of everything
def test_the_drill(tmp_path: Path) -> None:
    folder, saved = tmp_path / "data", tmp_path / "saved"
    with up(folder) as system:
        ann = buy(system)
        assert system.command("pause", EVENT).returncode == 0
        ben = system.join(EVENT)
        asyncio.run(wait_until(lambda: is_marked(folder, 2), description="the keeper stored how far the room is"))
        done = system.command("backup", str(saved))
        assert done.returncode == 0, done.stderr
        assert system.command("resume", EVENT).returncode == 0
        cem = buy(system)
        for pid in (system.process.pid, *system.children().values()):
            with suppress(ProcessLookupError):  # it died with the supervisor
                os.kill(pid, signal.SIGKILL)
    assert {path.stat().st_mode & 0o077 for path in (saved, *saved.rglob("*"))} == {0}, "others read it"
    theirs = book(folder)
    shutil.rmtree(folder)

    restored = tiketi(folder, "restore", str(saved))
    assert restored.returncode == 0, restored.stderr
    with closing(sqlite3.connect(folder / "tiketi.db")) as db, db:
        known = {row[0] for row in db.execute("SELECT id FROM charges")}
        marks = ", ".join("?" * len(theirs[0]))
        db.executemany(f"INSERT OR REPLACE INTO gateway_book VALUES ({marks})", theirs)
    with up(folder) as system:
        for buyer, number in ((ben, 2), (cem, 3)):
            status, body = system.ask("GET", f"/api/queue/{EVENT}/position", buyer["ticket"])
            assert (status, json.loads(body).get("number")) == (200, number), body
        status, body, _ = system._ask("GET", f"/api/reservations/{ann['reservation']}", {"Cookie": ann["cookies"]})
        assert (status, json.loads(body)["reservation"]["status"]) == (200, "confirmed")
        assert system.join(EVENT)["number"] > commands.NUMBERS_SINCE
        checked = system.command("check")
    unknown = {row[0] for row in theirs} - known
    assert len(unknown) == 1
    assert checked.returncode == 1
    (said,) = checked.stdout.splitlines()
    assert f"simulator has money for {unknown.pop()}, which nobody asked for" in said


@pytest.fixture
async def settings(redis: Redis, ledger: Database, tmp_path: Path) -> Settings:
    """Of a system that sold something."""
    world = await make_world(redis, ledger)
    (held_seat,) = await world.do(hold("a", [3]))
    assert held_seat.reservation is not None
    await world.do(confirm("b", held_seat.reservation.id))
    await redis.flushall()
    settings = Settings(data_dir=tmp_path / "first", database_url=str(ledger.url))
    load_keys(settings.data_dir)
    return settings


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def saved(settings: Settings, tmp_path: Path, said: list[str]) -> Path:
    await commands.backup(settings, tmp_path / "saved", said.append)
    return tmp_path / "saved"


async def test_a_folder_takes_one_backup(saved: Path, settings: Settings) -> None:
    with pytest.raises(ConsoleError, match="is not empty"):
        await commands.backup(settings, saved, print)


async def test_orders_that_only_the_provider_knows_are_listed(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    acme = AcmePay(secret=b"s" * 32)
    await acme.charge(ChargeRequest(charge_id="later", method="card", amount=35_000, return_url="https://x"))
    monkeypatch.setattr(commands, "providers_for_audit", lambda *_: [acme])
    await commands.restore(Settings(data_dir=tmp_path / "new"), saved, said.append)
    assert "acme has money for an order that is not in the backup: later, 35000 won." in said


async def test_a_restore_is_refused_into_what_has_data_or_runs(saved: Path, tmp_path: Path) -> None:
    new = Settings(data_dir=tmp_path / "new")
    with held(new.data_dir), pytest.raises(FolderError, match="already runs"):
        await commands.restore(new, saved, print)
    (new.data_dir / "appendonlydir").mkdir()
    with pytest.raises(ConsoleError, match="has a line already"):
        await commands.restore(new, saved, print)
    (new.data_dir / "appendonlydir").rmdir()
    await commands.restore(new, saved, print)
    with pytest.raises(ConsoleError, match="has data already"):
        await commands.restore(new, saved, print)


async def test_a_restore_is_refused_beside_a_redis_with_lines(saved: Path, tmp_path: Path, redis: Redis) -> None:
    path = redis.connection_pool.connection_kwargs["path"]
    new = Settings(data_dir=tmp_path / "new", redis_url=f"unix://{path}")
    await redis.set("tiketi:any", 1, ex=60)
    with pytest.raises(ConsoleError, match="Redis has lines already"):
        await commands.restore(new, saved, print)
    await redis.flushall()
    await commands.restore(new, saved, print)


async def test_other_keys_are_never_overwritten(saved: Path, tmp_path: Path) -> None:
    new = Settings(data_dir=tmp_path / "new")
    load_keys(new.data_dir)
    before = (new.data_dir / "keys.json").read_bytes()
    with pytest.raises(KeysError, match="other keys than the backup"):
        await commands.restore(new, saved, print)
    assert (new.data_dir / "keys.json").read_bytes() == before


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ({"rows": {}}, "does not have the rows"),
        ({"step": "0000_other"}, "whose tables are others"),
        ({"format": 2}, "has format 2"),
        ({"at": "yesterday"}, "is not what"),
        (None, "no whole backup"),
    ],
)
async def test_a_backup_that_is_not_whole_or_of_another_version_is_refused(
    saved: Path, tmp_path: Path, harm: dict[str, Any] | None, why: str
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(saved, whole)
    manifest = saved / commands.MANIFEST
    if harm is None:
        manifest.unlink()
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | harm))
    with pytest.raises(ConsoleError, match=why):
        await commands.restore(Settings(data_dir=tmp_path / "new"), saved, print)
    await commands.restore(Settings(data_dir=tmp_path / "new"), whole, print)  # nothing is in the way


async def test_it_says_when_it_was_made(saved: Path) -> None:
    at = datetime.fromisoformat(json.loads((saved / commands.MANIFEST).read_text())["at"])
    assert timedelta() <= datetime.now(UTC) - at < timedelta(hours=1)
