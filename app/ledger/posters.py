"""Posters and the uploads they are made from, stored in SQL so that every machine has them.

An upload waits until a worker takes it. If the worker dies, another takes it again, at most ATTEMPTS_MAX times in all.
The picture that was uploaded last becomes the event's poster, in whichever order the uploads are finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, or_, select, update

from app.domain.pictures import PictureFault, UploadStatus
from app.ledger import audit_log
from app.ledger.database import Database, Transaction
from app.ledger.statements import insert_new
from app.ledger.tables.events import events
from app.ledger.tables.posters import posters, uploads

ATTEMPTS_MAX = 3
TAKEN_FOR = timedelta(seconds=60)  # after this time the worker counts as dead
UPLOADS_KEPT_FOR = timedelta(days=1)
UNUSED_KEPT_FOR = timedelta(hours=1)  # a page that a browser has loaded may still request it
PRUNE_MAX = 100
WAITING_MAX = 200  # uploads that no worker has taken yet


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """An upload and its status. `reason`: why it failed. `poster`: the name of the poster made of it."""

    id: str
    event_id: str
    status: UploadStatus
    reason: str | None
    poster: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """An upload to work on. `source` is the hash of its bytes."""

    id: str
    event_id: str
    source: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A poster in its two sizes. `width` and `height` are those of the large one."""

    hash: str
    width: int
    height: int
    large: bytes
    thumb: bytes


async def begin(
    db: Database, upload_id: str, event_id: str, source: str, data: bytes, *, who: str, now: datetime
) -> bool:
    """Store an upload for the workers; False if too many wait already."""
    async with db.write() as tx:
        waiting = select(uploads.c.id).where(uploads.c.status == UploadStatus.waiting.value).limit(WAITING_MAX)
        if len((await tx.execute(waiting)).all()) >= WAITING_MAX:
            return False
        row = {
            "id": upload_id,
            "event_id": event_id,
            "who": who,
            "status": UploadStatus.waiting.value,
            "attempts": 0,
            "source": source,
            "data": data,
            "created_at": now,
        }
        await tx.execute(insert(uploads), [row])
        change = {"upload": upload_id, "source": source, "bytes": len(data)}
        await _record(tx, "poster.upload", event_id, change, who, now)
    return True


async def upload(db: Database, upload_id: str) -> UploadRow | None:
    """One upload, or None."""
    return await _one(db, uploads.c.id == upload_id)


async def last_upload(db: Database, event_id: str) -> UploadRow | None:
    """The latest upload for an event that is still stored, or None."""
    return await _one(db, uploads.c.event_id == event_id)


async def _one(db: Database, where: object) -> UploadRow | None:
    columns = (uploads.c.id, uploads.c.event_id, uploads.c.status, uploads.c.reason, uploads.c.poster)
    query = select(*columns).where(where).order_by(uploads.c.created_at.desc(), uploads.c.id.desc()).limit(1)  # type: ignore[arg-type]  # a column's comparison
    async with db.read() as tx:
        row = (await tx.execute(query)).mappings().first()
    return None if row is None else UploadRow(**{**row, "status": UploadStatus(row["status"])})


async def take(db: Database, now: datetime) -> Taken | None:
    """Take the oldest waiting upload for this worker alone; None if none waits. One taken too often is failed."""
    abandoned = (uploads.c.status == UploadStatus.working.value) & (uploads.c.taken_at < now - TAKEN_FOR)
    free = or_(uploads.c.status == UploadStatus.waiting.value, abandoned)
    columns = (uploads.c.id, uploads.c.event_id, uploads.c.source, uploads.c.data, uploads.c.attempts)
    oldest = select(*columns).where(free).order_by(uploads.c.created_at, uploads.c.id).limit(1)
    async with db.write() as tx:
        row = (await tx.execute(oldest)).first()
        if row is None:
            return None
        mine = update(uploads).where(uploads.c.id == row.id)
        if row.attempts < ATTEMPTS_MAX:
            await tx.execute(mine.values(status="working", attempts=row.attempts + 1, taken_at=now))
            return Taken(row.id, row.event_id, row.source, row.data)
        await tx.execute(mine.values(**_ended(UploadStatus.failed, now, reason=PictureFault.given_up)))
    return await take(db, now)


async def known(db: Database, source: str) -> Made | None:
    """The poster that was made earlier from the bytes with the hash `source`, or None."""
    async with db.read() as tx:
        row = (await tx.execute(select(posters).where(posters.c.source == source))).first()
    if row is None:
        return None
    return Made(hash=row.hash, width=row.width, height=row.height, large=row.large, thumb=row.thumb)


