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

pytestmark = pytest.mark.both_databases


class Posters:
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
async def office(ledger: Database) -> Posters:
    await events.create(ledger, spec(), START)
    return Posters(ledger)


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


async def test_a_picture_becomes_the_events_poster(office: Posters) -> None:
    await office.send("u1", picture())
    assert await office.status("u1") == (UploadStatus.waiting, None)
    assert await office.maker.round() == 1
    assert await office.status("u1") == (UploadStatus.done, None)
    name = await office.shown()
    assert name == made_of(picture()).hash
    assert name is not None
    assert await posters.read(office.db, name, thumb=True) == made_of(picture()).thumb
    assert office.told == [EVENT]
    assert [entry.action for entry in await audit_log.listed(office.db, audit_log.AuditFilter(), 5)] == [
        "poster.upload"
    ]


async def test_a_broken_picture_leaves_the_poster_there_is(office: Posters) -> None:
    await office.send("u1", picture())
    await office.send("u2", bomb())
    assert await office.maker.round() == 2
    assert await office.status("u2") == (UploadStatus.failed, "large")
    assert await office.shown() == made_of(picture()).hash


async def test_the_same_bytes_are_worked_on_once(office: Posters) -> None:
    for upload_id in ("u1", "u2", "u3"):
        await office.send(upload_id, picture())
    assert await office.maker.round() == 3
    assert office.converted == 1
    assert await office.count(posters_table) == 1
    assert (await office.status("u3"))[0] is UploadStatus.done


async def test_the_latest_picture_counts_in_whichever_order_they_are_done(office: Posters) -> None:
    await office.send("u1", picture(seed=1))
    first = await posters.take(office.db, office.time.at)
    await office.send("u2", picture(seed=2))
    assert await office.maker.round() == 1
    assert first is not None
    assert await posters.finish(office.db, first, made_of(picture(seed=1)), office.time.at)
    assert await office.shown() == made_of(picture(seed=2)).hash


async def test_what_a_dead_worker_took_is_taken_again_but_not_for_ever(office: Posters) -> None:
    await office.send("u1", picture())
    for _ in range(posters.ATTEMPTS_MAX):
        taken = await posters.take(office.db, office.time.at)
        assert taken is not None
        assert await posters.take(office.db, office.time.at) is None, "it is one worker's alone"
        office.time.pass_s(61)
    assert await posters.take(office.db, office.time.at) is None
    assert await office.status("u1") == (UploadStatus.failed, "given_up")
    assert taken is not None
    assert not await posters.finish(office.db, taken, made_of(picture()), office.time.at), (
        "a late worker changes nothing"
    )
    assert await office.shown() is None


async def test_two_workers_share_the_pictures(office: Posters) -> None:
    for number in range(6):
        await office.send(f"u{number}", picture(seed=number))
    other = PosterMaker(db=office.db, now=office.time.now, changed=office._changed)
    assert sum(await asyncio.gather(office.maker.round(), other.round())) == 6
    assert await office.shown() == made_of(picture(seed=5)).hash


async def test_a_poster_taken_away_does_not_come_back(office: Posters) -> None:
    await office.send("u1", picture())
    taken = await posters.take(office.db, office.time.at)
    assert taken is not None
    assert await posters.remove(office.db, EVENT, who="ann", now=office.time.at)
    assert not await posters.finish(office.db, taken, made_of(picture()), office.time.at)
    assert await office.shown() is None
    assert not await posters.remove(office.db, "nowhere", who="ann", now=office.time.at)


async def test_what_nobody_needs_is_forgotten(office: Posters) -> None:
    """The poster that is shown stays, however old; the ones before it and the uploads go."""
    for seed in (1, 2):
        await office.send(f"u{seed}", picture(seed=seed))
        await office.maker.round()
    assert await posters.prune(office.db, office.time.at) == 0
    late = office.time.at + timedelta(days=2)
    assert await posters.prune(office.db, late) == 3
    assert (await office.count(posters_table), await office.count(uploads_table)) == (1, 0)
    name = await office.shown()
    assert name is not None
    assert await posters.read(office.db, name, thumb=False) is not None


@pytest.mark.parametrize("by", ["another", "none"])
async def test_a_poster_that_was_replaced_is_kept_for_a_while_however_old_it_is(office: Posters, by: str) -> None:
    """Pages and caches that were filled a moment ago still ask for it."""
    await office.send("u1", picture(seed=1))
    await office.maker.round()
    old = await office.shown()
    assert old is not None
    office.time.at += timedelta(hours=2)
    if by == "another":
        await office.send("u2", picture(seed=2))
        await office.maker.round()
    else:
        await posters.remove(office.db, EVENT, who="ann", now=office.time.at)
    assert await office.shown() != old
    await posters.prune(office.db, office.time.at + posters.UNUSED_KEPT_FOR)
    assert await posters.read(office.db, old, thumb=False) is not None
    await posters.prune(office.db, office.time.at + posters.UNUSED_KEPT_FOR + timedelta(seconds=1))
    assert await posters.read(office.db, old, thumb=False) is None


async def test_no_more_uploads_wait_than_may(office: Posters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posters, "WAITING_MAX", 1)
    await office.send("u1", picture())
    assert not await posters.begin(office.db, "u2", EVENT, "s", b"", who="ann", now=office.time.at)


def test_pillow_is_used_by_the_workers_alone() -> None:
    """A decoder fed by strangers has no place in a process that answers buyers."""
    web = Path(app.__file__).parent
    assert [path for path in web.rglob("*.py") if "PIL" in path.read_text()] == []
