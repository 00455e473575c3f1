"""Pictures become posters once, upright and clean; whatever dies or lies on the way, the latest picture counts."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

import app
from app.domain.pictures import PictureFault, UploadStatus
from app.ledger import audit_log, events, posters
from app.ledger.database import Database
from app.ledger.posters import Made
from app.ledger.tables.posters import posters as posters_table
from app.ledger.tables.posters import uploads as uploads_table
from tests.lane.world import EVENT, START, Time, spec
from tests.pictures import GPS, bomb, photo, picture, text_bomb
from workers.posters import PosterMaker, convert


class Desk:
    """A ledger with one event, a maker, and a clock of our own."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.time = Time()
        self.told: list[str] = []
        self.converted = 0
        self.maker = PosterMaker(db=db, now=self.time.now, changed=self._changed, convert=self._convert)

    async def _changed(self, event_id: str) -> None:
        self.told.append(event_id)

    def _convert(self, data: bytes) -> Made | PictureFault:
        self.converted += 1
        return convert(data)

    async def send(self, upload_id: str, data: bytes) -> None:
        self.time.pass_s(1)
        source = str(hash(data))
        assert await posters.begin(self.db, upload_id, EVENT, source, data, who="ann", now=self.time.at)

    async def status(self, upload_id: str) -> tuple[UploadStatus, str | None]:
        row = await posters.upload(self.db, upload_id)
        assert row is not None
        return row.status, row.reason

    async def shown(self) -> str | None:
        event = await events.get(self.db, EVENT)
        assert event is not None
        return event.poster

    async def count(self, table: Any) -> int:
        async with self.db.read() as tx:
            return len((await tx.execute(select(table.c[next(iter(table.c.keys()))]))).all())


@pytest.fixture
async def desk(ledger: Database) -> Desk:
    await events.create(ledger, spec(), START)
    return Desk(ledger)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def made_of(data: bytes) -> Made:
    made = convert(data)
    assert isinstance(made, Made)
    return made


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("PNG", {"mode": "RGBA"}),
        ("PNG", {"mode": "P"}),
        ("PNG", {"mode": "L"}),
        ("JPEG", {}),
        ("JPEG", {"mode": "CMYK"}),
        ("WEBP", {"mode": "RGBA"}),
    ],
)
def test_every_kind_becomes_webp_in_two_sizes(kind: str, options: dict[str, Any]) -> None:
    made = made_of(picture(kind, (1500, 3000), **options))
    assert (made.width, made.height) == (800, 1600)
    large, thumb = opened(made.large), opened(made.thumb)
    assert (large.format, large.size) == ("WEBP", (800, 1600))
    assert (thumb.format, thumb.size) == ("WEBP", (213, 427))
    assert (large.mode == "RGBA") == (options.get("mode") == "RGBA")


def test_a_photo_is_turned_upright_and_tells_no_more_where_it_was_taken() -> None:
    data = photo((300, 400), orientation=6)
    assert GPS in data
    made = made_of(data)
    assert (made.width, made.height) == (400, 300)
    for body in (made.large, made.thumb):
        assert GPS not in body
        assert b"EXIF" not in body
        assert b"<script>" not in body
    red, _, blue = opened(made.large).convert("RGB").getpixel((200, 20))  # type: ignore[misc]  # three numbers in RGB
    assert red > 200 > 50 > blue, "what was left is on top"


def test_the_same_picture_has_the_same_name_and_another_has_another() -> None:
    assert made_of(picture()).hash == made_of(picture()).hash != made_of(picture(seed=2)).hash


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (bomb(), PictureFault.large),
        (bomb(4_000, 4_000), PictureFault.broken),
        (text_bomb(), PictureFault.broken),
        (picture("JPEG")[:400] + b"\0" * 900 + picture("JPEG")[1300:], PictureFault.broken),
        (b"<svg/>", PictureFault.kind),
    ],
    ids=["bomb", "hollow", "text-bomb", "holed", "svg"],
)
def test_a_hostile_picture_fails_with_its_reason(data: bytes, fault: PictureFault) -> None:
    assert convert(data) is fault


async def test_a_picture_becomes_the_events_poster(desk: Desk) -> None:
    await desk.send("u1", picture())
    assert await desk.status("u1") == (UploadStatus.waiting, None)
    assert await desk.maker.round() == 1
    assert await desk.status("u1") == (UploadStatus.done, None)
    name = await desk.shown()
    assert name == made_of(picture()).hash
    assert name is not None
    assert await posters.read(desk.db, name, thumb=True) == made_of(picture()).thumb
    assert desk.told == [EVENT]
    assert [entry.action for entry in await audit_log.listed(desk.db, audit_log.AuditFilter(), 5)] == ["poster.upload"]