async def finish(db: Database, taken: Taken, made: Made | PictureFault, now: datetime) -> bool:
    """Store the result of an upload. Its poster becomes the event's, unless a later upload's has. False if the upload
    was ended or removed meanwhile.
    """
    async with db.write() as tx:
        row = (await tx.execute(select(uploads).where(uploads.c.id == taken.id))).first()
        if row is None or row.status != UploadStatus.working.value:
            return False
        mine = update(uploads).where(uploads.c.id == taken.id)
        if isinstance(made, PictureFault):
            await tx.execute(mine.values(**_ended(UploadStatus.failed, now, reason=made)))
            return True
        row_made = {"hash": made.hash, "source": taken.source, "width": made.width, "height": made.height}
        row_made |= {"large": made.large, "thumb": made.thumb, "unused_since": now}
        await tx.execute(insert_new(posters), [row_made])
        await tx.execute(mine.values(**_ended(UploadStatus.done, now, poster=made.hash)))
        later = (uploads.c.event_id == taken.event_id) & (uploads.c.created_at > row.created_at)
        done_later = select(uploads.c.id).where(later, uploads.c.status == UploadStatus.done.value).limit(1)
        if (await tx.execute(done_later)).first() is None:
            await _show(tx, taken.event_id, made, now)
    return True


def _ended(
    status: UploadStatus, now: datetime, reason: PictureFault | None = None, poster: str | None = None
) -> dict[str, object]:
    told = reason.value if reason else None
    return {"status": status.value, "reason": told, "poster": poster, "ended_at": now, "data": None}


async def _show(tx: Transaction, event_id: str, made: Made | None, now: datetime) -> None:
    """Set or remove the event's poster. The previous one is kept for UNUSED_KEPT_FOR from now on."""
    before = (await tx.execute(select(events.c.poster).where(events.c.id == event_id))).scalar()
    if before is not None:
        await tx.execute(update(posters).where(posters.c.hash == before).values(unused_since=now))
    values = {
        "poster": made.hash if made else None,
        "poster_width": made.width if made else None,
        "poster_height": made.height if made else None,
    }
    await tx.execute(update(events).where(events.c.id == event_id).values(**values))
    if made:
        await tx.execute(update(posters).where(posters.c.hash == made.hash).values(unused_since=None))


async def remove(db: Database, event_id: str, *, who: str, now: datetime) -> bool:
    """Remove an event's poster and its unfinished uploads; False for an unknown event."""
    async with db.write() as tx:
        found = (await tx.execute(select(events.c.poster).where(events.c.id == event_id))).first()
        if found is None:
            return False
        of_event = (uploads.c.event_id == event_id) & uploads.c.ended_at.is_(None)
        await tx.execute(delete(uploads).where(of_event))
        await _show(tx, event_id, None, now)
        await _record(tx, "poster.remove", event_id, {"poster": found.poster}, who, now)
    return True


async def read(db: Database, name: str, thumb: bool) -> bytes | None:
    """A poster's bytes, large or as thumbnail; None if there is none."""
    column = posters.c.thumb if thumb else posters.c.large
    async with db.read() as tx:
        found: bytes | None = (await tx.execute(select(column).where(posters.c.hash == name))).scalar()
    return found


async def prune(db: Database, now: datetime) -> int:
    """Delete a bounded number of old uploads and unused posters; returns how many."""
    old = select(uploads.c.id).where(uploads.c.ended_at < now - UPLOADS_KEPT_FOR).limit(PRUNE_MAX)
    shown = select(events.c.id).where(events.c.poster == posters.c.hash)  # by another event, too
    aged = posters.c.unused_since < now - UNUSED_KEPT_FOR
    unused = select(posters.c.hash).where(aged, ~shown.exists()).limit(PRUNE_MAX)
    async with db.write() as tx:
        removed = 0
        for query, statement in ((old, _forget_upload), (unused, _forget_poster)):
            names = list((await tx.execute(query)).scalars())
            if names:
                await tx.execute(statement, [{"name": name} for name in names])
            removed += len(names)
    return removed


async def _record(
    tx: Transaction, action: str, event_id: str, change: dict[str, object], who: str, now: datetime
) -> None:
    await audit_log.record(tx, who=who, action=action, subject=event_id, event_id=event_id, change=change, now=now)


_forget_upload = delete(uploads).where(uploads.c.id == bindparam("name"))
_forget_poster = delete(posters).where(posters.c.hash == bindparam("name"))