async def test_a_broken_picture_leaves_the_poster_there_is(desk: Desk) -> None:
    await desk.send("u1", picture())
    await desk.send("u2", bomb())
    assert await desk.maker.round() == 2
    assert await desk.status("u2") == (UploadStatus.failed, "large")
    assert await desk.shown() == made_of(picture()).hash


async def test_the_same_bytes_are_worked_on_once(desk: Desk) -> None:
    for upload_id in ("u1", "u2", "u3"):
        await desk.send(upload_id, picture())
    assert await desk.maker.round() == 3
    assert desk.converted == 1
    assert await desk.count(posters_table) == 1
    assert (await desk.status("u3"))[0] is UploadStatus.done


async def test_the_latest_picture_counts_in_whichever_order_they_are_done(desk: Desk) -> None:
    await desk.send("u1", picture(seed=1))
    first = await posters.take(desk.db, desk.time.at)
    await desk.send("u2", picture(seed=2))
    assert await desk.maker.round() == 1
    assert first is not None
    assert await posters.finish(desk.db, first, made_of(picture(seed=1)), desk.time.at)
    assert await desk.shown() == made_of(picture(seed=2)).hash


async def test_what_a_dead_worker_took_is_taken_again_but_not_for_ever(desk: Desk) -> None:
    await desk.send("u1", picture())
    for _ in range(posters.ATTEMPTS_MAX):
        taken = await posters.take(desk.db, desk.time.at)
        assert taken is not None
        assert await posters.take(desk.db, desk.time.at) is None, "it is one worker's alone"
        desk.time.pass_s(61)
    assert await posters.take(desk.db, desk.time.at) is None
    assert await desk.status("u1") == (UploadStatus.failed, "given_up")
    assert taken is not None
    assert not await posters.finish(desk.db, taken, made_of(picture()), desk.time.at), "a late worker changes nothing"
    assert await desk.shown() is None


async def test_two_workers_share_the_pictures(desk: Desk) -> None:
    for number in range(6):
        await desk.send(f"u{number}", picture(seed=number))
    other = PosterMaker(db=desk.db, now=desk.time.now, changed=desk._changed)
    assert sum(await asyncio.gather(desk.maker.round(), other.round())) == 6
    assert await desk.shown() == made_of(picture(seed=5)).hash


async def test_a_poster_taken_away_does_not_come_back(desk: Desk) -> None:
    await desk.send("u1", picture())
    taken = await posters.take(desk.db, desk.time.at)
    assert taken is not None
    assert await posters.remove(desk.db, EVENT, who="ann", now=desk.time.at)
    assert not await posters.finish(desk.db, taken, made_of(picture()), desk.time.at)
    assert await desk.shown() is None
    assert not await posters.remove(desk.db, "nowhere", who="ann", now=desk.time.at)


async def test_what_nobody_needs_is_forgotten(desk: Desk) -> None:
    """The poster that is shown stays, however old; the ones before it and the uploads go."""
    for seed in (1, 2):
        await desk.send(f"u{seed}", picture(seed=seed))
        await desk.maker.round()
    assert await posters.prune(desk.db, desk.time.at) == 0
    late = desk.time.at + timedelta(days=2)
    assert await posters.prune(desk.db, late) == 3
    assert (await desk.count(posters_table), await desk.count(uploads_table)) == (1, 0)
    name = await desk.shown()
    assert name is not None
    assert await posters.read(desk.db, name, thumb=False) is not None


@pytest.mark.parametrize("by", ["another", "none"])
async def test_a_poster_that_was_replaced_is_kept_for_a_while_however_old_it_is(desk: Desk, by: str) -> None:
    """Pages and caches that were filled a moment ago still ask for it."""
    await desk.send("u1", picture(seed=1))
    await desk.maker.round()
    old = await desk.shown()
    assert old is not None
    desk.time.at += timedelta(hours=2)
    if by == "another":
        await desk.send("u2", picture(seed=2))
        await desk.maker.round()
    else:
        await posters.remove(desk.db, EVENT, who="ann", now=desk.time.at)
    assert await desk.shown() != old
    await posters.prune(desk.db, desk.time.at + posters.UNUSED_KEPT_FOR)
    assert await posters.read(desk.db, old, thumb=False) is not None
    await posters.prune(desk.db, desk.time.at + posters.UNUSED_KEPT_FOR + timedelta(seconds=1))
    assert await posters.read(desk.db, old, thumb=False) is None


async def test_no_more_uploads_wait_than_may(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posters, "WAITING_MAX", 1)
    await desk.send("u1", picture())
    assert not await posters.begin(desk.db, "u2", EVENT, "s", b"", who="ann", now=desk.time.at)


def test_pillow_is_used_by_the_workers_alone() -> None:
    """A decoder fed by strangers has no place in a process that answers buyers."""
    web = Path(app.__file__).parent
    assert [path for path in web.rglob("*.py") if "PIL" in path.read_text()] == []
